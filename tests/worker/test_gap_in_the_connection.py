"""What happens at the broker while nobody listens is in the rows after the reconnect, with times and costs.

Five ways not to listen, and three things that happen meanwhile. How long the rows took, from the moment the worker
begins to synchronise, is printed (`pytest -s`); it is no assertion, because a busy machine is no fault of ours.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest

from tests.eventually import eventually
from tests.worker.desk import WORKER, Desk

pytestmark = pytest.mark.slow
SYNCHRONISING = re.compile(r"^time=(\S+) .*event=broker_connection .*state=SYNCHRONISING.*app\.worker", re.MULTILINE)
ROLLED_BACK_BY = 50


def lost(desk: Desk) -> bool:
    return str(desk.connection("state")) != "READY"


@contextmanager
def gateway_lost_ib(desk: Desk) -> Iterator[None]:
    """1100, and at the end 1102; nothing of what happens between is told by itself."""
    desk.broker.control.outage()
    eventually(lambda: desk.stack.log(WORKER).rfind("state=DEGRADED") > desk.stack.log(WORKER).rfind("state=READY"))
    yield
    desk.broker.control.end_outage()


@contextmanager
def socket_cut(desk: Desk) -> Iterator[None]:
    desk.broker.control.refuse_connections()
    desk.broker.control.drop_connections()
    eventually(lambda: lost(desk))
    yield
    desk.broker.control.accept_connections()


@contextmanager
def worker_dead(desk: Desk) -> Iterator[None]:
    # It finds nobody to connect to until the end, however early it is started again.
    desk.broker.control.refuse_connections()
    fence = desk.kill_worker()
    yield
    desk.broker.control.accept_connections()
    desk.next_worker(after=fence)


@contextmanager
def gateway_restarted(desk: Desk) -> Iterator[None]:
    """The Gateway goes, comes back, and gives out order ids that it gave out before."""
    desk.broker.control.refuse_connections()
    desk.broker.control.restart_gateway(roll_back_ids_by=ROLLED_BACK_BY)
    eventually(lambda: lost(desk))
    yield
    desk.broker.control.accept_connections()


@contextmanager
def socket_port_reset(desk: Desk) -> Iterator[None]:
    """1300, and the old socket stays open: only the message says that nothing comes over it any more."""
    desk.broker.control.refuse_connections()
    desk.broker.control.send_error(code=1300, text="TWS socket port has been reset", client_id=1)
    eventually(lambda: lost(desk))
    yield
    desk.broker.control.accept_connections()


def entry_is_filled(desk: Desk) -> tuple[int, Callable[[], object], str]:
    execution_id = desk.working()
    ref = desk.ref(execution_id, "ENTRY")
    return execution_id, lambda: desk.broker.control.fill(order_ref=ref), "OPEN"


def entry_is_cancelled(desk: Desk) -> tuple[int, Callable[[], object], str]:
    execution_id = desk.working()
    ref = desk.ref(execution_id, "ENTRY")
    return execution_id, lambda: desk.broker.control.cancel_order(order_ref=ref), "CANCELLED"


def shares_are_stopped_out(desk: Desk) -> tuple[int, Callable[[], object], str]:
    execution_id = desk.held(stop_price="150.00")
    return execution_id, lambda: desk.broker.control.set_price("AAPL", "149"), "CLOSED"


@pytest.mark.parametrize("happens", [entry_is_filled, entry_is_cancelled, shares_are_stopped_out])
@pytest.mark.parametrize("gap", [gateway_lost_ib, socket_cut, worker_dead, gateway_restarted, socket_port_reset])
def test_what_happened_in_a_gap_is_in_the_rows_with_times_and_costs(
    desk: Desk,
    gap: Callable[[Desk], AbstractContextManager[None]],
    happens: Callable[[Desk], tuple[int, Callable[[], object], str]],
) -> None:
    # Given an order, and nobody who listens
    execution_id, happen, status = happens(desk)
    before = desk.read(execution_id)["status"]
    with gap(desk):
        # When something becomes of it
        happen()
        assert desk.read(execution_id)["status"] == before
    # Then it is in the rows after the reconnect
    synchronised_to(desk, execution_id, status, what=f"{gap.__name__}, {happens.__name__}")
    execution = desk.agrees(execution_id)
    assert execution["attention"] == ""
    assert len(execution["fills"]) == {"OPEN": 1, "CANCELLED": 0, "CLOSED": 2}[status]
    if status == "OPEN":
        assert [stop["remaining"] for stop in desk.live_stops(execution_id)] == ["10"]
    # And whatever the Gateway gives out, an id is never used twice
    again = desk.held()
    ids = desk.stack.rows("SELECT order_id FROM executions_order WHERE order_id IS NOT NULL")
    assert len(ids) == len(set(ids))
    assert [order["order_type"] for order in desk.placed(again)] == ["MKT", "STP"]


def synchronised_to(desk: Desk, execution_id: int, status: str, *, what: str) -> None:
    """Wait for the status, with the cost of each deal, and print how long it took from the reconnect."""
    settled = (
        "SELECT status = %s AND (SELECT count(*) = count(cost.id) FROM executions_fill AS deal"
        " JOIN executions_order AS leg ON leg.id = deal.order_id"
        " JOIN executions_bracket AS bracket ON bracket.id = leg.bracket_id"
        " LEFT JOIN executions_commission AS cost ON cost.fill_id = deal.id WHERE bracket.execution_id = execution.id)"
        " FROM executions_execution AS execution WHERE id = %s"
    )
    eventually(lambda: desk.stack.rows(settled, status, execution_id)[0][0], seconds_max=60, every_seconds=0.01)
    done = datetime.now(UTC)
    began = datetime.fromisoformat(SYNCHRONISING.findall(desk.stack.log(WORKER))[-1])
    took = (done - began).total_seconds()
    print(f"\n{what}: in the rows {took:.2f} s after the reconnect")
