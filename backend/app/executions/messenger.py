"""Hands messages to Redis in a thread of its own, so that nobody who trades waits for it.

    services ── hand (never blocks) ──> at most LENGTH_MAX messages ── one thread ──> Redis

A Redis that hangs takes the connection and answers nothing: each message then costs its time limit. No message is the
truth: readers poll, and the sweep sends again what nobody took. So where too many wait the oldest are dropped.
"""

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from app.core.logging import get_logger

logger = get_logger(__name__)

LENGTH_MAX = 1000
# How long a process that ends, a command of a person for instance, lets its messages leave.
LEAVE_SECONDS_MAX = 2.0


class Messenger:
    """One queue and one thread, begun with the first message; a process that was forked has a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._messages: deque[Callable[[], None]] = deque(maxlen=LENGTH_MAX)
        self._changed = threading.Condition()
        self._is_sending = False
        self._pid = 0

    def hand(self, send: Callable[[], None]) -> None:
        """Have `send` called soon, after what was handed before. Never blocks."""
        with self._changed:
            if len(self._messages) == LENGTH_MAX:
                logger.warning("messages_dropped", messenger=self._name, waiting=LENGTH_MAX)
            self._messages.append(send)
            if self._pid != os.getpid():
                self._begin()
            self._changed.notify_all()

    def flush(self, *, seconds_max: float) -> bool:
        """Wait until all that was handed is sent, or has failed; say whether it is."""
        deadline = time.monotonic() + seconds_max
        with self._changed:
            while self._messages or self._is_sending:
                left = deadline - time.monotonic()
                if left <= 0 or self._pid != os.getpid():
                    return False
                self._changed.wait(left)
        return True

    def _begin(self) -> None:
        self._pid, self._is_sending = os.getpid(), False
        threading.Thread(target=self._run, name=f"messenger-{self._name}", daemon=True).start()
        atexit.register(self.flush, seconds_max=LEAVE_SECONDS_MAX)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._messages:
                    self._changed.wait()
                send, self._is_sending = self._messages.popleft(), True
            try:
                send()
            except Exception:  # One message's fault must not keep the others.
                logger.exception("message_not_sent", messenger=self._name)
            finally:
                with self._changed:
                    self._is_sending = False
                    self._changed.notify_all()
