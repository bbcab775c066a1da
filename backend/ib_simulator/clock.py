"""Time: the only place that asks what time it is, and how clients write times."""

import re
import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MOMENT = re.compile(r"(\d{8})([ -])(\d{2}:\d{2}:\d{2})(?: ([A-Za-z][A-Za-z0-9_+/-]*))?")


class Clock(Protocol):
    """Two clocks: of the wall (UTC) and one that never goes back (milliseconds)."""

    def now(self) -> datetime: ...

    def monotonic_ms(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ms(self) -> float:
        return time.monotonic() * 1000


def parse_moment(text: str, *, zone: ZoneInfo) -> datetime | None:
    """Read `yyyymmdd hh:mm:ss [zone]` (in `zone` without one) or `yyyymmdd-hh:mm:ss` (UTC); None when it is neither."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        return None
    named = "UTC" if match[2] == "-" else match[4]
    try:
        moment = datetime.strptime(f"{match[1]} {match[3]}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - the zone follows.
        return moment.replace(tzinfo=ZoneInfo(named) if named else zone)
    except (ValueError, ZoneInfoNotFoundError):
        return None
