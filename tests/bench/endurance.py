"""Whether anything grows with the day: a setup every two seconds with moving prices, a line a minute, and an audit.

    memory      of the broker worker and what it started, resident
    waiting     how many events waited to be recorded at most, by what the worker says of itself every second
    reconcile   the longest of the minute
    open        executions that are not finished; beside them all there were, and the deals of the day

Stops and targets are a tenth of a per cent away, so that brackets end all the time: what is open stays about the same
while the day grows. What follows the day would show as memory or waiting that never levels.
"""

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.bench.many_brackets import resident_mb
from tests.running_stack import ROOT, RunningStack

SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMD", "TSLA", "GOOG", "META", "NFLX")
EVERY_SECONDS, MINUTE = 2.0, 60.0
AWAY = Decimal("0.001")
CENT = Decimal("0.01")


def measure(stack: RunningStack, *, minutes: int) -> Iterator[tuple[str, str]]:
    """Yield a row of name and figure each minute, and what the audit finds at the end."""
    control, chance = stack.simulator(), random.Random(35)  # noqa: S311 - symbols and sides of a measurement
    begun, setups, refused = time.monotonic(), 0, 0
    for minute in range(1, minutes + 1):
        waiting = 0
        while time.monotonic() < begun + minute * MINUTE:
            waiting = max(waiting, _waiting(stack))
            if time.monotonic() >= begun + setups * EVERY_SECONDS:
                setups += 1
                symbol = chance.choice(SYMBOLS)
                last = Decimal(control.step()[symbol])
                refused += not _executed(stack, symbol, last=last, is_long=chance.random() < 0.5)
            time.sleep(0.2)
        yield f"minute {minute}", _figures(stack, waiting=waiting)
    yield "setups", f"{setups}, {refused} of them refused"
    yield "audit_executions --replay", _audit(stack)


def _executed(stack: RunningStack, symbol: str, *, last: Decimal, is_long: bool) -> bool:
    near, far = (last * (1 - AWAY)).quantize(CENT), (last * (1 + AWAY)).quantize(CENT)
    plan: dict[str, Any] = {
        "symbol": symbol,
        "side": "LONG" if is_long else "SHORT",
        "entry_type": "MARKET",
        "stop_price": str(near if is_long else far),
        "take_profits": [{"price": str(far if is_long else near)}],
        "quantity": "1",
    }
    setup = stack.api.post("/api/v1/setups/", plan)
    if setup.status != 201:
        return False
    path = f"/api/v1/setups/{setup.body['id']}/execute/"
    return stack.api.post(path, Idempotency_Key=str(uuid.uuid4())).status == 202


def _waiting(stack: RunningStack) -> int:
    return int(stack.rows("SELECT coalesce(max(events_waiting), 0) FROM accounts_brokerconnection")[0][0])


def _figures(stack: RunningStack, *, waiting: int) -> str:
    query = (
        "SELECT (SELECT count(*) FROM executions_execution WHERE finished_at IS NULL), "
        "(SELECT count(*) FROM executions_execution), (SELECT count(*) FROM executions_fill), "
        "(SELECT max(finished_at - started_at) FROM executions_reconcilerun "
        "WHERE started_at > now() - interval '1 minute')"
    )
    ((open_now, executions, deals, longest),) = stack.rows(query)
    memory = resident_mb(stack.up["pids"]["broker-worker"])
    took = f"{longest.total_seconds():.2f} s" if longest is not None else "none"
    told = f"memory {memory} MB, waiting {waiting} at most, reconcile {took}"
    return f"{told}, {open_now} open of {executions}, {deals} deals"


def _audit(stack: RunningStack) -> str:
    servers = {"DATABASE_URL": stack.up["database_url"], "REDIS_URL": stack.up["redis_url"]}
    done = subprocess.run(
        [sys.executable, "manage.py", "audit_executions", "--replay"],
        cwd=ROOT,
        env={**os.environ, **servers, "PYTHONPATH": str(ROOT / "backend")},
        capture_output=True,
        text=True,
        check=False,
    )
    return "nothing found" if done.returncode == 0 else f"{done.stdout}{done.stderr}"
