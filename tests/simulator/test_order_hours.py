"""When orders may trade: sessions, times in force, the open and the close. New York times; AAPL stands at 190."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ib_async import Option

from ib_simulator.journal import Journal
from tests.simulator.joined import JoinedClient, Table, limit, market, stop, table_at

ZONE = ZoneInfo("US/Eastern")


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def at(text: str) -> tuple[Table, JoinedClient]:
    """A table at a moment of the week of 23 November 2026: Thanksgiving on the 26th, half a day on the 27th."""
    table = table_at(new_york(text))
    return table, table.connect()


def until(table: Table, text: str) -> None:
    table.pass_time(seconds=(new_york(text) - table.clock.now()).total_seconds())


def price(table: Table, last: str) -> None:
    table.control("set_price", symbol="AAPL", price=last)


def statuses(table: Table) -> list[str]:
    return [order["status"] for order in table.orders()]


# --- waiting for the open ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "outside", "opens"),
    [
        ("2026-11-23T08:00", False, "2026-11-23 09:30:00"),
        ("2026-11-23T17:00", False, "2026-11-24 09:30:00"),
        ("2026-11-25T17:00", False, "2026-11-27 09:30:00"),
        ("2026-11-27T13:30", False, "2026-11-30 09:30:00"),
        ("2026-11-23T22:00", True, "2026-11-24 04:00:00"),
    ],
)
def test_an_order_outside_its_hours_is_parked_until_they_begin(now: str, outside: bool, opens: str) -> None:
    table, client = at(now)
    client.place(limit("BUY", 10, 195, outsideRth=outside))

    told = client.read()[0]
    assert told.arguments[1] == 399
    assert told.arguments[2].endswith(f"until {opens} US/Eastern.")
    assert statuses(table) == ["PreSubmitted"]
    until(table, opens)
    assert statuses(table) == ["Filled"]


def test_at_the_open_it_is_submitted_and_then_meets_the_market() -> None:
    table, client = at("2026-11-23T08:00")
    client.place(market("SELL", 10))
    price(table, "180")
    client.read()

    until(table, "2026-11-23T09:30")

    assert client.order_news()[:3] == ["open 1 Submitted 10", "status 1 Submitted 0/10", "deal 1 SLD 10@179.99"]


def test_outside_rth_lets_a_limit_trade_before_the_open() -> None:
    table, client = at("2026-11-23T08:00")
    client.place(limit("BUY", 10, 195, outsideRth=True))
    client.place(limit("BUY", 10, 195))

    assert statuses(table) == ["Filled", "PreSubmitted"]


@pytest.mark.parametrize("kind", ["MKT", "MOC"])
def test_what_cannot_trade_outside_is_remarked_upon_and_processed(kind: str) -> None:
    """[DOC] B3: 2109, still processed."""
    table, client = at("2026-11-23T08:00")

    client.place(market("BUY", 10, orderType=kind, outsideRth=True))

    assert client.order_news()[:3] == ["error 1 2109", "error 1 399", "open 1 PreSubmitted 10"]
    until(table, "2026-11-23T09:30")
    assert statuses(table) == [{"MKT": "Filled", "MOC": "Submitted"}[kind]]


def test_an_option_has_no_early_session() -> None:
    table, client = at("2026-11-23T08:00")

    client.place(limit("BUY", 1, 500, outsideRth=True), Option("AAPL", "20261218", 190, "C", "SMART", currency="USD"))

    assert [line for line in client.order_news() if line.startswith("error")] == ["error 1 2109", "error 1 399"]
    until(table, "2026-11-23T09:30")
    assert statuses(table) == ["Filled"]


@pytest.mark.parametrize(
    ("outside", "switch", "before", "status"),
    [
        (False, "fills", "PreSubmitted", "PreSubmitted"),
        (True, "fills", "Filled", "Filled"),
        (True, "waits_for_open", "PreSubmitted", "Filled"),
    ],
)
def test_a_stop_triggers_in_regular_hours_unless_told_otherwise(
    outside: bool, switch: str, before: str, status: str
) -> None:
    """[DOC] B3: simulated stops trigger in regular hours only unless set otherwise."""
    table, client = at("2026-11-23T10:00")
    table.control("set_switch", name="stop_outside_rth", value=switch)
    client.place(stop("SELL", 10, 185, outsideRth=outside, tif="GTC"))
    until(table, "2026-11-23T18:00")

    price(table, "184")
    assert statuses(table) == [before]
    price(table, "188")
    until(table, "2026-11-24T09:30")

    assert statuses(table) == [status]


def test_a_child_that_wakes_outside_its_hours_waits_for_the_open() -> None:
    table, client = at("2026-11-23T08:00")
    parent = client.place(limit("BUY", 10, 195, outsideRth=True, transmit=False))
    client.place(stop("SELL", 10, 185, parentId=parent, tif="GTC"))
    price(table, "184")
    assert statuses(table) == ["Filled", "PreSubmitted"]

    until(table, "2026-11-23T09:30")

    assert statuses(table) == ["Filled", "Filled"]


def test_a_price_after_the_close_deals_nothing_even_before_the_clock_was_looked_at() -> None:
    table, client = at("2026-11-23T15:59:59")
    client.place(limit("BUY", 10, 150, tif="GTC"))
    table.clock.advance(seconds=2)

    table.gateway.market.path(table.gateway.instruments.by_symbol("AAPL")).pin(Decimal(140))
    table.gateway.desk.fills.market_moved()

    assert statuses(table) == ["Submitted"]


# --- the end of the day --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "closes"),
    [
        ({}, "2026-11-23T16:00"),
        ({"outsideRth": True}, "2026-11-23T20:00"),
    ],
)
def test_a_day_order_ends_with_its_session(more: dict[str, Any], closes: str) -> None:
    table, client = at("2026-11-23T15:00")
    client.place(limit("BUY", 10, 150, **more))
    client.read()

    until(table, closes)

    assert client.order_news() == ["status 1 Cancelled 0/10", "error 1 202"]


def test_a_day_order_ends_early_on_half_a_day() -> None:
    table, client = at("2026-11-27T10:00")
    client.place(limit("BUY", 10, 150))

    until(table, "2026-11-27T12:59:59")
    assert statuses(table) == ["Submitted"]
    until(table, "2026-11-27T13:00")
    assert statuses(table) == ["Cancelled"]


def test_a_day_order_of_the_evening_is_for_the_next_day() -> None:
    table, client = at("2026-11-23T17:00")
    client.place(limit("BUY", 10, 150))

    until(table, "2026-11-24T15:59:59")
    assert statuses(table) == ["Submitted"]
    until(table, "2026-11-24T16:00")
    assert statuses(table) == ["Cancelled"]


def test_an_order_good_till_cancelled_rests_overnight_and_goes_on() -> None:
    table, client = at("2026-11-23T15:00")
    client.place(limit("BUY", 10, 150, tif="GTC"))
    client.read()

    until(table, "2026-11-23T17:00")
    price(table, "149")
    assert (statuses(table), client.order_news()) == (["PreSubmitted"], [])
    until(table, "2026-11-24T09:30")

    assert client.order_news()[:3] == ["open 1 Submitted 10", "status 1 Submitted 0/10", "deal 1 BOT 10@149.01"]


@pytest.mark.parametrize("hours", ["always", "us_equities"])
def test_an_order_good_till_a_date_ends_then(hours: str) -> None:
    table = Table(hours=hours, start=new_york("2026-11-23T10:00"))
    client = table.connect()
    client.place(limit("BUY", 10, 150, tif="GTD", goodTillDate="20261124 11:00:00"))
    client.read()

    until(table, "2026-11-24T10:59:59")
    assert statuses(table) == ["Submitted"]
    client.read()
    until(table, "2026-11-24T11:00")

    assert client.order_news() == ["status 1 Cancelled 0/10", "error 1 202"]


@pytest.mark.parametrize("hours", ["always", "us_equities"])
def test_an_order_good_after_a_time_is_held_back(hours: str) -> None:
    table = Table(hours=hours, start=new_york("2026-11-23T10:00"))
    client = table.connect()
    client.place(limit("BUY", 10, 500, goodAfterTime="20261123 15:00:00 US/Eastern"))
    assert client.order_news() == ["open 1 PreSubmitted 10", "status 1 PreSubmitted 0/10"]

    until(table, "2026-11-23T14:59")
    assert client.order_news() == []
    until(table, "2026-11-23T15:00")

    assert client.order_news()[:2] == ["open 1 Submitted 10", "status 1 Submitted 0/10"]
    assert statuses(table) == ["Filled"]


@pytest.mark.parametrize(("last", "status"), [("180", "Filled"), ("195", "Cancelled")])
def test_an_order_for_the_opening_takes_part_in_nothing_else(last: str, status: str) -> None:
    table, client = at("2026-11-23T08:00")
    client.place(limit("BUY", 10, 185, tif="OPG"))
    assert client.order_news()[:2] == ["error 1 399", "open 1 PreSubmitted 10"]
    price(table, last)

    until(table, "2026-11-23T09:30")

    assert statuses(table) == [status]


def test_children_of_a_day_entry_fall_with_it() -> None:
    table, client = at("2026-11-23T15:00")
    parent = client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=parent, tif="GTC"))

    until(table, "2026-11-23T16:00")

    assert statuses(table) == ["Cancelled", "Cancelled"]


def test_a_long_jump_carries_out_everything_on_its_way() -> None:
    table, client = at("2026-11-23T17:00")
    client.place(limit("BUY", 10, 150))
    client.place(market("BUY", 10, orderType="MOC"))
    client.place(limit("BUY", 10, 150, tif="GTC"))

    until(table, "2026-11-28T12:00")

    assert statuses(table) == ["Cancelled", "Filled", "PreSubmitted"]


@pytest.mark.parametrize(("switch", "status"), [("at_once", "Cancelled"), ("at_open", "PendingCancel")])
def test_by_switch_a_parked_order_is_cancelled_at_the_open(switch: str, status: str) -> None:
    """[ISSUE] B3: cancels of parked orders may be acknowledged only at the open."""
    table, client = at("2026-11-23T17:00")
    table.control("set_switch", name="cancel_while_parked", value=switch)
    client.place(market("BUY", 10))
    client.api.cancelOrder(1)
    assert statuses(table) == [status]

    until(table, "2026-11-24T09:30")

    assert statuses(table) == ["Cancelled"]
    assert table.control("state")["executions"] == []


def test_what_waits_for_the_clock_survives_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = table_at(new_york("2026-11-23T17:00"), journal=journal)
    table.connect().place(market("BUY", 10))
    table.gateway.commit()
    journal.close()

    again = Journal(tmp_path)
    later = table_at(new_york("2026-11-23T18:00"), journal=again)
    try:
        assert statuses(later) == ["PreSubmitted"]
        until(later, "2026-11-24T09:30")
        assert statuses(later) == ["Filled"]
    finally:
        again.close()


def test_an_always_open_market_ends_nothing() -> None:
    table = Table(start=new_york("2026-11-21T12:00"))
    client = table.connect()
    client.place(limit("BUY", 10, 150))

    until(table, "2026-12-20T12:00")

    assert statuses(table) == ["Submitted"]
