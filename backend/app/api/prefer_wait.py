"""`Prefer: wait=N` (RFC 7240): answer once there is something to confirm, or after N seconds."""

import re
import threading

from rest_framework.request import Request

from app.executions.services.wait import execution_wait_for_answer

WAIT_SECONDS_MAX = 60
# Each waiting request holds a thread. A preference is no promise: who finds no room is answered at once with 202.
WAITING_REQUESTS_MAX = 64
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,100})\"?\s*(?=$|[,;])", re.IGNORECASE)
_room = threading.BoundedSemaphore(WAITING_REQUESTS_MAX)


def preferred_wait_seconds(prefer: str) -> int:
    """Return the seconds a `Prefer` header asks to wait, 60 at most; 0 where it does not."""
    match = _WAIT.search(prefer)
    return min(int(match[1]), WAIT_SECONDS_MAX) if match else 0


def wait_if_preferred(request: Request, *, execution_id: int) -> tuple[bool, dict[str, str]]:
    """Wait as the request prefers; return whether there is something to confirm, and the headers that say so."""
    seconds = preferred_wait_seconds(request.headers.get("Prefer", ""))
    if not seconds or not _room.acquire(blocking=False):
        return False, {}
    try:
        confirmed = execution_wait_for_answer(execution_id=execution_id, seconds_max=seconds)
    finally:
        _room.release()
    return confirmed, {"Preference-Applied": f"wait={seconds}"}
