"""Stops that are cancelled by hand, and for how long their shares are without one; runs of a reconcile beside them."""

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ib_simulator.client import SimulatorControl
from tests.bench.waiting import wait_for
from tests.running_stack import RunningStack

SECOND = timedelta(seconds=1)

Rows = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Bare:
    """For how long a share was without a stop: in all, until its end was heard, and until that was recorded."""

    seconds: float
    heard: float
    recorded: float


def held(stack: RunningStack, symbol: str, **more: Any) -> int:
    """Have a share bought, and return its execution once it is open and its stop is known to the broker."""
    plan = {"symbol": symbol, "side": "LONG", "entry_type": "MARKET", "stop_price": "10.00", "quantity": "1", **more}
    setup = stack.api.post("/api/v1/setups/", plan).body["id"]
    answer = stack.api.post(f"/api/v1/setups/{setup}/execute/", Idempotency_Key=f"held-{setup}")
    assert answer.status == 202, answer
    execution: int = answer.body["id"]
    query = (
        "SELECT 1 FROM executions_order o JOIN executions_bracket b ON b.id = o.bracket_id "
        "WHERE b.execution_id = %s AND o.leg = 'STOP_LOSS' AND o.status IN ('HELD', 'WORKING') AND o.perm_id > 0"
    )
    opened = "SELECT 1 FROM executions_execution WHERE id = %s AND status = 'OPEN'"
    wait_for(lambda: stack.rows(query, execution) and stack.rows(opened, execution), "an entry was not filled")
    return execution


def now_of(stack: RunningStack) -> datetime:
    """Return the moment by the database's clock, which is that of the logs too."""
    moment: datetime = stack.rows("SELECT clock_timestamp()")[0][0]
    return moment


def asked(stack: RunningStack, control: SimulatorControl, *, turn: int) -> int:
    """Have everything asked for, and return the run as soon as it has begun.

    A position of ours that differs has it asked for; a doubt that is known is asked about ten seconds later. So a
    share is moved in and out, turn by turn.
    """
    last = _last_run(stack)
    control.transfer(symbol="MSFT", quantity=1 if turn % 2 == 0 else -1)
    wait_for(lambda: _last_run(stack) > last, "nothing was asked", pause_seconds=0.02)
    return _last_run(stack)


def _last_run(stack: RunningStack) -> int:
    return int(stack.rows("SELECT coalesce(max(id), 0) FROM executions_reconcilerun")[0][0])


def is_over(stack: RunningStack, run: int) -> bool:
    return bool(stack.rows("SELECT 1 FROM executions_reconcilerun WHERE id = %s AND finished_at IS NOT NULL", run))


def bare(stack: RunningStack, control: SimulatorControl, execution: int) -> Bare:
    """Cancel the stop by hand, as somebody in TWS would, and return for how long the share was without one, and why."""
    query = (
        "SELECT o.order_ref, o.perm_id FROM executions_order o JOIN executions_bracket b ON b.id = o.bracket_id "
        "WHERE b.execution_id = %s AND o.leg = 'STOP_LOSS'"
    )
    ((order_ref, perm_id),) = stack.rows(query, execution)
    control.cancel_order(perm_id=perm_id)
    protect_ref = order_ref.replace("STOP_LOSS", "PROTECT")
    sent: list[dict[str, Any]] = []

    def is_sent() -> bool:
        messages = control.messages(name="placeOrder", limit=30)
        sent.extend(message for message in messages if protect_ref in message["fields"])
        return bool(sent)

    wait_for(is_sent, f"{protect_ref} was not sent", pause_seconds=0.1)
    stop = next(order for order in control.orders() if order["order_ref"] == order_ref)
    cancelled_at, sent_at = (datetime.fromisoformat(text) for text in (stop["completed_at"], sent[0]["received_at"]))
    query = (
        "SELECT received_at, recorded_at FROM executions_brokerevent told "
        "JOIN executions_order o ON o.id = told.order_id WHERE o.order_ref = %s "
        "AND told.payload ->> 'status' = 'Cancelled' ORDER BY told.id LIMIT 1"
    )
    ((heard_at, recorded_at),) = stack.rows(query, order_ref)
    return Bare(
        seconds=(sent_at - cancelled_at) / SECOND,
        heard=(heard_at - cancelled_at) / SECOND,
        recorded=(recorded_at - heard_at) / SECOND,
    )


def bare_rows(name: str, found: list[Bare]) -> Rows:
    heard, recorded = (
        statistics.median(figures) for figures in zip(*((one.heard, one.recorded) for one in found), strict=True)
    )
    return [
        (name, marks([one.seconds for one in found])),
        ("  of it, the medians of", f"heard {heard:.2f}, recorded {recorded:.2f} s"),
        ("  heard at the latest", f"after {max(one.heard for one in found):.2f} s"),
    ]


def runs(stack: RunningStack, *, since: datetime) -> list[float]:
    query = (
        "SELECT finished_at - started_at FROM executions_reconcilerun WHERE is_complete AND started_at > %s ORDER BY id"
    )
    return [took.total_seconds() for (took,) in stack.rows(query, since)][1:]


def without_stop(stack: RunningStack, *, but: int) -> int:
    query = (
        "SELECT count(*) FROM executions_execution e WHERE e.open_quantity > 0 AND e.id <> %s AND NOT EXISTS ("
        "SELECT 1 FROM executions_bracket b JOIN executions_order o ON o.bracket_id = b.id WHERE b.execution_id = e.id "
        "AND o.leg IN ('STOP_LOSS', 'PROTECT') AND o.status IN ('HELD', 'WORKING'))"
    )
    return int(stack.rows(query, but)[0][0])


def marks(values: list[float]) -> str:
    return f"p50 {statistics.median(values):.2f} s, max {max(values):.2f} s" if values else "none"
