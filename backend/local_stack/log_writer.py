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
    """A log of at most `files` older files beside the current one, each of about `bytes_max`.

    A log that cannot be written (a full disk) is no error: the program would be held up by its own words. They are
    lost, and as soon as the log can be written again it says how many bytes are missing there.
    """

    def __init__(self, path: Path, *, bytes_max: int, files: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files = files
        self._is_at_line_end = True
        self._file: int | None = None
        self._size = 0
        self._lost_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Append; a new file begins at the end of a line once the current one is full."""
        left = chunk
        try:
            self._open_current()
            self._tell_lost()
            if self._size and self._size + len(left) > self._bytes_max:
                head = 0 if self._is_at_line_end else left.find(b"\n") + 1
                left = self._append(left[:head]) + left[head:]
                # A line that does not end is cut in the end, so that even it has bounds.
                if left and (self._is_at_line_end or self._size > 2 * self._bytes_max):
                    self._close()
                    log_rotate(self._path, files=self._files)
                    self._open_current()
            left = self._append(left)
        except OSError:
            self._close()
        self._lost_bytes += len(left)

    def _tell_lost(self) -> None:
        if self._lost_bytes:
            line = f"log_writer: {self._lost_bytes} bytes are missing here: they could not be written\n".encode()
            if not self._append(line if self._is_at_line_end else b"\n" + line):
                self._lost_bytes = 0

    def _append(self, chunk: bytes) -> bytes:
        """Write to the open file; return what could not be written."""
        while chunk and self._file is not None:
            try:
                written = os.write(self._file, chunk)
            except OSError:
                break
            self._size += written
            self._is_at_line_end = chunk[:written].endswith(b"\n")
            chunk = chunk[written:]
        return chunk

    def _open_current(self) -> None:
        """Open the file that the path names, if it is not open: somebody may have moved or deleted ours."""
        if self._file is not None:
            try:
                if os.path.samestat(os.stat(self._path), os.fstat(self._file)):
                    return
            except FileNotFoundError:
                pass
            self._close()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


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
        log.write(chunk)


if __name__ == "__main__":
    main(sys.argv[1:])
