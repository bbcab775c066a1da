"""When a deal happened, of every way in which a Gateway may write it."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from app.brokers.ib.deal_time import deal_time, gateway_zone

NOON = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
EASTERN = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    "text",
    [
        "20261127 07:00:00 US/Eastern",
        "20261127 07:00:00 America/New_York",
        "20261127 07:00:00 EST",
        "20261127 13:00:00 Europe/Zurich",
        "20261127-12:00:00",
        "20261127 07:00:00",
        "20261127  07:00:00",
        str(int(NOON.timestamp())),
    ],
)
def test_a_time_is_read_however_it_is_written(text: str) -> None:
    assert deal_time(text, gateway_zone=EASTERN) == NOON


@pytest.mark.case("T5")
@pytest.mark.parametrize(
    "text",
    [
        "20261127 07:29:51 JST",
        "20261127 07:29:51 China Standard Time",
        "20261127 07:29:51 America",
        "20261127 07:29:51 ../../etc/passwd",
        "20261127 07:29:51 \x00",
        "20261327 07:29:51",
        "27.11.2026 07:29",
        "",
        "   ",
        "0",
        "9" * 30,
        "٢٠٢٦",
    ],
)
def test_what_cannot_be_read_is_no_error(text: str) -> None:
    assert deal_time(text, gateway_zone=UTC) is None


@pytest.mark.case("T6")
@pytest.mark.parametrize(
    ("handshake", "named", "zone"),
    [
        ("20261127 07:00:01 EST", "", timezone(timedelta(hours=-5))),
        ("20260727 08:00:00 EDT", "", timezone(timedelta(hours=-4))),
        ("20261127 21:00:30 JST", "", timezone(timedelta(hours=9))),
        ("20261127 20:00:00 China Standard Time", "", timezone(timedelta(hours=8))),
        ("20261127 17:45:00 +0545", "", timezone(timedelta(hours=5, minutes=45))),
        # A clock that is not ours: its zone's name, where that is one.
        ("20200101 07:11:00 EST", "", ZoneInfo("EST")),
        ("20200101 07:11:00 Nowhere", "", UTC),
        ("20200101 07:11:00 America", "", UTC),
        ("nonsense", "", UTC),
        ("", "", UTC),
        ("20261127 07:00:01 EST", "Asia/Tokyo", ZoneInfo("Asia/Tokyo")),
    ],
)
def test_the_gateway_s_zone_is_the_one_in_which_its_clock_is_right(handshake: str, named: str, zone: tzinfo) -> None:
    now = NOON if handshake[4:6] != "07" else datetime(2026, 7, 27, 12, 0, 0, tzinfo=UTC)
    assert gateway_zone(handshake, now=now, named=named) == zone
