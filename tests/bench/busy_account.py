"""What a busy account costs: 2,000 open orders, 10,000 deals of the day and 500 positions, all of others, in the book.

first, later   from SYNCHRONISING to READY of the worker, with a day that it does not know, and with one it knows
each minute    a reconcile of a connection that stays: from its first question to its end, as its row says
bare           stops are cancelled by hand while such a reconcile goes on, a random moment after it began: from the
               cancel until the replacement is at the simulator, by the simulator's clock. Besides, with none going on

What makes the worker ask for everything is a share moved into another instrument of ours: its position differs then.
"""

import random
import re
import statistics
import time
from datetime import datetime, timedelta
from typing import Any

from ib_simulator.client import SimulatorControl
from tests.bench.waiting import wait_for
from tests.running_stack import RunningStack

ORDERS, DEALS, POSITIONS = 2000, 10_000, 500
DEALS_PER_ORDER = 10
OTHERS_SYMBOL = "KO"
# Options of one stock make many instruments: 126 of each expiry.
EXPIRIES, STRIKES = ("300118", "300125", "300201", "300208"), range(33, 96)
BARE_WHILE_ASKED, BARE_IN_PEACE = 8, 4
# How long after the beginning of a reconcile a stop is cancelled, at most.
AFTER_SECONDS_MAX = 2.0
_STATE = re.compile(r"^time=(\S+) .*event=broker_connection .*state=(\w+) .*logger=app\.worker\.broker_thread", re.M)

Rows = list[tuple[str, str]]


def measure(stack: RunningStack) -> Rows:
    """Return rows of name and figure."""
    control = stack.simulator()
    held = [_held(stack, "AAPL") for _ in range(BARE_WHILE_ASKED + BARE_IN_PEACE)]
    moved = _held(stack, "MSFT")
    control.refuse_connections()
    control.drop_connections()
    _make_busy(control)
    begun = _now(stack)
    control.accept_connections()
    rows = [("first reconcile, until READY", f"{_ready_seconds(stack, since=begun):.1f} s")]
    rows.append(("later reconcile, after a kill", f"{_after_kill(stack):.1f} s"))
    peace = [_bare_seconds(stack, control, held.pop()) for _ in range(BARE_IN_PEACE)]
    rows.append((f"{len(peace)} lost stops, nothing asked", _marks(peace)))
    bare, overlapped = [], 0
    chance = random.Random(1)  # noqa: S311 - moments of a measurement
    while held:
        run = _asked(stack, control)
        time.sleep(chance.uniform(0, AFTER_SECONDS_MAX))
        overlapped += not _is_over(stack, run)
        bare.append(_bare_seconds(stack, control, held.pop()))
        wait_for(lambda: _is_over(stack, run), "the reconcile did not end")  # noqa: B023 - called at once
    rows.append((f"{len(bare)} lost stops, {overlapped} of them while asked", _marks(bare)))
    rows.append(("each minute's reconcile", _marks(_runs(stack, since=begun))))
    rows.append(("still without a stop", str(_without_stop(stack, but=moved))))
    return rows


def _held(stack: RunningStack, symbol: str) -> int:
    """Have a share bought, and return its execution once it is open and its stop is known to the broker."""
    plan = {"symbol": symbol, "side": "LONG", "entry_type": "MARKET", "stop_price": "10.00", "quantity": "1"}
    setup = stack.api.post("/api/v1/setups/", plan).body["id"]
    answer = stack.api.post(f"/api/v1/setups/{setup}/execute/", Idempotency_Key=f"busy-{setup}")
    assert answer.status == 202, answer
    execution: int = answer.body["id"]
    query = (
        "SELECT 1 FROM executions_order o JOIN executions_bracket b ON b.id = o.bracket_id "
        "WHERE b.execution_id = %s AND o.leg = 'STOP_LOSS' AND o.status IN ('HELD', 'WORKING') AND o.perm_id > 0"
    )
    opened = "SELECT 1 FROM executions_execution WHERE id = %s AND status = 'OPEN'"
    wait_for(lambda: stack.rows(query, execution) and stack.rows(opened, execution), "an entry was not filled")
    return execution


def _make_busy(control: SimulatorControl) -> None:
    for _ in range(DEALS // DEALS_PER_ORDER):
        order = control.place_external(
            symbol=OTHERS_SYMBOL, action="BUY", quantity=DEALS_PER_ORDER, order_type="LMT", limit_price="1.00"
        )
        for _ in range(DEALS_PER_ORDER):
            control.fill(perm_id=order["perm_id"], quantity=1, price="60.00")
    for _ in range(ORDERS):
        control.place_external(symbol=OTHERS_SYMBOL, action="BUY", quantity=1, order_type="LMT", limit_price="1.00")
    listed = [
        f"{OTHERS_SYMBOL:<6}{day}{right}{strike:05d}000" for day in EXPIRIES for right in "CP" for strike in STRIKES
    ]
    for symbol in listed[:POSITIONS]:
        control.set_position(symbol=symbol, quantity=1, average_cost="100")


def _now(stack: RunningStack) -> datetime:
    """Return the moment by the database's clock, which is that of the logs too."""
    moment: datetime = stack.rows("SELECT clock_timestamp()")[0][0]
    return moment


def _ready_seconds(stack: RunningStack, *, since: datetime) -> float:
    """Wait until the connection is READY, and return how long it was SYNCHRONISING."""
    found: dict[str, datetime] = {}

    def ready() -> bool:
        for told, state in _STATE.findall(stack.log("broker-worker")):
            if (moment := datetime.fromisoformat(told)) > since:
                found[state] = moment
        return found.get("READY", since) > found.get("SYNCHRONISING", since) > since

    wait_for(ready, "the worker was not READY in time")
    return (found["READY"] - found["SYNCHRONISING"]).total_seconds()


def _after_kill(stack: RunningStack) -> float:
    begun = _now(stack)
    pid = stack.kill("broker-worker")
    stack.wait_restarted("broker-worker", not_pid=pid)
    return _ready_seconds(stack, since=begun)


def _asked(stack: RunningStack, control: SimulatorControl) -> int:
    """Have everything asked for, and return the run as soon as it has begun."""
    last = _last_run(stack)
    control.transfer(symbol="MSFT", quantity=1)
    wait_for(lambda: _last_run(stack) > last, "nothing was asked", pause_seconds=0.02)
    return _last_run(stack)


def _last_run(stack: RunningStack) -> int:
    return int(stack.rows("SELECT coalesce(max(id), 0) FROM executions_reconcilerun")[0][0])


def _is_over(stack: RunningStack, run: int) -> bool:
    return bool(stack.rows("SELECT 1 FROM executions_reconcilerun WHERE id = %s AND finished_at IS NOT NULL", run))


def _bare_seconds(stack: RunningStack, control: SimulatorControl, execution: int) -> float:
    """Cancel the stop by hand, as somebody in TWS would, and return how long the share was without one."""
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
    received_at = datetime.fromisoformat(sent[0]["received_at"])
    return (received_at - datetime.fromisoformat(stop["completed_at"])) / timedelta(seconds=1)


def _runs(stack: RunningStack, *, since: datetime) -> list[float]:
    query = (
        "SELECT finished_at - started_at FROM executions_reconcilerun WHERE is_complete AND started_at > %s ORDER BY id"
    )
    return [took.total_seconds() for (took,) in stack.rows(query, since)][1:]


def _without_stop(stack: RunningStack, *, but: int) -> int:
    query = (
        "SELECT count(*) FROM executions_execution e WHERE e.open_quantity > 0 AND e.id <> %s AND NOT EXISTS ("
        "SELECT 1 FROM executions_bracket b JOIN executions_order o ON o.bracket_id = b.id WHERE b.execution_id = e.id "
        "AND o.leg IN ('STOP_LOSS', 'PROTECT') AND o.status IN ('HELD', 'WORKING'))"
    )
    return int(stack.rows(query, but)[0][0])


def _marks(values: list[float]) -> str:
    return f"p50 {statistics.median(values):.2f} s, max {max(values):.2f} s" if values else "none"
