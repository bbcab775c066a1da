"""When no entry is begun: the broker's windows, in the wall-clock time of their zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from app.domain.maintenance import NORTH_AMERICA, maintenance_at, maintenance_read

NEW_YORK = ZoneInfo("America/New_York")
DEFAULT = maintenance_read(NORTH_AMERICA)


@pytest.mark.parametrize(
    ("local", "inside"),
    [
        ("2026-11-18 00:14:59", False),  # Wednesday
        ("2026-11-18 00:15:00", True),
        ("2026-11-18 01:44:59", True),
        ("2026-11-18 01:45:00", False),
        ("2026-11-18 10:00:00", False),
        ("2026-11-22 00:30:00", True),  # Sunday
        ("2026-11-20 00:30:00", True),  # Friday's daily reset
        ("2026-11-20 22:59:59", False),
        ("2026-11-20 23:00:00", True),  # the weekend's begins
        ("2026-11-21 00:00:00", True),
        ("2026-11-21 02:59:59", True),
        ("2026-11-21 03:00:00", False),
        ("2026-11-21 23:30:00", False),  # Saturday
        ("2026-07-15 00:30:00", True),  # daylight saving time
    ],
)
def test_the_windows_of_north_america(local: str, inside: bool) -> None:
    now = datetime.fromisoformat(local).replace(tzinfo=NEW_YORK)
    assert (maintenance_at(DEFAULT, now=now) is not None) is inside
    assert (maintenance_at(DEFAULT, now=now.astimezone(ZoneInfo("Asia/Tokyo"))) is not None) is inside


@pytest.mark.parametrize("text", ["none", " None ", "", ";"])
def test_there_may_be_none(text: str) -> None:
    assert maintenance_read(text) == ()


def test_one_day_is_a_window_too() -> None:
    (window,) = maintenance_read("sat 10:00-11:00 UTC")
    ends = window.ends_at(datetime(2026, 11, 21, 10, 30, tzinfo=ZoneInfo("UTC")))
    assert ends == datetime(2026, 11, 21, 11, 0, tzinfo=ZoneInfo("UTC"))
    assert window.ends_at(datetime(2026, 11, 20, 10, 30, tzinfo=ZoneInfo("UTC"))) is None
    assert str(window) == "sat 10:00-11:00 UTC"


@pytest.mark.parametrize(
    "text", ["always", "Mon 10-11 UTC x", "Foo 10:00-11:00 UTC", "Mon 10:00 UTC", "Mon 10:00-11:00 Mars"]
)
def test_what_cannot_be_read_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write it as"):
        maintenance_read(text)
