"""Places for passwords that are looked at: so many for a key and a time, taken before the look.

    places_take ──> count + 1, looking + 1, for all keys or for none
    places_leave ─> looking - 1; of a right password also count - 1

A place that is left without being given back was a wrong password: it stays taken until the time is over. What was
taken in an earlier time is not given back to the present one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from app.logins.models import AttemptCount

COUNTS_KEPT = timedelta(days=1)
_TAKE = """
    INSERT INTO logins_attemptcount AS known (key, count, looking, refused, expires_at)
    VALUES (%(key)s, 1, 1, 0, %(ends_at)s)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN known.expires_at <= %(now)s THEN 1 ELSE known.count + 1 END,
        looking = CASE WHEN known.expires_at <= %(now)s THEN 1 ELSE known.looking + 1 END,
        refused = CASE WHEN known.expires_at <= %(now)s THEN 0 ELSE known.refused END,
        expires_at = CASE WHEN known.expires_at <= %(now)s THEN EXCLUDED.expires_at ELSE known.expires_at END
        WHERE known.expires_at <= %(now)s OR known.count < %(attempts_max)s
    RETURNING count, expires_at
"""
_REFUSE = "UPDATE logins_attemptcount SET refused = refused + 1 WHERE key = %s RETURNING refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """How many places a key has in so many seconds."""

    key: str
    attempts_max: int
    seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place that was taken, and the end of the time for which."""

    key: str
    ends_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Full:
    """A limit of which all places are taken until `ends_at`, by how many looks that go on still."""

    limit: Limit
    looking: int
    ends_at: datetime


class _NoPlaceError(Exception):
    pass


def places_take(limits: Sequence[Limit], *, now: datetime) -> Sequence[Place] | Full:
    """Take a place under each limit, in their order; none where one of them is full, and return that one."""
    places: list[Place] = []
    is_new = False
    try:
        with transaction.atomic():
            for limit in limits:
                count, place = _take(limit, now=now)
                is_new = is_new or count == 1
                places.append(place)
    except _NoPlaceError:
        return _full(limits[len(places)], now=now)
    if is_new:  # Rarely enough: with each new key or minute.
        AttemptCount.objects.filter(expires_at__lt=now - COUNTS_KEPT).delete()
    return places


def places_leave(places: Sequence[Place], *, give_back: bool) -> None:
    """Say that the look is over; with `give_back` it was no attempt."""
    for place in places:  # One by one: whoever locks several rows locks them in the order of their limits.
        AttemptCount.objects.filter(key=place.key, expires_at=place.ends_at).update(
            looking=Greatest(F("looking") - 1, 0),
            count=Greatest(F("count") - 1, 0) if give_back else F("count"),
        )


def refusal_count(key: str) -> int:
    """Count a refusal under the key; return how many there were in its time."""
    with connection.cursor() as cursor:
        cursor.execute(_REFUSE, [key])
        row = cursor.fetchone()
    return int(row[0]) if row else 1


def _take(limit: Limit, *, now: datetime) -> tuple[int, Place]:
    values: dict[str, str | int | datetime] = {
        "key": limit.key,
        "now": now,
        "ends_at": now + timedelta(seconds=limit.seconds),
        "attempts_max": limit.attempts_max,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        row = cursor.fetchone()
    if row is None:
        raise _NoPlaceError
    return int(row[0]), Place(key=limit.key, ends_at=row[1])


def _full(limit: Limit, *, now: datetime) -> Full:
    count = AttemptCount.objects.filter(key=limit.key).first()
    if count is None or count.count < limit.attempts_max:
        # Somebody gave a place back meanwhile: the next try finds it.
        return Full(limit=limit, looking=1, ends_at=count.expires_at if count else now)
    return Full(limit=limit, looking=count.looking, ends_at=count.expires_at)
