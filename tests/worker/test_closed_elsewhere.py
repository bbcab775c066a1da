"""Positions that change in TWS, through the real processes: the account is asked, and no exit opens a position."""

from decimal import Decimal
from typing import Any

import pytest

from tests.eventually import eventually
from tests.worker.desk import PRICE, Desk

pytestmark = pytest.mark.slow


def position(desk: Desk, symbol: str = "AAPL") -> Decimal:
    """Return what the account holds in the simulator's own book."""
    held = [row for row in desk.broker.control.state()["positions"] if row["symbol"] == symbol]
    return sum((Decimal(row["quantity"]) for row in held), Decimal(0))


def sell(desk: Desk, quantity: int) -> None:
    """Sell in TWS, at the market."""
    desk.broker.control.place_external(symbol="AAPL", action="SELL", quantity=quantity, order_type="MKT")


def live_orders(desk: Desk, execution_id: int) -> list[dict[str, Any]]:
    return [order for order in desk.placed(execution_id) if order["live"]]


@pytest.fixture
def before(desk: Desk) -> Decimal:
    """What the account holds once the stops that the tests before this one left have fired."""
    desk.broker.control.set_price("AAPL", "99")
    eventually(lambda: not any(order["live"] for order in desk.broker.control.orders()), seconds_max=45)
    held = "SELECT count(*) FROM executions_execution WHERE status IN ('WORKING', 'OPEN', 'CLOSING')"
    eventually(lambda: desk.stack.rows(held) == [(0,)], seconds_max=45)
    desk.broker.control.set_price("AAPL", PRICE)
    return position(desk)


@pytest.mark.case("T1")
def test_a_stop_that_is_cancelled_after_the_shares_were_sold_in_tws_is_not_placed_again(
    desk: Desk, before: Decimal
) -> None:
    execution_id = desk.held()
    sell(desk, 10)
    desk.broker.control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"))
    closed = desk.becomes(execution_id, "CLOSED")
    assert (closed["exit_reason"], closed["open_quantity"]) == ("EXTERNAL", "0")
    assert "10 shares were closed elsewhere (deals that are not ours: SELL 10 at" in closed["attention"]
    # And a price far below the stop opens nothing
    desk.broker.control.set_price("AAPL", "99")
    assert live_orders(desk, execution_id) == []
    assert position(desk) == before
    desk.broker.control.set_price("AAPL", PRICE)


@pytest.mark.case("T2")
@pytest.mark.parametrize(("sold", "left"), [(10, 0), (6, 4)])
def test_a_stop_is_cut_to_what_was_not_sold_in_tws(desk: Desk, before: Decimal, sold: int, left: int) -> None:
    execution_id = desk.held()
    sell(desk, sold)

    def cut() -> bool:
        return [Decimal(stop["remaining"]) for stop in live_orders(desk, execution_id)] == ([left] if left else [])

    eventually(cut, seconds_max=45)
    desk.broker.control.set_price("AAPL", "99")
    desk.becomes(execution_id, "CLOSED")
    assert position(desk) == before
    desk.broker.control.set_price("AAPL", PRICE)


@pytest.mark.case("T39")
def test_a_stop_of_somebody_else_that_is_hit_with_ours_is_told(desk: Desk, before: Decimal) -> None:
    execution_id = desk.held()
    control = desk.broker.control
    control.place_external(symbol="AAPL", action="SELL", quantity=10, order_type="STP", stop_price="100.50")
    control.set_price("AAPL", "99")
    eventually(lambda: position(desk) == before - 10, seconds_max=45)

    def flagged() -> bool:
        return "more_closed_than_opened" in [flag["code"] for flag in desk.read(execution_id)["flags"]]

    eventually(flagged, seconds_max=45)
    # And what was closed too much can be given back
    control.set_price("AAPL", PRICE)
    path = f"/api/v1/executions/{execution_id}/resolve/"
    assert desk.stack.api.post(path, {"act": "close_surplus"}).status == 202
    eventually(lambda: position(desk) == before, seconds_max=45)


@pytest.mark.case("T4")
def test_after_a_split_nothing_is_placed_and_a_person_is_told(desk: Desk, before: Decimal) -> None:
    execution_id = desk.held()
    control = desk.broker.control
    control.pause_fills()
    control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"), reason="Corporate action")
    control.set_position(symbol="AAPL", quantity=str(before + 20), average_cost="95.05")
    control.set_price("AAPL", "95")
    control.resume_fills()

    def told() -> str:
        text: str = desk.read(execution_id)["attention"]
        assert "no deal explains the difference" in text
        return text

    assert f"the account holds {before + 20:f}" in eventually(told, seconds_max=45)
    assert (live_orders(desk, execution_id), position(desk)) == ([], before + 20)
    # A person says what it was: these ten are not ours, and the guard goes on
    control.set_price("AAPL", PRICE)
    settled = desk.stack.api.post(f"/api/v1/executions/{execution_id}/resolve/", {"act": "not_ours"})
    assert (settled.status, settled.body["others_after"]) == (202, f"{before + 10:f}")
    eventually(lambda: len(desk.live_stops(execution_id)) == 1, seconds_max=45)
    control.cancel_order(order_ref=desk.live_stops(execution_id)[0]["order_ref"])
    sell(desk, 10)


@pytest.mark.case("T4")
def test_what_a_split_left_is_taken_over_with_its_stop(desk: Desk, before: Decimal) -> None:
    execution_id = desk.held()
    control, path = desk.broker.control, f"/api/v1/executions/{execution_id}/resolve/"
    control.pause_fills()
    control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"), reason="Corporate action")
    control.set_position(symbol="AAPL", quantity=str(before + 20), average_cost="95.05")
    control.set_price("AAPL", "95")
    control.resume_fills()

    eventually(lambda: "no deal explains the difference" in desk.read(execution_id)["attention"], seconds_max=45)
    # A person takes the twenty over: their stop is placed where that person wants it, and nothing else
    act = {"act": "take_over", "quantity": "20", "stop_price": "90.00"}
    seen = desk.stack.api.post(path, act | {"dry_run": True})
    assert (seen.status, [one["text"] for one in seen.body["sends"]]) == (200, ["SELL 20 STOP 90.00 GTC"])
    done = desk.stack.api.post(path, act | {"facts": seen.body["facts"]})
    assert (done.status, done.body["open_after"]) == (202, "20")
    eventually(lambda: [Decimal(one["remaining"]) for one in live_orders(desk, execution_id)] == [20], seconds_max=45)
    control.set_price("AAPL", "89")
    closed = desk.becomes(execution_id, "CLOSED")
    assert (closed["exit_reason"], position(desk)) == ("PROTECT", before)
    control.set_price("AAPL", PRICE)


def deal_of(desk: Desk, order_ref: str) -> str:
    """Return the execution id of the order's one deal."""
    deals = [deal["exec_id"] for deal in desk.broker.control.state()["executions"] if deal["order_ref"] == order_ref]
    (exec_id,) = deals
    return str(exec_id)


@pytest.mark.case("T36")
def test_shares_that_a_bust_took_back_are_not_sold(desk: Desk, before: Decimal) -> None:
    execution_id = desk.held()
    desk.broker.control.correct_execution(deal_of(desk, desk.ref(execution_id, "ENTRY")), quantity="0")
    ended = desk.becomes(execution_id, "CANCELLED")
    assert "a deal was busted" in ended["attention"]
    assert (ended["reason_code"], ended["open_quantity"]) == ("deals_busted", "0")
    desk.broker.control.set_price("AAPL", "99")
    assert live_orders(desk, execution_id) == []
    assert position(desk) == before
    desk.broker.control.set_price("AAPL", PRICE)


@pytest.mark.case("T36")
def test_a_position_whose_closing_deal_was_busted_is_guarded_again(desk: Desk, before: Decimal) -> None:
    execution_id = desk.held()
    desk.broker.control.set_price("AAPL", "99")
    desk.becomes(execution_id, "CLOSED")
    desk.broker.control.set_price("AAPL", PRICE)
    desk.broker.control.correct_execution(deal_of(desk, desk.ref(execution_id, "STOP_LOSS")), quantity="0")
    desk.becomes(execution_id, "OPEN")
    eventually(lambda: [stop["remaining"] for stop in live_orders(desk, execution_id)] == ["10"], seconds_max=45)
    assert position(desk) == before + 10
