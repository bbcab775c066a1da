"""A thread that looks at executions when it is woken, each once however often it was woken for it."""

import threading


class WokenThread:
    """What wakes and ends such a thread; what it does is `_run`, which looks at `_stopping` and takes `_taken`."""

    def __init__(self, *, name: str) -> None:
        self._woken: set[int] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self, execution_id: int) -> None:
        """Have an execution looked at now. Never blocks."""
        with self._lock:
            self._woken.add(execution_id)
        self._wake.set()

    def stop(self, *, seconds_max: float) -> None:
        """End the thread; what was being sent is finished first."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=seconds_max)

    def _taken(self) -> set[int]:
        """Return the executions that it was woken for since, and forget them."""
        with self._lock:
            woken, self._woken = self._woken, set()
        return woken

    def _run(self) -> None:
        raise NotImplementedError
