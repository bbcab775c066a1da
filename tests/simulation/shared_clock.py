"""The time of day as the processes of a run see it: the machine's, moved by a number that one of them may change."""

import mmap
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

_FORM = struct.Struct("d")


class SharedClock:
    """How many seconds the clock is ahead, in a file that all processes map."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set_ahead(self, seconds: float) -> None:
        """Move the clock, for every process at once."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(_FORM.pack(0.0))
        with self.path.open("r+b") as stream:
            stream.write(_FORM.pack(seconds))

    def moved(self, real: Callable[[], datetime]) -> Callable[[], datetime]:
        """Return a clock that is `real` moved by what was set."""
        self.set_ahead(0.0)
        with self.path.open("rb") as stream:
            memory = mmap.mmap(stream.fileno(), _FORM.size, prot=mmap.PROT_READ)
        return lambda: real() + timedelta(seconds=_FORM.unpack(memory[:])[0])
