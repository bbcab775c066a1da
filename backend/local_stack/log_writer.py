"""Writes what a program says to its log, in files of bounded size and number: `python log_writer.py LOG BYTES FILES`.

    program ── pipe ──> log_writer ──> web.log, full ──> web.log.1 ──> web.log.2 ... the oldest is dropped

It is a process of its own, beside each program of the stack: a program that wrote to the file itself would go on
writing to a file that was moved, and were the writer a part of `up`, a suspended `up` would hold every program up. It
ends when the program, and whoever inherited its output, has ended. Lines are never split over two files.
"""

import contextlib
import os
import sys
from pathlib import Path

CHUNK_BYTES = 65536


class RotatingLog:
    """A log of at most `files` older files beside the current one, each of about `bytes_max`."""

    def __init__(self, path: Path, *, bytes_max: int, files: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files = files
        self._is_at_line_end = True
        self._open()

    def write(self, chunk: bytes) -> None:
        """Append; a new file begins at the end of a line once the current one is full."""
        if not self._is_current():
            self._open()
        if self._size and self._size + len(chunk) > self._bytes_max:
            head = 0 if self._is_at_line_end else chunk.find(b"\n") + 1
            self._append(chunk[:head])
            chunk = chunk[head:]
            # A line that does not end is cut in the end, so that even it has bounds.
            if chunk and (self._is_at_line_end or self._size > 2 * self._bytes_max):
                os.close(self._file)
                log_rotate(self._path, files=self._files)
                self._open()
        self._append(chunk)

    def _append(self, chunk: bytes) -> None:
        if chunk:
            self._is_at_line_end = chunk.endswith(b"\n")
        while chunk:
            written = os.write(self._file, chunk)
            self._size += written
            chunk = chunk[written:]

    def _is_current(self) -> bool:
        """Say whether the path still names the open file: somebody may have moved or deleted it."""
        try:
            is_same = os.path.samestat(os.stat(self._path), os.fstat(self._file))
        except FileNotFoundError:
            is_same = False
        if not is_same:
            os.close(self._file)
        return is_same

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size


def log_rotate(path: Path, *, files: int) -> None:
    """Move the log aside, each older file one further, and drop the oldest."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, files + 1))]
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        with contextlib.suppress(FileNotFoundError):
            newer.replace(older)


def main(arguments: list[str]) -> None:
    """Write standard input to the log until it ends."""
    path, bytes_max, files = arguments
    log = RotatingLog(Path(path), bytes_max=int(bytes_max), files=int(files))
    while chunk := os.read(sys.stdin.fileno(), CHUNK_BYTES):
        # A full disk must not end the writer: the program would be held up by its own words.
        with contextlib.suppress(OSError):
            log.write(chunk)


if __name__ == "__main__":
    main(sys.argv[1:])
