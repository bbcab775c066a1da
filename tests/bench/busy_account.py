"""What a busy account costs: 2,000 open orders, 10,000 deals of the day and 500 positions, all of others, in the book.

first, later   from SYNCHRONISING to READY of the worker, with a day that it does not know, and with one it knows
each minute    a reconcile of a connection that stays: from its first question to its end, as its row says
bare           stops are cancelled by hand while such a reconcile goes on, a random moment after it began: from the
               cancel until the replacement is at the simulator, by the simulator's clock. Besides, with none going on

What makes the worker ask for everything is a share moved into another instrument of ours: its position differs then.
"""

import random
import re
import time
from datetime import datetime

from ib_simulator.client import SimulatorControl
from tests.bench.lost_stops import Bare, Rows, asked, bare, bare_rows, held, is_over, marks, now_of, runs, without_stop
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


def measure(stack: RunningStack) -> Rows:
    """Return rows of name and figure."""
    control = stack.simulator()
    open_ones = [held(stack, "AAPL") for _ in range(BARE_WHILE_ASKED + BARE_IN_PEACE)]
    moved = held(stack, "MSFT")
    control.refuse_connections()
    control.drop_connections()
    _make_busy(control)
    begun = now_of(stack)
    control.accept_connections()
    rows = [("first reconcile, until READY", f"{_ready_seconds(stack, since=begun):.1f} s")]
    rows.append(("later reconcile, after a kill", f"{_after_kill(stack):.1f} s"))
    peace = [bare(stack, control, open_ones.pop()) for _ in range(BARE_IN_PEACE)]
    rows += bare_rows(f"{len(peace)} lost stops, nothing asked", peace)
    lost, overlapped = list[Bare](), 0
    chance = random.Random(1)  # noqa: S311 - moments of a measurement
    while open_ones:
        run = asked(stack, control, turn=len(lost))
        time.sleep(chance.uniform(0, AFTER_SECONDS_MAX))
        overlapped += not is_over(stack, run)
        lost.append(bare(stack, control, open_ones.pop()))
        wait_for(lambda: is_over(stack, run), "the reconcile did not end")  # noqa: B023 - called at once
    rows += bare_rows(f"{len(lost)} lost stops, {overlapped} of them while asked", lost)
    rows.append(("each minute's reconcile", marks(runs(stack, since=begun))))
    wait_for(lambda: not without_stop(stack, but=moved), "shares stay without a stop")
    return rows


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
    begun = now_of(stack)
    pid = stack.kill("broker-worker")
    stack.wait_restarted("broker-worker", not_pid=pid)
    return _ready_seconds(stack, since=begun)
