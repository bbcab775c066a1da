"""What many brackets at once cost: the message rate used, a reconcile, a sweep of the guard, the worker's memory.

burst        all executions are handed to the worker at once; the simulator's log says how fast they came
protective   a stop is cancelled by hand in the middle of the burst: until its replacement is on the wire
reconcile    the worker is killed; from SYNCHRONISING to READY of the next one, with everything open
"""

import os
import re
import statistics
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.running_stack import RunningStack

WAIT_SECONDS_MAX = 300.0
GUARD_ROUNDS = 7
WINDOW_MS = 1000.0
_STATE = re.compile(r"^time=(\S+) .*event=broker_connection .*state=(\w+)")


def measure(stack: RunningStack, *, count: int) -> list[tuple[str, str]]:
    """Return rows of name and figure. Leaves `count` open brackets behind."""
    _use_servers_of(stack)
    rates = _burst(stack, count=count)
    rows = [*rates, ("reconcile after a kill", f"{_reconcile_seconds(stack):.2f} s")]
    guard = [_guard_ms() for _ in range(GUARD_ROUNDS)]
    rows.append((f"guard, a look at {count} brackets", f"{statistics.median(guard):.0f} ms"))
    rows.append(("broker worker's memory", f"{_resident_mb(stack.up['pids']['broker-worker'])} MB"))
    return rows


def _use_servers_of(stack: RunningStack) -> None:
    os.environ |= {
        "DATABASE_URL": stack.up["database_url"],
        "REDIS_URL": stack.up["redis_url"],
        "DJANGO_SETTINGS_MODULE": "app.config.settings",
    }
    import django

    django.setup()


def _requested(count: int) -> list[int]:
    """Write so many requests without telling the worker, and return their ids."""
    from django.contrib.auth.models import User
    from django.db import transaction

    from app.accounts.models import Account
    from app.core import clock
    from app.domain.contract import Contract, SymbolInfo
    from app.executions.services.request import execution_request
    from app.market.services import instrument_record
    from app.setups.services import setup_create

    analyst, account = User.objects.get(username="demo"), Account.objects.get()
    ids = []
    info = SymbolInfo(contract=Contract(symbol="AAPL"), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")
    for _ in range(count):
        now = clock.now()
        instrument_record(info=info, last_price=Decimal(190), now=now)
        values: dict[str, Any] = {
            "symbol": "AAPL",
            "side": "LONG",
            "entry_type": "MARKET",
            "stop_price": Decimal(100),
            "quantity": Decimal(1),
            "entry_timeout_seconds": 3600,
        }
        setup = setup_create(owner=analyst, account=account, values=values, increments=None, last_price=Decimal(190))
        with transaction.atomic():
            execution, _ = execution_request(
                setup=setup, user=analyst, idempotency_key=str(uuid.uuid4()), body={}, now=now
            )
            ids.append(execution.pk)
            transaction.get_connection().run_on_commit.clear()
    return ids


def _burst(stack: RunningStack, *, count: int) -> list[tuple[str, str]]:
    from app.executions import dispatch

    control = stack.simulator()
    ids = _requested(count)
    for execution_id in ids:
        dispatch.submit(execution_id)
    _wait(lambda: sum(order["filled"] != "0" for order in control.orders()) >= count // 3)
    victim = next(order for order in control.orders() if order["order_type"] == "STP" and order["live"])
    told = time.monotonic() * 1000
    control.cancel_order(perm_id=victim["perm_id"])
    protect = victim["order_ref"].replace("STOP_LOSS", "PROTECT")
    _wait(lambda: len([order for order in control.orders() if order["order_type"] == "STP"]) > count)
    sent = [(message["received_ms"], message["fields"]) for message in control.messages(name="placeOrder")]
    times = sorted(moment for moment, _fields in sent)
    replaced = next(moment for moment, fields in sent if protect in fields)
    limit = 45  # IB_MESSAGES_PER_SECOND's default
    rate = (len(times) - 1) / (times[-1] - times[0]) * 1000
    everything = sorted(message["received_ms"] for message in control.messages())
    windows = zip(everything, everything[limit:], strict=False)
    violations = sum(last - first < WINDOW_MS for first, last in windows)
    return [
        (f"burst of {count}: rate used", f"{rate:.1f}/s = {rate / limit:.1%} of {limit}/s, {violations} violations"),
        ("protective order within it", f"{replaced - told:.0f} ms from the lost stop to the wire"),
    ]


def _reconcile_seconds(stack: RunningStack) -> float:
    killed_at = datetime.now(UTC)
    pid = stack.kill("broker-worker")
    stack.wait_restarted("broker-worker", not_pid=pid)
    moments: dict[str, datetime] = {}

    def ready() -> bool:
        for line in stack.log("broker-worker").splitlines():
            match = _STATE.match(line)
            # The log of the killed one may still be there.
            if match and (moment := datetime.fromisoformat(match[1])) > killed_at:
                moments[match[2]] = moment
        begun, done = moments.get("SYNCHRONISING"), moments.get("READY")
        return begun is not None and done is not None and done >= begun

    _wait(ready)
    return (moments["READY"] - moments["SYNCHRONISING"]).total_seconds()


def _guard_ms() -> float:
    from app.accounts.models import Account
    from app.core import clock
    from app.executions.services.guard import Watch, execution_ids_to_guard, guard_look

    begun = time.monotonic()
    ids = execution_ids_to_guard(Account.objects.get().account_id)
    found = guard_look(execution_ids=ids, broker=_NoBroker(), watch=Watch(), now=clock.now())  # type: ignore[arg-type]
    assert found.brackets == len(ids)
    return (time.monotonic() - begun) * 1000


class _NoBroker:
    """Nothing is sent in the measurement: any use of the broker fails it."""


def _resident_mb(pid: int) -> int:
    """Return the resident memory of a process and of what it started."""
    family, found = {pid}, {pid}
    while found:
        parents = {int(path.name): _field(path / "stat") for path in Path("/proc").iterdir() if path.name.isdigit()}
        found = {child for child, parent in parents.items() if parent in family} - family
        family |= found
    return sum(_kilobytes(member) for member in family) // 1024


def _field(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # It ended between the look at the folder and the look at the file.
        return 0


def _kilobytes(pid: int) -> int:
    told = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(told[1]) if told else 0


def _wait(look: Any) -> None:
    give_up_at = time.monotonic() + WAIT_SECONDS_MAX
    while not look():
        assert time.monotonic() < give_up_at, "the burst did not end in time"
        time.sleep(0.2)
