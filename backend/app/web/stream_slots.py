"""How many streams may be open: of one user, from one address, and in this process.

Each holds two file descriptors (the browser's connection and one to Redis), so the process's own limit decides how many
there can be. A place is counted from the moment the request is answered, before anything is awaited, so that many
requests at once cannot all find room. One whose stream was never begun, because the window was closed in between, is
counted for a short while only.
"""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

STREAMS_OF_USER_MAX = 20
STREAMS_OF_ADDRESS_MAX = 60
STREAMS_MAX = 500
DESCRIPTORS_OF_STREAM = 2
# What all else needs: the database's and Redis's connections, logs, and requests that are no streams.
DESCRIPTORS_KEPT_FREE = 300
BEGIN_SECONDS_MAX = 30.0


@dataclass(eq=False, kw_only=True, slots=True)
class Slot:
    """The place of one stream."""

    user_id: int
    address: str
    taken_at: float = field(default_factory=time.monotonic)
    begun: bool = False

    def begin(self) -> None:
        """The stream flows from now on, until `release`."""
        self.begun = True
        _slots.add(self)

    def release(self) -> None:
        """Give the place back."""
        _slots.discard(self)


_slots: set[Slot] = set()


class NoSlot(Exception):
    """There is no room. `code` and the message say whose limit it is; `status` is HTTP's."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def slot_take(*, user_id: int, address: str) -> Slot:
    """Return a place for a stream. Raises NoSlot."""
    taken = list(_counted())
    if sum(slot.user_id == user_id for slot in taken) >= STREAMS_OF_USER_MAX:
        raise NoSlot(
            f"Too many windows: {STREAMS_OF_USER_MAX} pages of yours are open already. Close some of them.",
            code="too_many_windows",
            status=429,
        )
    if address and sum(slot.address == address for slot in taken) >= STREAMS_OF_ADDRESS_MAX:
        raise NoSlot(
            f"Too many windows: {STREAMS_OF_ADDRESS_MAX} pages are open at your address already. Close some of them.",
            code="too_many_windows",
            status=429,
        )
    if len(taken) >= streams_max():
        raise NoSlot("Too many windows are open here, yours and others' together.", code="too_many_streams", status=503)
    slot = Slot(user_id=user_id, address=address)
    _slots.add(slot)
    return slot


def streams_max() -> int:
    """Return how many streams this process can bear under its limit of file descriptors."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return STREAMS_MAX
    return max(1, min(STREAMS_MAX, (soft - DESCRIPTORS_KEPT_FREE) // DESCRIPTORS_OF_STREAM))


def streams_open() -> int:
    """Return how many places are taken."""
    return len(list(_counted()))


def _counted() -> Iterator[Slot]:
    now = time.monotonic()
    for slot in list(_slots):
        if slot.begun or now - slot.taken_at < BEGIN_SECONDS_MAX:
            yield slot
        else:
            _slots.discard(slot)
