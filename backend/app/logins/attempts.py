"""How many passwords are looked at: counted before the look, in one place, for the pages, the admin and tokens.

    who asks                                   counted by                           looked at, at most
    a browser in which this user logged in     that browser                         10 a minute
    an address from which this user did        the address                          10 a minute
    anybody else                               the address, and the name            10 a minute each; 100 an hour a name

Each count is one statement of the database, so that forty at once are not forty looks. It is kept there, and not in
Redis: a login needs the database anyway, and must not need more. A right password gives its own count back.

A stranger can use up the count of a name for strangers, never that of the browser or the address its owner has used
within 30 days. Who shares the address with a guesser, in a browser that is new, waits until the guesser's minute is
over. Names are counted as they would be confused: without case, in one Unicode form, whether they exist or not.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F
from django.db.models.functions import Greatest

from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.core.addresses import network_of
from app.core.errors import RetryLater
from app.core.logging import get_logger
from app.logins.models import AttemptCount, Login, Road

logger = get_logger(__name__)

ADDRESS_KNOWN_DAYS = 30
NAME_SHOWN_LENGTH_MAX = 64
# While it goes on, a guesser is named once a minute by its first refusal, and then rarely.
REFUSALS_LOGGED_EVERY = 100
ALERT_SUBJECT = "logins"
COUNTS_KEPT = timedelta(days=1)
_COUNT = """
    INSERT INTO logins_attemptcount AS known (key, count, expires_at) VALUES (%(key)s, 1, %(ends_at)s)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN known.expires_at <= %(now)s THEN 1 ELSE known.count + 1 END,
        expires_at = CASE WHEN known.expires_at <= %(now)s THEN EXCLUDED.expires_at ELSE known.expires_at END
    RETURNING count, expires_at
"""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Limit:
    key: str
    attempts_max: int
    seconds: int


def attempt_begin(attempt: Attempt, *, now: datetime) -> Sequence[str]:
    """Count an attempt and return the keys under which; only then may the password be looked at.

    Raises TooManyAttempts.
    """
    counted = []
    for limit in _limits(attempt, now=now):
        count, ends_at = _count(limit, now=now)
        counted.append(limit.key)
        if count > limit.attempts_max:
            _refusal_tell(attempt, limit, count=count, now=now)
            seconds = max(1, round((ends_at - now).total_seconds()))
            raise TooManyAttempts(f"Too many attempts; wait {seconds} seconds.", details={"seconds": seconds})
    return counted


def attempt_failed(attempt: Attempt) -> None:
    """Write down that the name or the password was wrong."""
    logger.warning("login_failed", name=attempt.name_shown, address=attempt.address, road=attempt.road.value)


def attempt_succeeded(counted: Sequence[str]) -> None:
    """Give back what a right password was counted as."""
    AttemptCount.objects.filter(key__in=counted).update(count=Greatest(F("count") - 1, 0))


def _limits(attempt: Attempt, *, now: datetime) -> list[_Limit]:
    name = _digest(name_folded(attempt.name))
    if attempt.device:
        return [_Limit(key=f"device:{_digest(attempt.device + name)}", attempts_max=10, seconds=60)]
    network = network_of(attempt.address)
    by_address = _Limit(key=f"address:{network}"[:100], attempts_max=10, seconds=60)
    if _is_known(attempt.name, network=network, now=now):
        return [by_address]
    return [
        by_address,
        _Limit(key=f"name:{name}", attempts_max=10, seconds=60),
        _Limit(key=f"name-hour:{name}", attempts_max=100, seconds=3600),
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


def _count(limit: _Limit, *, now: datetime) -> tuple[int, datetime]:
    values: dict[str, str | datetime] = {
        "key": limit.key,
        "now": now,
        "ends_at": now + timedelta(seconds=limit.seconds),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        count, ends_at = cursor.fetchone()
    if count == 1:  # Rarely enough: with each new key or minute.
        AttemptCount.objects.filter(expires_at__lt=now - COUNTS_KEPT).delete()
    return int(count), ends_at


def _refusal_tell(attempt: Attempt, limit: _Limit, *, count: int, now: datetime) -> None:
    over = count - limit.attempts_max
    scope = limit.key.partition(":")[0]
    if over == 1 or over % REFUSALS_LOGGED_EVERY == 0:
        logger.warning(
            "login_refused",
            name=attempt.name_shown,
            address=attempt.address,
            road=attempt.road.value,
            limit=scope,
            refused=over,
        )
    if over == 1:
        alert_raise(
            kind=AlertKind.LOGIN_ATTEMPTS,
            subject=ALERT_SUBJECT,
            text=f"More than {limit.attempts_max} passwords were tried within {limit.seconds} s, at last for the name "
            f"{attempt.name_shown!r} from {attempt.address}.",
            now=now,
        )
