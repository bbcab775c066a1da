"""A Gateway that says odd things, through the real processes: shares stay behind a stop whatever it says."""

import re
import time

import pytest

from app.brokers.ib.connection import REPORTS_PROVE_AFTER_SECONDS
from tests.eventually import eventually
from tests.worker.desk import WORKER, Desk

pytestmark = pytest.mark.slow
DEAL, OPEN_ORDER, ORDER_STATUS, ERROR = "11", "5", "3", "4"
DEAL_TIME = 15


def stop_is_replaced(desk: Desk, execution_id: int) -> None:
    """Cancel the execution's stop in TWS, and wait for the next one."""
    (stop,) = desk.live_stops(execution_id)
    desk.broker.control.cancel_order(order_ref=stop["order_ref"])
    eventually(
        lambda: [one["order_ref"] != stop["order_ref"] for one in desk.live_stops(execution_id)] == [True],
        seconds_max=45,
    )


def gateway_check(desk: Desk) -> bool:
    ok: bool = desk.stack.api.get("/readyz").body["checks"]["gateway"]["ok"]
    return ok


@pytest.mark.case("T5")
def test_a_deal_with_an_odd_time_is_recorded_and_its_shares_are_guarded(desk: Desk) -> None:
    def in_japan(fields: list[str]) -> list[str]:
        if fields[0] != DEAL:
            return fields
        return [*fields[:DEAL_TIME], re.sub(r" \S+$", " JST", fields[DEAL_TIME]), *fields[DEAL_TIME + 1 :]]

    desk.wire.rewrite(in_japan)
    execution_id = desk.request()
    opened = desk.becomes(execution_id, "OPEN")
    assert opened["open_quantity"] == "10"
    assert "could not be read" in opened["attention"]
    assert " JST'" in opened["attention"]
    stop_is_replaced(desk, execution_id)
    assert gateway_check(desk)


@pytest.mark.case("T5")
def test_after_a_message_that_cannot_be_read_everything_is_asked_at_once(desk: Desk) -> None:
    # Given a deal whose quantity is no number, once
    damaged: list[str] = []

    def once(fields: list[str]) -> list[str]:
        if fields[0] != DEAL or damaged:
            return fields
        damaged.append(fields[14])
        return [*fields[:19], "some", *fields[20:]]

    execution_id = desk.working()
    desk.wire.rewrite(once)
    desk.broker.control.fill(order_ref=desk.ref(execution_id, "ENTRY"))
    # Then it is recorded all the same, from the answer, and the shares are guarded
    desk.becomes(execution_id, "OPEN")
    assert damaged
    desk.stack.wait_ready()
    stop_is_replaced(desk, execution_id)


@pytest.mark.case("T37")
def test_a_deal_that_can_never_be_read_is_told_once_and_the_others_are_guarded(desk: Desk) -> None:
    # Given shares behind a stop, and then a deal of another contract whose quantity is no number, in every answer
    guarded, execution_id = desk.held(symbol="MSFT"), desk.working()
    unread = desk.ref(execution_id, "ENTRY")
    began = len(desk.stack.log(WORKER))

    def spoilt(fields: list[str]) -> list[str]:
        return [*fields[:19], "some", *fields[20:]] if fields[0] == DEAL and unread in fields else fields

    desk.wire.rewrite(spoilt)
    desk.broker.control.fill(order_ref=unread)
    # Then a person is told, the connection is left as it was, and what is held elsewhere is guarded
    eventually(lambda: "could not be read: shares 'some'" in desk.read(execution_id)["attention"], seconds_max=45)
    stop_is_replaced(desk, guarded)
    eventually(lambda: gateway_check(desk))
    assert desk.read(execution_id)["attention"].count("could not be read") == 1
    assert "event=broker_connection_lost" not in desk.stack.log(WORKER)[began:]


@pytest.mark.case("T14")
def test_a_connection_that_stays_degraded_is_shown_and_left_by_evidence(desk: Desk) -> None:
    execution_id = desk.held()
    # Given a Gateway that says 1100 and never that it is back, while it goes on answering and filling
    desk.broker.control.send_error(code=1100, text="Connectivity between IB and TWS has been lost.")
    eventually(lambda: desk.connection("state") == "DEGRADED")
    assert not gateway_check(desk)
    began, degraded_at = len(desk.stack.log(WORKER)), time.monotonic()
    # Nothing is concluded from its answers alone, nor from a straggler
    eventually(lambda: time.monotonic() > degraded_at + REPORTS_PROVE_AFTER_SECONDS)
    assert desk.connection("state") == "DEGRADED"
    # When a stop is cancelled, which it tells by itself
    stop_is_replaced(desk, execution_id)
    assert desk.connection("state") == "READY"
    assert "event=broker_connection_lost" not in desk.stack.log(WORKER)[began:]


@pytest.mark.case("T16")
def test_no_guard_waits_for_what_the_account_is_worth(desk: Desk) -> None:
    execution_id = desk.held()
    desk.broker.control.lose(["accountSummaryEnd"])
    began = len(desk.stack.log(WORKER))
    try:
        desk.broker.control.drop_connections()
        eventually(lambda: "state=READY" in desk.stack.log(WORKER)[began:], seconds_max=45)
        stop_is_replaced(desk, execution_id)
        eventually(lambda: "event=equity_unknown" in desk.stack.log(WORKER)[began:], seconds_max=45)
        assert desk.stack.log(WORKER)[began:].count("event=broker_connection_lost") == 1
        assert desk.connection("state") == "READY"
    finally:
        desk.broker.control.clear_faults()


@pytest.mark.case("T24")
def test_a_stop_that_is_refused_and_lives_is_not_placed_again(desk: Desk) -> None:
    # Given a Gateway that answers 201 to each new stop of the guard's, which lives, and says nothing more of it
    execution_id = desk.held()
    refused: dict[str, int] = {}

    def refuse(fields: list[str]) -> list[str]:
        if fields[0] == OPEN_ORDER and any(field.endswith("-PROTECT") for field in fields) and fields[1] not in refused:
            refused[fields[1]] = 0
            return [ERROR, "2", fields[1], "201", "Order rejected - reason:not available for short sale", ""]
        if fields[0] == ORDER_STATUS and fields[1] in refused and not refused[fields[1]]:
            refused[fields[1]] += 1
            return [ERROR, "2", "-1", "2104", "Market data farm connection is OK:usfarm", ""]
        return fields

    desk.wire.rewrite(refuse)
    # When its stop is cancelled
    desk.broker.control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"))
    # Then the one that was refused is found among the open orders, and stays the only one
    eventually(lambda: [stop["status"] for stop in desk.legs(execution_id, "PROTECT")] == ["HELD"], seconds_max=45)
    assert refused
    assert len(desk.live_stops(execution_id)) == 1
    desk.wire.let_through()
    desk.agrees(execution_id)


@pytest.mark.case("T29")
def test_a_stop_that_the_gateway_swallowed_is_sent_again_as_the_same_order(desk: Desk) -> None:
    execution_id = desk.held()
    desk.wire.lose_orders(named="-PROTECT", count=1)
    stop_is_replaced(desk, execution_id)
    (stop,) = desk.legs(execution_id, "PROTECT")
    assert [live["order_ref"] for live in desk.live_stops(execution_id)] == [stop["order_ref"]]
    acts = "SELECT action FROM executions_decision WHERE execution_id = %d AND action = 'SEND_AGAIN'"
    assert desk.stack.rows(acts % execution_id) == [("SEND_AGAIN",)]


@pytest.mark.case("T29")
def test_a_target_that_the_gateway_swallowed_is_told(desk: Desk) -> None:
    desk.wire.lose_orders(named="-TAKE_PROFIT", count=1)
    execution_id = desk.request(take_profits=[{"price": "250.00"}])
    desk.becomes(execution_id, "OPEN")
    eventually(lambda: [leg["status"] for leg in desk.legs(execution_id, "TAKE_PROFIT")] == ["NOT_PLACED"])
    assert "never reached the broker" in desk.read(execution_id)["attention"]
    assert len(desk.live_stops(execution_id)) == 1
