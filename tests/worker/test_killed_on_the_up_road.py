"""Kill -9 at each numbered point of the up road (`worker.event_recorder`): no fill is lost, no repair is done twice."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from tests.eventually import eventually
from tests.worker.desk import Desk
from tests.worker.standstill import (
    gate,
    news_stopped,
    news_wait,
    row_locked,
    waits_at_gate,
    waits_for_row,
)

pytestmark = pytest.mark.slow
EXECUTION, CONNECTION = "executions_execution", "accounts_brokerconnection"
FILLS_HEARD = "SELECT count(*) FROM executions_brokerevent WHERE execution_id = %s AND kind = 'fill_told'"


def fills_heard(desk: Desk, execution_id: int) -> int:
    count: int = desk.stack.rows(FILLS_HEARD, execution_id)[0][0]
    return count


def is_held_behind_one_stop(desk: Desk, execution_id: int) -> dict[str, Any]:
    """Every row is the broker's, every deal is there once, and one stop works, for all shares."""
    desk.becomes(execution_id, "OPEN")
    execution = desk.agrees(execution_id)
    assert [stop["remaining"] for stop in desk.live_stops(execution_id)] == ["10"]
    # Nothing is left that a person must look at, but that the guard had to act.
    assert execution["attention"] == "" or desk.legs(execution_id, "PROTECT")
    return execution


def lose_stop(desk: Desk, execution_id: int) -> None:
    """The broker cancels the stop by itself: the guard has to put another in its place."""
    desk.broker.control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"))


@contextmanager
def news_of(desk: Desk, execution_id: int) -> Iterator["redis.client.PubSub"]:
    with redis.Redis.from_url(desk.stack.up["redis_url"]) as client, client.pubsub() as news:
        news.subscribe(f"execution:{execution_id}")
        assert news.get_message(timeout=5), "not subscribed"
        yield news


def test_point_1_received_and_waiting_in_the_queue(desk: Desk) -> None:
    first, execution_id = desk.working(), desk.working()
    with row_locked(desk.stack, EXECUTION, first):
        desk.broker.control.cancel_order(order_ref=desk.ref(first, "ENTRY"))
        waits_for_row(desk.stack, EXECUTION)
        for _ in range(10):
            desk.broker.control.fill(order_ref=desk.ref(execution_id, "ENTRY"), quantity=1)
        # Each deal is told by two messages at least; what the first one's end told is less than ten.
        eventually(lambda: desk.connection("events_waiting") >= 20)
        fence = desk.kill_worker()
    assert fills_heard(desk, execution_id) == 0
    desk.next_worker(after=fence)

    assert len(is_held_behind_one_stop(desk, execution_id)["fills"]) == 10
    desk.becomes(first, "CANCELLED")


def test_point_2_taken_from_the_queue_not_stored(desk: Desk) -> None:
    execution_id = desk.working()
    with row_locked(desk.stack, EXECUTION, execution_id):
        desk.broker.control.fill(order_ref=desk.ref(execution_id, "ENTRY"))
        waits_for_row(desk.stack, EXECUTION)
        fence = desk.kill_worker()
    assert fills_heard(desk, execution_id) == 0
    desk.next_worker(after=fence)

    assert len(is_held_behind_one_stop(desk, execution_id)["fills"]) == 1


def test_point_3_stored_not_committed(desk: Desk) -> None:
    execution_id = desk.working()
    with gate(desk.stack, before="INSERT", table="executions_brokerevent", when="NEW.kind = 'fill_told'"):
        desk.broker.control.fill(order_ref=desk.ref(execution_id, "ENTRY"))
        waits_at_gate(desk.stack)
        fence = desk.kill_worker()
    assert fills_heard(desk, execution_id) == 0
    desk.next_worker(after=fence)

    assert len(is_held_behind_one_stop(desk, execution_id)["fills"]) == 1


def test_point_4_committed_news_not_published(desk: Desk) -> None:
    execution_id = desk.working()
    with news_of(desk, execution_id) as news, ExitStack() as until_killed:
        # Given a Valkey that takes no publish from the moment at which the deal is being stored
        at_the_deal = gate(desk.stack, before="INSERT", table="executions_brokerevent", when="NEW.kind = 'fill_told'")
        with at_the_deal as open_gate:
            desk.broker.control.fill(order_ref=desk.ref(execution_id, "ENTRY"))
            waits_at_gate(desk.stack)
            valkey = until_killed.enter_context(news_stopped(desk))
            while news.get_message(timeout=0.1):
                """What came before the deal."""
            open_gate()
            # Then its news waits when it is committed, and not before
            eventually(lambda: news_wait(valkey), every_seconds=0.01)
            assert fills_heard(desk, execution_id) == 1
            fence = desk.kill_worker()
        assert news.get_message(timeout=0.1) is None
    desk.next_worker(after=fence)

    assert len(is_held_behind_one_stop(desk, execution_id)["fills"]) == 1


def test_point_5_news_published_guard_has_not_looked(desk: Desk) -> None:
    busy, execution_id = desk.held(), desk.held()
    with gate(desk.stack, before="INSERT", table="executions_order", when="NEW.leg = 'PROTECT'"):
        # Given a guard that is in the middle of another bracket's repair
        lose_stop(desk, busy)
        waits_at_gate(desk.stack)
        with news_of(desk, execution_id) as news:
            lose_stop(desk, execution_id)
            assert eventually(lambda: news.get_message(timeout=0.1))["type"] == "message"
        fence = desk.kill_worker()
    assert [order["status"] for order in desk.legs(execution_id, "STOP_LOSS")] == ["CANCELLED"]
    assert [desk.legs(each, "PROTECT") for each in (busy, execution_id)] == [[], []]
    desk.next_worker(after=fence)

    for each in (busy, execution_id):
        eventually(lambda each=each: desk.live_stops(each))
        is_held_behind_one_stop(desk, each)
        assert len(desk.legs(each, "PROTECT")) == 1


def test_point_6_repair_written_down_not_written_ahead(desk: Desk) -> None:
    execution_id = desk.held()
    with row_locked(desk.stack, CONNECTION, desk.connection("id")):
        lose_stop(desk, execution_id)
        waits_for_row(desk.stack, CONNECTION)
        assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["CREATED"]
        fence = desk.kill_worker()
    assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["CREATED"]
    desk.next_worker(after=fence)

    eventually(lambda: desk.live_stops(execution_id))
    is_held_behind_one_stop(desk, execution_id)
    assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["NOT_PLACED", "HELD"]


def test_point_7_repair_written_ahead_not_on_the_wire(desk: Desk) -> None:
    execution_id = desk.held()
    desk.wire.hold_after_orders(0)
    lose_stop(desk, execution_id)
    assert desk.wire.held.wait(20)
    assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["SENT"]
    fence = desk.kill_worker()
    desk.wire.let_through()
    desk.next_worker(after=fence)

    eventually(lambda: desk.live_stops(execution_id))
    is_held_behind_one_stop(desk, execution_id)
    assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["NOT_PLACED", "HELD"]


def test_point_8_repair_on_the_wire_not_answered(desk: Desk) -> None:
    execution_id = desk.held()
    with row_locked(desk.stack, CONNECTION, desk.connection("id")):
        lose_stop(desk, execution_id)
        waits_for_row(desk.stack, CONNECTION)
        desk.broker.control.hold_answers(client_id=1)
    eventually(lambda: desk.live_stops(execution_id))
    assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["SENT"]
    fence = desk.kill_worker()
    desk.broker.control.release_answers()
    desk.next_worker(after=fence)

    is_held_behind_one_stop(desk, execution_id)
    assert [order["status"] for order in desk.legs(execution_id, "PROTECT")] == ["HELD"]


def test_stopped_out_while_the_deal_waits_for_its_execution_both_deals_are_there(desk: Desk) -> None:
    """Point 2 once more, on the way out: what is lost then would leave shares open that were sold."""
    execution_id = desk.held()
    with row_locked(desk.stack, EXECUTION, execution_id):
        desk.broker.control.set_price("AAPL", "99")
        waits_for_row(desk.stack, EXECUTION)
        fence = desk.kill_worker()
    assert fills_heard(desk, execution_id) == 1
    desk.next_worker(after=fence)

    desk.becomes(execution_id, "CLOSED")
    assert [fill["quantity"] for fill in desk.agrees(execution_id)["fills"]] == ["10", "10"]
