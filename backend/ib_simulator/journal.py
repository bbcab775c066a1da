"""The append-only file that makes the book outlive the process, as orders at IB outlive a Gateway.

One line of JSON per record. A line cut off by a kill is the last one and is dropped; it was never answered, because
records are written before the bytes that tell of them leave. Surviving a power cut is not promised (no fsync).

At a start a file with many superseded records is written anew, so that it does not grow for ever:

    book.jsonl ── the records that count ──> book.jsonl.new ── fsync, lock, rename ──> book.jsonl

A kill before the rename leaves the old file whole, a kill after it the new one.
"""

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from ib_simulator.errors import JournalError

logger = logging.getLogger(__name__)

FILE_NAME = "book.jsonl"
NEW_SUFFIX = ".new"
# A file with more records that count no more, and more of them than of others, is written anew.
SUPERSEDED_RECORDS_MAX = 1000

Record = dict[str, Any]


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
        # What a start that was killed left half written.
        self._new_path.unlink(missing_ok=True)

    @property
    def _new_path(self) -> Path:
        return self.path.with_name(FILE_NAME + NEW_SUFFIX)

    def _lock(self, directory: Path) -> None:
        in_use = f"the state directory {directory} is in use by another simulator"
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise JournalError(in_use) from error
        # Another one may have put a new file in place between the opening and the lock.
        if not self._is_current():
            self._file.close()
            raise JournalError(in_use)

    def _is_current(self) -> bool:
        return os.path.samestat(os.fstat(self._file.fileno()), self.path.stat())

    def records(self) -> list[Record]:
        """Return all whole records. Raises JournalError for damage anywhere but in the last line."""
        self._file.seek(0)
        content = self._file.read()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            logger.warning("dropped %d bytes of an unfinished record at the end of %s", len(torn), self.path)
            self._file.truncate(len(content) - len(torn))
        return [self._parse(line, number) for number, line in enumerate(whole.splitlines(), start=1) if line]

    def _parse(self, line: bytes, number: int) -> Record:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise JournalError(f"{self.path} is damaged in line {number}: {error}") from error
        if not isinstance(record, dict):
            raise JournalError(f"{self.path} is damaged in line {number}: not an object")
        return record

    def write(self, records: Iterable[Record]) -> None:
        """Append records and hand them to the operating system."""
        lines = _encoded(records)
        if lines:
            self._file.write(lines)
            self._file.flush()

    def compact(self, records: list[Record], *, key: Callable[[Record], tuple[Any, ...]]) -> bool:
        """Write the file anew with the last record of each key, if many others count no more; say whether it was.

        `records` are all the file has. The order is that in which the keys first came: executions are restored in it.
        Raises JournalError when the directory cannot be written.
        """
        latest: dict[tuple[Any, ...], Record] = {}
        for record in records:
            latest[key(record)] = record
        if len(records) - len(latest) <= max(SUPERSEDED_RECORDS_MAX, len(latest)):
            return False
        try:
            new = self._write_new(latest.values())
            self._put_in_place(new)
        except OSError as error:
            raise JournalError(f"cannot write {self._new_path}: {error}") from error
        logger.info("shortened %s from %d to %d records", self.path, len(records), len(latest))
        return True

    def _write_new(self, records: Iterable[Record]) -> IO[bytes]:
        new: IO[bytes] = self._new_path.open("w+b")
        new.write(_encoded(records))
        new.flush()
        os.fsync(new.fileno())
        fcntl.flock(new.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return new

    def _put_in_place(self, new: IO[bytes]) -> None:
        os.replace(self._new_path, self.path)
        self._file.close()
        self._file = new

    def clear(self) -> None:
        """Forget everything."""
        self._file.truncate(0)

    def close(self) -> None:
        self._file.close()


def _encoded(records: Iterable[Record]) -> bytes:
    return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)
