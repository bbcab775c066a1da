"""When a deal happened, of the many ways in which a Gateway writes it.

    20261127 07:29:51 US/Eastern    in that zone
    20261127-12:29:51               in UTC
    20261127  07:29:51              in the Gateway's zone: IB_TIME_ZONE, else as its handshake told its own clock
    1795782591                      seconds since 1970
    anything else                   None: the deal counts all the same, and our clock says when it was heard

Source: IBKR Campus, "Modifying the time zone of time stamps"; the handshake carries the Gateway's local time with a
zone name of its system, which need not be one of the zone database ("EDT", "China Standard Time").
"""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WITHOUT_ZONE, _IN_UTC = "%Y%m%d %H:%M:%S", "%Y%m%d-%H:%M:%S"
# Every zone is a multiple of this off UTC.
_ZONE_STEP = timedelta(minutes=15)
# How far two clocks may differ that are taken to show the same moment.
_CLOCKS_APART_MAX = timedelta(minutes=3)
_OFFSET_MAX = timedelta(hours=14)
# What lies outside was never a deal's time.
_YEARS = range(1990, 2200)


def deal_time(text: str, *, gateway_zone: tzinfo) -> datetime | None:
    """Return the moment, aware and in UTC; None for what cannot be read. `gateway_zone` is for times without a zone."""
    words = text.split()
    try:
        if len(words) == 1 and text.strip().isdecimal():
            moment = datetime.fromtimestamp(int(text), UTC)
        elif len(words) == 1:
            moment = datetime.strptime(text.strip(), _IN_UTC).replace(tzinfo=UTC)
        else:
            zone = _zone(" ".join(words[2:])) if len(words) > 2 else gateway_zone
            moment = datetime.strptime(" ".join(words[:2]), _WITHOUT_ZONE).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError):
        return None
    return moment if moment.year in _YEARS else None


def gateway_zone(handshake: str, *, now: datetime, named: str = "") -> tzinfo:
    """Return the Gateway's zone: the one that is `named`, else the one in which its handshake's clock shows `now`.

    `handshake` is what the Gateway sent with its version, such as "20261127 07:29:51 EST". Where its clock is not ours
    its zone's name counts; where that says nothing either, UTC.
    """
    if named:
        return _zone(named)
    words = handshake.split()
    try:
        told = datetime.strptime(" ".join(words[:2]), _WITHOUT_ZONE).replace(tzinfo=UTC)
    except ValueError:
        return UTC
    offset = round((told - now) / _ZONE_STEP) * _ZONE_STEP
    if abs(told - now - offset) <= _CLOCKS_APART_MAX and abs(offset) <= _OFFSET_MAX:
        return timezone(offset)
    try:
        return _zone(" ".join(words[2:]))
    except (ValueError, ZoneInfoNotFoundError):
        return UTC


def _zone(name: str) -> tzinfo:
    """Return a zone of the zone database. Raises ValueError, ZoneInfoNotFoundError."""
    try:
        return ZoneInfo(name)
    except OSError:  # A name that is a folder of the database.
        raise ValueError(f"No time zone: {name!r}") from None
