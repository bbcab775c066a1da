"""Kill -9 at each numbered point of the down road (`executions.services.submit`): placed once or never, with an end."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.eventually import eventually
from tests.worker.desk import LIMIT, Desk
from tests.worker.standstill import gate, row_locked, waits_at_gate

pytestmark = pytest.mark.slow


def kill_and_wait_for_the_next(desk: Desk) -> None:
    fence = desk.kill_worker()
    desk.wire.let_through()
    desk.next_worker(after=fence)


def is_claimed(desk: Desk, execution_id: int) -> Callable[[], bool]:
    query = "SELECT claimed_at IS NOT NULL FROM executions_execution WHERE id = %s"
    return lambda: bool(desk.stack.rows(query, execution_id)[0][0])


def test_point_1_killed_before_the_claim_it_is_taken_again_and_placed_once(desk: Desk) -> None:
    with gate(desk.stack, before="UPDATE", table="executions_execution", when="NEW.status = 'SUBMITTING'"):
        execution_id = desk.request()
        waits_at_gate(desk.stack)
        fence = desk.kill_worker()
        assert desk.read(execution_id)["status"] == "REQUESTED"
    desk.next_worker(after=fence)

    desk.becomes(execution_id, "OPEN")
    assert desk.agrees(execution_id)["attention"] == ""
    assert [order["order_type"] for order in desk.placed(execution_id)] == ["MKT", "STP"]


def test_point_2_killed_between_the_claim_and_the_write_ahead_nothing_is_placed(desk: Desk) -> None:
    with row_locked(desk.stack, "accounts_brokerconnection", desk.connection("id")):
        execution_id = desk.request()
        eventually(is_claimed(desk, execution_id))
        fence = desk.kill_worker()
    desk.next_worker(after=fence)

    execution = desk.becomes(execution_id, "NOT_PLACED")
    assert execution["reason_code"] == "not_placed"
    assert "before the first byte" in execution["reason"]
    assert {order["status"] for order in execution["brackets"][0]["orders"]} == {"NOT_PLACED"}
    assert desk.placed(execution_id) == []


@pytest.mark.case("T32")
def test_point_2_with_a_limit_entry_the_next_worker_places_it_once(desk: Desk) -> None:
    with row_locked(desk.stack, "accounts_brokerconnection", desk.connection("id")):
        execution_id = desk.request(**LIMIT)
        eventually(is_claimed(desk, execution_id))
        fence = desk.kill_worker()
    desk.next_worker(after=fence)

    desk.becomes(execution_id, "WORKING")
    assert desk.agrees(execution_id)["attention"] == ""
    assert [order["order_type"] for order in desk.placed(execution_id)] == ["LMT", "STP"]


def test_point_3_killed_after_the_write_ahead_before_the_first_byte_nothing_is_placed(desk: Desk) -> None:
    desk.wire.hold_after_orders(0)
    execution_id = desk.request()
    assert desk.wire.held.wait(20)
    kill_and_wait_for_the_next(desk)

    execution = desk.becomes(execution_id, "NOT_PLACED")
    assert "do not know it" in execution["reason"]
    assert all(order["order_id"] for order in execution["brackets"][0]["orders"])
    assert desk.placed(execution_id) == []


def test_point_4_killed_between_entry_and_stop_no_share_is_bought(desk: Desk) -> None:
    desk.wire.hold_after_orders(1)
    execution_id = desk.request()
    assert desk.wire.held.wait(20)
    kill_and_wait_for_the_next(desk)

    desk.becomes(execution_id, "NOT_PLACED")

    def given_up() -> bool:
        """The entry that rested in the Gateway untransmitted is cancelled: nobody can transmit it by hand any more."""
        left = desk.placed(execution_id)
        assert [order["order_type"] for order in left] == ["MKT"]
        assert Decimal(left[0]["filled"]) == 0
        return left[0]["status"] == "Cancelled"

    eventually(given_up)


def test_point_5_killed_after_the_stop_the_bracket_is_found_and_not_sent_again(desk: Desk) -> None:
    desk.broker.control.pause_fills()
    desk.broker.control.hold_answers(client_id=1)
    execution_id = desk.request()
    eventually(lambda: len(desk.placed(execution_id)) == 2)
    fence = desk.kill_worker()
    desk.broker.control.resume_fills()
    eventually(lambda: desk.placed(execution_id)[0]["status"] == "Filled")
    desk.broker.control.release_answers()
    desk.next_worker(after=fence)

    desk.becomes(execution_id, "OPEN")
    assert desk.agrees(execution_id)["attention"] == ""
    assert [order["order_type"] for order in desk.placed(execution_id)] == ["MKT", "STP"]
    assert [order["display_status"] for order in desk.legs(execution_id, "STOP_LOSS")] == ["ACCEPTED"]


def test_a_broker_restart_in_the_middle_ends_with_rows_that_equal_its_book(desk: Desk) -> None:
    desk.broker.control.pause_fills()
    execution_id = desk.working(entry_price="195.00")
    desk.broker.restart(kill=True)
    desk.broker.control.set_price("AAPL", "190")
    eventually(lambda: desk.placed(execution_id)[0]["status"] == "Filled")
    desk.stack.wait_ready()

    desk.becomes(execution_id, "OPEN")
    desk.agrees(execution_id)
