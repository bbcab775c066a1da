"""How many passwords are looked at: counted before the look, in one place, for the pages, the admin and tokens.

    who asks                                   counted by                           looked at, at most
    a browser in which this user logged in     that browser                         10 a minute
    an address from which this user did        the address                          10 a minute
    anybody else                               the address, and the name            10 a minute each; 100 an hour a name

Counting is one statement of the database (`counts`), so that forty at once are not forty looks. It is kept there, and
not in Redis: a login needs the database anyway, and must not need more.

    a place is free                            the password is looked at; a right one gives the place back
    all are taken by passwords that were wrong refused
    some are taken by looks that go on         wait for how they end: right ones must not shut each other out

A stranger can use up the count of a name for strangers, never that of the browser or the address its owner has used
within 30 days. Who shares the address with a guesser, in a browser that is new, waits until the guesser's minute is
over. Names are counted as they would be confused: without case, in one Unicode form, whether they exist or not.
"""

import hashlib
import threading
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.core import clock
from app.core.addresses import network_of
from app.core.errors import RetryLater
from app.core.logging import get_logger
from app.logins.counts import Full, Limit, Place, places_leave, places_take, refusal_count
from app.logins.models import Login, Road

logger = get_logger(__name__)

ADDRESS_KNOWN_DAYS = 30
NAME_SHOWN_LENGTH_MAX = 64
# While it goes on, a guesser is named once a minute by its first refusal, and then rarely.
REFUSALS_LOGGED_EVERY = 100
ALERT_SUBJECT = "logins"
# As long as ten looks at the worst of times; who died in the middle of one is not waited for any longer.
WAIT_SECONDS_MAX = 30.0
PAUSE_SECONDS = 0.2
# Each waits in a thread of this process.
WAITING_MAX = 100
_waiting = threading.BoundedSemaphore(WAITING_MAX)


class TooManyAttempts(RetryLater):
    """The password was not looked at; `details.seconds` says how long to wait."""

    code = "throttled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A name and where it comes from. `device` is the browser's, where this name has logged in there; else empty."""

    name: str
    address: str
    road: Road
    device: str = ""

    @property
    def name_shown(self) -> str:
        """The name as it may stand in a log: short, without what would break a line."""
        shown = "".join(letter if letter.isprintable() else "?" for letter in self.name[:NAME_SHOWN_LENGTH_MAX])
        return shown.encode("utf-8", "replace").decode()


def attempt_begin(attempt: Attempt) -> Sequence[Place]:
    """Count an attempt and return the places it takes; only then may the password be looked at.

    Waits while the places are taken by looks that go on. Raises TooManyAttempts.
    """
    limits = _limits(attempt, now=clock.now())
    taken = places_take(limits, now=clock.now())
    if not isinstance(taken, Full):
        return taken
    if taken.looking and _waiting.acquire(blocking=False):
        try:
            taken = _places_wait(limits, first=taken)
        finally:
            _waiting.release()
        if not isinstance(taken, Full):
            return taken
    now = clock.now()
    _refusal_tell(attempt, taken.limit, refused=refusal_count(taken.limit.key), now=now)
    seconds = max(1, round((taken.ends_at - now).total_seconds()))
    raise TooManyAttempts(f"Too many attempts; wait {seconds} seconds.", details={"seconds": seconds})


def attempt_end(attempt: Attempt, places: Sequence[Place], *, right: bool) -> None:
    """Say how the look ended: a right password gives its places back, anything else is written down."""
    places_leave(places, give_back=right)
    if not right:
        logger.warning("login_failed", name=attempt.name_shown, address=attempt.address, road=attempt.road.value)


def _places_wait(limits: Sequence[Limit], *, first: Full) -> Sequence[Place] | Full:
    taken: Sequence[Place] | Full = first
    give_up_at = clock.now() + timedelta(seconds=WAIT_SECONDS_MAX)
    while isinstance(taken, Full) and taken.looking and clock.now() < give_up_at:
        # Who waits holds no connection of the database: they are needed by those who are waited for.
        if not connection.in_atomic_block:
            connection.close()
        time.sleep(PAUSE_SECONDS)
        taken = places_take(limits, now=clock.now())
    return taken


def _limits(attempt: Attempt, *, now: datetime) -> list[Limit]:
    name = _digest(name_folded(attempt.name))
    if attempt.device:
        return [Limit(key=f"device:{_digest(attempt.device + name)}", attempts_max=10, seconds=60)]
    network = network_of(attempt.address)
    by_address = Limit(key=f"address:{network}"[:100], attempts_max=10, seconds=60)
    if _is_known(attempt.name, network=network, now=now):
        return [by_address]
    return [
        by_address,
        Limit(key=f"name:{name}", attempts_max=10, seconds=60),
        Limit(key=f"name-hour:{name}", attempts_max=100, seconds=3600),
    ]


def name_folded(name: str) -> str:
    """Return the name as it is counted."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_known(name: str, *, network: str, now: datetime) -> bool:
    if "\x00" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        return False  # No name of ours; the database cannot even be asked.
    since = now - timedelta(days=ADDRESS_KNOWN_DAYS)
    return Login.objects.filter(user__username=name, network=network, at__gte=since).exists()


def _refusal_tell(attempt: Attempt, limit: Limit, *, refused: int, now: datetime) -> None:
    scope = limit.key.partition(":")[0]
    if refused == 1 or refused % REFUSALS_LOGGED_EVERY == 0:
        logger.warning(
            "login_refused",
            name=attempt.name_shown,
            address=attempt.address,
            road=attempt.road.value,
            limit=scope,
            refused=refused,
        )
    if refused == 1:
        alert_raise(
            kind=AlertKind.LOGIN_ATTEMPTS,
            subject=ALERT_SUBJECT,
            text=f"More than {limit.attempts_max} passwords were tried within {limit.seconds} s, at last for the name "
            f"{attempt.name_shown!r} from {attempt.address}.",
            now=now,
        )
