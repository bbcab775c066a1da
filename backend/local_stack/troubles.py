"""What the machine refuses us while programs run: a full disk, a disk that can only be read, no file left to open.

None of it may end the stack: a program that died can come back only while somebody is there who starts it. So each
trouble is told once, in one line that says what to do, and what failed is tried again until it succeeds.

    a write fails ──> "cannot write ...: No space left on device: free some" ──> tried again every second
    less than 32 MB free ──> told as well: a database stops at a full disk, while our own small files still fit
    the last trouble is over ──> told, and whoever waits for a restart is started at once
"""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from local_stack.errors import NotWritableError

LOOK_EVERY_SECONDS = 1.0
# Two of the files that PostgreSQL writes ahead: with less it may not be able to start.
ROOM_BYTES_MIN = 32 * 1024 * 1024
FILES_FREE_MIN = 16

ADVICE = {
    errno.ENOSPC: "free some",
    errno.EDQUOT: "free some, or have the quota raised",
    errno.EROFS: "make it writable again",
    errno.EACCES: "make it writable for this user",
    errno.EPERM: "make it writable for this user",
    errno.EMFILE: "allow this user more open files (ulimit -n)",
    errno.ENFILE: "allow the machine more open files",
    errno.EAGAIN: "allow this user more processes (ulimit -u)",
    errno.ENOMEM: "free some memory",
}
IN_ITS_PLACE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
GOES_ON = "everything that can go on goes on, and the rest comes back by itself"


class Troubles:
    """The troubles that have been told and are not over."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._open: set[str] = set()
        self._folders: list[Path] = []
        self._look_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._open)

    def begun(self, what: str, error: OSError) -> None:
        """Tell that `what` fails, unless that was told already."""
        reason = error.strerror or type(error).__name__
        self._tell(what, f"{what}: {reason}: {ADVICE.get(error.errno or 0, 'mend that')}; {GOES_ON}")

    def over(self, what: str) -> None:
        """Tell that `what` succeeds again, if it had failed."""
        if what in self._open:
            self._open.discard(what)
            self.say(f"over: {what}")

    def watch_room(self, folder: Path) -> None:
        """Look from now on whether the disk of this folder has room."""
        self._folders.append(folder)

    def look(self, *, now: float) -> bool:
        """Look at the disks, at most once a second; return whether it was time to look."""
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_SECONDS
        for folder in self._folders:
            what = f"the disk of {folder} is full"
            if not has_room(folder):
                self._tell(what, f"{what}: free some; {GOES_ON}")
            else:
                self.over(what)
        return True

    def say(self, line: str) -> None:
        """Tell a person; nobody may be there to hear it, or the words go to the very disk that is full."""
        with contextlib.suppress(OSError):
            self._report(line)

    def _tell(self, what: str, line: str) -> None:
        if what not in self._open:
            self._open.add(what)
            self.say(line)


def is_about_files(error: OSError) -> bool:
    """Say whether a file or folder could not be used: everything else is no person's to mend."""
    return error.filename is not None or error.errno in ADVICE


def not_writable(error: OSError, *, folder: Path) -> NotWritableError:
    """Return the same as one line that says what to do."""
    file = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    advice = ADVICE.get(error.errno or 0, "mend that")
    if error.errno in IN_ITS_PLACE:
        advice = "something else is in its place: move that away"
    return NotWritableError(
        f"{file}{error.strerror or type(error).__name__}: {advice}, or clone into a folder that this user may write; "
        f"all that is kept between starts is in {folder}"
    )


def has_room(folder: Path) -> bool:
    """Say whether the folder's disk has room for what is written all the time; yes where that cannot be known."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return True
    # Some file systems have no fixed number of files, and say 0.
    return disk.f_bavail * disk.f_frsize >= ROOM_BYTES_MIN and (not disk.f_files or disk.f_favail >= FILES_FREE_MIN)
