"""The append-only file that makes the book outlive the process, as orders at IB outlive a Gateway.

One line of JSON per record. A line cut off by a kill is the last one and is dropped; it was never answered, because
records are written before the bytes that tell of them leave. Surviving a power cut is not promised (no fsync).
"""

import fcntl
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from ib_simulator.errors import JournalError

logger = logging.getLogger(__name__)

FILE_NAME = "book.jsonl"


class Journal:
    """Reads the file once, then appends to it. One process per directory: a lock refuses a second."""

    def __init__(self, directory: Path) -> None:
        """Raises JournalError when the directory cannot be used or is in use."""
        self.path = directory / FILE_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = self.path.open("a+b")
        except OSError as error:
            raise JournalError(f"cannot use the state directory {directory}: {error}") from error
        self._lock(directory)

    def _lock(self, directory: Path) -> None:
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise JournalError(f"the state directory {directory} is in use by another simulator") from error

    def records(self) -> list[dict[str, Any]]:
        """Return all whole records. Raises JournalError for damage anywhere but in the last line."""
        self._file.seek(0)
        content = self._file.read()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            logger.warning("dropped %d bytes of an unfinished record at the end of %s", len(torn), self.path)
            self._file.truncate(len(content) - len(torn))
        return [self._parse(line, number) for number, line in enumerate(whole.splitlines(), start=1) if line]

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise JournalError(f"{self.path} is damaged in line {number}: {error}") from error
        if not isinstance(record, dict):
            raise JournalError(f"{self.path} is damaged in line {number}: not an object")
        return record

    def write(self, records: Iterable[dict[str, Any]]) -> None:
        """Append records and hand them to the operating system."""
        lines = [json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records]
        if lines:
            self._file.write(b"".join(lines))
            self._file.flush()

    def close(self) -> None:
        self._file.close()
