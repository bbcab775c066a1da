"""Kill -9 at the points of the down and the up road: never a second bracket, never a lost fill, always an end."""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.eventually import eventually
from tests.worker.conftest import Desk

pytestmark = pytest.mark.slow

SETUP = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "100.00", "quantity": "10"}


def request(desk: Desk, *, key: str, **changes: Any) -> int:
    setup = desk.stack.api.post("/api/v1/setups/", SETUP | changes)
    assert setup.status == 201, setup
    answer = desk.stack.api.post(f"/api/v1/setups/{setup.body['id']}/execute/", Idempotency_Key=key)
    assert answer.status == 202, answer
    execution_id: int = answer.body["id"]
    return execution_id


def read(desk: Desk, execution_id: int) -> dict[str, Any]:
    answer = desk.stack.api.get(f"/api/v1/executions/{execution_id}/")
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    return body


def placed_at_broker(desk: Desk, execution_id: int) -> list[dict[str, Any]]:
    refs = {order["order_ref"] for order in read(desk, execution_id)["brackets"][0]["orders"]}
    return [order for order in desk.broker.control.orders() if order["order_ref"] in refs]


def kill_and_wait_for_the_next(desk: Desk) -> None:
    pid = desk.stack.kill("broker-worker")
    desk.wire.let_through()
    desk.stack.wait_restarted("broker-worker", not_pid=pid)
    desk.stack.wait_ready()


def ends(desk: Desk, execution_id: int, status: str) -> dict[str, Any]:
    def ended() -> dict[str, Any]:
        execution = read(desk, execution_id)
        assert execution["status"] == status, execution
        return execution

    return eventually(ended, seconds_max=45)


@contextmanager
def connection_row_locked(desk: Desk) -> Any:
    """Hold the row that the write-ahead must change: the worker claims, and then waits for it."""
    with psycopg.connect(desk.stack.up["database_url"]) as locker:
        locker.execute("SELECT 1 FROM accounts_brokerconnection WHERE client_id = 1 FOR UPDATE")
        yield
        locker.rollback()


def is_claimed(desk: Desk, execution_id: int) -> Callable[[], bool]:
    query = "SELECT claimed_at IS NOT NULL FROM executions_execution WHERE id = %s"
    return lambda: bool(desk.stack.rows(query, execution_id)[0][0])


def test_killed_between_the_claim_and_the_first_byte_nothing_is_placed(desk: Desk) -> None:
    lock: AbstractContextManager[None] = connection_row_locked(desk)
    with lock:
        execution_id = request(desk, key=str(uuid.uuid4()))
        eventually(is_claimed(desk, execution_id))
        pid = desk.stack.kill("broker-worker")
    desk.stack.wait_restarted("broker-worker", not_pid=pid)
    desk.stack.wait_ready()

    execution = ends(desk, execution_id, "NOT_PLACED")
    assert execution["reason_code"] == "not_placed"
    assert "before the first byte" in execution["reason"]
    assert {order["status"] for order in execution["brackets"][0]["orders"]} == {"NOT_PLACED"}
    assert placed_at_broker(desk, execution_id) == []


def test_killed_after_the_write_ahead_before_the_first_byte_nothing_is_placed(desk: Desk) -> None:
    desk.wire.hold_after_orders(0)
    execution_id = request(desk, key=str(uuid.uuid4()))
    assert desk.wire.held.wait(20)
    kill_and_wait_for_the_next(desk)

    execution = ends(desk, execution_id, "NOT_PLACED")
    assert "do not know it" in execution["reason"]
    assert all(order["order_id"] for order in execution["brackets"][0]["orders"])
    assert placed_at_broker(desk, execution_id) == []


def test_killed_between_entry_and_stop_no_share_is_bought(desk: Desk) -> None:
    desk.wire.hold_after_orders(1)
    execution_id = request(desk, key=str(uuid.uuid4()))
    assert desk.wire.held.wait(20)
    kill_and_wait_for_the_next(desk)

    ends(desk, execution_id, "NOT_PLACED")

    def given_up() -> bool:
        """The entry that rested in the Gateway untransmitted is cancelled: nobody can transmit it by hand any more."""
        left = placed_at_broker(desk, execution_id)
        assert [order["order_type"] for order in left] == ["MKT"]
        assert Decimal(left[0]["filled"]) == 0
        return left[0]["status"] == "Cancelled"

    eventually(given_up)


def test_killed_after_the_stop_the_bracket_is_found_and_not_sent_again(desk: Desk) -> None:
    desk.broker.control.pause_fills()
    desk.broker.control.hold_answers(client_id=1)
    execution_id = request(desk, key=str(uuid.uuid4()))
    eventually(lambda: len(placed_at_broker(desk, execution_id)) == 2)
    pid = desk.stack.kill("broker-worker")
    desk.broker.control.resume_fills()
    eventually(lambda: placed_at_broker(desk, execution_id)[0]["status"] == "Filled")
    desk.broker.control.release_answers()
    desk.stack.wait_restarted("broker-worker", not_pid=pid)
    desk.stack.wait_ready()

    execution = ends(desk, execution_id, "OPEN")
    assert len(placed_at_broker(desk, execution_id)) == 2
    eventually(lambda: [fill["commission"] is not None for fill in read(desk, execution_id)["fills"]] == [True])
    stop = next(order for order in execution["brackets"][0]["orders"] if order["leg"] == "STOP_LOSS")
    assert stop["display_status"] == "ACCEPTED"


def test_fills_and_a_stop_out_while_the_worker_is_dead_are_in_the_rows_after_its_restart(desk: Desk) -> None:
    desk.broker.control.set_price("AAPL", "190")
    execution_id = request(desk, key=str(uuid.uuid4()))
    ends(desk, execution_id, "OPEN")
    pid = desk.stack.kill("broker-worker")
    desk.broker.control.set_price("AAPL", "99")
    desk.stack.wait_restarted("broker-worker", not_pid=pid)
    desk.stack.wait_ready()

    execution = ends(desk, execution_id, "CLOSED")
    assert execution["exit_reason"] == "STOP_LOSS"
    assert len(execution["fills"]) == 2
    desk.broker.control.set_price("AAPL", "190")


def test_a_broker_restart_in_the_middle_ends_with_rows_that_equal_its_book(desk: Desk) -> None:
    desk.broker.control.set_price("AAPL", "190")
    desk.broker.control.pause_fills()
    execution_id = request(desk, key=str(uuid.uuid4()), entry_type="LIMIT", entry_price="195.00")
    eventually(lambda: read(desk, execution_id)["status"] == "WORKING")
    desk.broker.restart(kill=True)
    desk.broker.control.set_price("AAPL", "190")
    eventually(lambda: placed_at_broker(desk, execution_id)[0]["status"] == "Filled")
    desk.stack.wait_ready()

    execution = ends(desk, execution_id, "OPEN")
    theirs = {order["order_ref"]: order for order in placed_at_broker(desk, execution_id)}
    for order in execution["brackets"][0]["orders"]:
        assert order["perm_id"] == theirs[order["order_ref"]]["perm_id"]
        assert Decimal(order["filled_quantity"]) == Decimal(theirs[order["order_ref"]]["filled"])
        assert (order["status"] == "FILLED") == (theirs[order["order_ref"]]["status"] == "Filled")


def test_killed_while_a_fill_waits_to_be_recorded_the_fill_is_not_lost(desk: Desk) -> None:
    """Event stored and applied are one transaction: a kill before its commit leaves neither, after it both."""
    desk.broker.control.set_price("AAPL", "190")
    execution_id = request(desk, key=str(uuid.uuid4()))
    ends(desk, execution_id, "OPEN")
    recorded = "SELECT count(*) FROM executions_brokerevent WHERE execution_id = %s AND kind = 'fill_told'"
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%executions_execution%%'"
    )
    with psycopg.connect(desk.stack.up["database_url"]) as locker:
        locker.execute("SELECT 1 FROM executions_execution WHERE id = %s FOR UPDATE", [execution_id])
        desk.broker.control.set_price("AAPL", "99")
        eventually(lambda: desk.stack.rows(waiting)[0][0] > 0)
        pid = desk.stack.kill("broker-worker")
        locker.rollback()
    assert desk.stack.rows(recorded, execution_id)[0][0] == 1
    desk.stack.wait_restarted("broker-worker", not_pid=pid)
    desk.stack.wait_ready()

    execution = ends(desk, execution_id, "CLOSED")
    assert [fill["quantity"] for fill in execution["fills"]] == ["10", "10"]
    assert desk.stack.rows(recorded, execution_id)[0][0] == 2
    desk.broker.control.set_price("AAPL", "190")
