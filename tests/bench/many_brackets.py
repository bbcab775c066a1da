"""What many brackets at once cost: the message rate used, protective orders among them, reconcile, guard, memory.

burst        every second setup has a target: brackets of two and three legs in turn. All executions are handed to
             the worker at once; the simulator's log says how fast they came. It refuses what is above the broker's
             limit (error 100), as a Gateway set to do so: then the burst would not end
protective   stops are cancelled by hand in the middle of the burst: from that until the replacement is on the wire,
             by way of the recorded cancel, the guard and the write-ahead; and of it, how long the order waited
             for its turn behind the queue of entries, in slots (the turn of a bracket with a target, 3 messages)
reconcile    the worker is killed; from SYNCHRONISING to READY of the next one, with everything open
"""

import os
import re
import statistics
import time
import uuid
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from ib_simulator.client import SimulatorControl
from tests.bench.waiting import wait_for
from tests.running_stack import RunningStack

LATE = "the burst did not end in time"
GUARD_ROUNDS = 7
WINDOW_MS = 1000.0
LIMIT = 45  # IB_MESSAGES_PER_SECOND's default
BROKERS_LIMIT = 50  # IBKR Campus, "Pacing limitations"; ours is below it by what arrives late and then bunched.
SLOT_MS = 3 / LIMIT * 1000
CLIENT_ID = 1
# Between two stops cancelled by hand.
LOSE_EVERY_SECONDS = 0.9
# The connection itself is READY before the worker is, which has to reconcile first.
_STATE = re.compile(r"^time=(\S+) .*event=broker_connection .*state=(\w+) .*logger=app\.worker\.broker_thread")
_RATE_EXCEEDED = re.compile(r"Max rate of messages per second has been exceeded")
_WAITED = re.compile(r"event=single_order_sent .*order_ref=(\S+) .*waited_ms=(\S+) sent_ms=(\S+)")


@dataclass(frozen=True, kw_only=True)
class LostStop:
    """A stop cancelled by hand, and when, in monotonic milliseconds and by the wall."""

    order_ref: str
    told_ms: float
    told_at: datetime

    @property
    def protect_ref(self) -> str:
        """The name of what replaces it."""
        return self.order_ref.replace("STOP_LOSS", "PROTECT")


def measure(stack: RunningStack, *, burst: int, open_brackets: int) -> list[tuple[str, str]]:
    """Return rows of name and figure. Leaves `open_brackets` open brackets behind, at least as many as in the burst."""
    use_servers_of(stack)
    rows = _burst(stack, count=burst)
    if open_brackets > burst:
        _execute(_requested(open_brackets - burst))
        wait_for(lambda: _filled_entries(stack) >= open_brackets, LATE)
    rows.append((f"reconcile, {open_brackets} open, after a kill", f"{_reconcile_seconds(stack):.2f} s"))
    rows.append((f"guard, a look at {open_brackets} brackets", f"{statistics.median(_guard_looks_ms()):.0f} ms"))
    rows.append(("broker worker's memory", f"{resident_mb(stack.up['pids']['broker-worker'])} MB"))
    return rows


def use_servers_of(stack: RunningStack) -> None:
    """Let the code under test be called in this process, on the stack's database."""
    os.environ |= {
        "DATABASE_URL": stack.up["database_url"],
        "REDIS_URL": stack.up["redis_url"],
        "DJANGO_SETTINGS_MODULE": "app.config.settings",
        # As the stack has them: hundreds of brackets in one contract, at any hour of the week.
        "ORDERS_PER_CONTRACT_MAX": "0",
        "GATEWAY_MAINTENANCE": "none",
    }
    import django

    django.setup()


def _requested(count: int) -> list[int]:
    """Write so many requests without telling the worker, every second with a target, and return their ids.

    They become visible all at once: what the worker's sweep saw of them earlier, it would send before the burst begins.
    """
    from django.contrib.auth.models import User
    from django.db import transaction

    from app.accounts.models import Account
    from app.core import clock
    from app.domain.contract import Contract, SymbolInfo
    from app.executions.services.request import execution_request
    from app.market.services import instrument_record
    from app.setups.services import setup_create

    analyst, account = User.objects.get(username="demo"), Account.objects.get()
    setups = []
    for number in range(count):
        values: dict[str, Any] = {
            "symbol": "AAPL",
            "side": "LONG",
            "entry_type": "MARKET",
            "stop_price": Decimal(100),
            "quantity": Decimal(1),
            "entry_timeout_seconds": 3600,
            "take_profits": [{"price": Decimal(300)}] if number % 2 else [],
        }
        setups.append(
            setup_create(owner=analyst, account=account, values=values, increments=None, last_price=Decimal(190))
        )
    info = SymbolInfo(contract=Contract(symbol="AAPL"), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")
    ids = []
    with transaction.atomic():
        for setup in setups:
            now = clock.now()
            instrument_record(info=info, last_price=Decimal(190), now=now)
            execution, _ = execution_request(
                setup=setup, user=analyst, idempotency_key=str(uuid.uuid4()), body={}, now=now
            )
            ids.append(execution.pk)
        transaction.get_connection().run_on_commit.clear()
    return ids


def _execute(ids: list[int]) -> None:
    from app.executions import dispatch

    for execution_id in ids:
        dispatch.submit(execution_id)


def _burst(stack: RunningStack, *, count: int) -> list[tuple[str, str]]:
    control = stack.simulator()
    control.send("set_switch", name="pacing", value="reject")
    _execute(_requested(count))
    wait_for(lambda: _filled_entries(stack) >= count // 10, LATE)
    lost = []
    while _filled_entries(stack) < count * 0.85:
        lost.append(_lose_stop(stack, control, known=[stop.order_ref for stop in lost]))
        time.sleep(LOSE_EVERY_SECONDS)
    wait_for(lambda: _filled_entries(stack) >= count and _sent_replacements(stack) >= len(lost), LATE)
    assert not _RATE_EXCEEDED.search(stack.log("broker-worker")), "the broker refused messages: too many in a second"
    sent = [(message["received_ms"], message["fields"]) for message in control.messages(name="placeOrder")]
    entries = [moment for moment, fields in sent if not any(stop.protect_ref in fields for stop in lost)]
    all_sent = sorted(message["received_ms"] for message in control.messages(client_id=CLIENT_ID))
    return [
        (f"burst of {count} brackets, 2 and 3 legs", _rate(all_sent, first=min(entries), last=max(entries))),
        *_protective(stack, sent, lost),
    ]


def _rate(all_sent: list[float], *, first: float, last: float) -> str:
    """Say how much was used of what whole seconds allow, from the first to the last order of the burst."""
    seconds = int((last - first) / WINDOW_MS)
    used = sum(first <= moment < first + seconds * WINDOW_MS for moment in all_sent)
    share = f"{used / seconds:.2f}/s = {used / seconds / LIMIT:.1%} of {LIMIT}/s over {seconds} s"
    fullest = max(bisect_left(all_sent, moment + WINDOW_MS) - index for index, moment in enumerate(all_sent))
    return f"{share}; at most {fullest} arrived in a second, the broker allows {BROKERS_LIMIT}, none was refused"


def _lose_stop(stack: RunningStack, control: SimulatorControl, *, known: list[str]) -> LostStop:
    """Cancel the stop of a filled entry by hand, as a person in TWS would."""
    ((order_ref, perm_id),) = stack.rows(
        "SELECT stop.order_ref, stop.perm_id FROM executions_order stop JOIN executions_order entry "
        "ON entry.bracket_id = stop.bracket_id AND entry.leg = 'ENTRY' AND entry.status = 'FILLED' "
        "WHERE stop.leg = 'STOP_LOSS' AND stop.status IN ('HELD', 'WORKING') AND stop.perm_id > 0 "
        "AND stop.order_ref <> ALL(%s) ORDER BY stop.id DESC LIMIT 1",
        known,
    )
    lost = LostStop(order_ref=order_ref, told_ms=time.monotonic() * 1000, told_at=datetime.now(UTC))
    control.cancel_order(perm_id=perm_id)
    return lost


def _filled_entries(stack: RunningStack) -> int:
    ((count,),) = stack.rows("SELECT count(*) FROM executions_order WHERE leg = 'ENTRY' AND status = 'FILLED'")
    return int(count)


def _sent_replacements(stack: RunningStack) -> int:
    query = "SELECT count(*) FROM executions_order WHERE leg = 'PROTECT' AND acknowledged_at IS NOT NULL"
    ((count,),) = stack.rows(query)
    return int(count)


def _protective(stack: RunningStack, sent: list[tuple[float, Any]], lost: list[LostStop]) -> list[tuple[str, str]]:
    wire = [next(moment for moment, fields in sent if stop.protect_ref in fields) - stop.told_ms for stop in lost]
    told = {found[1]: (float(found[2]), float(found[3])) for found in _WAITED.finditer(stack.log("broker-worker"))}
    waited, done = zip(*(told[stop.protect_ref] for stop in lost), strict=True)
    slots = sorted(wait / SLOT_MS for wait in waited)
    steps = [_steps_ms(stack, stop) for stop in lost]
    heard, recorded, written = (statistics.median(step) for step in zip(*steps, strict=True))
    return [
        (f"{len(lost)} lost stops, to the wire", _marks(wire)),
        ("  of it, the medians of", f"heard {heard:.0f}, recorded {recorded:.0f}, written ahead {written:.0f} ms"),
        ("  waited for its turn to send", _marks(waited)),
        ("  the same in slots", f"p50 {statistics.median(slots):.2f}, max {slots[-1]:.2f} of {SLOT_MS:.1f} ms"),
        ("  queued to sent", _marks(done)),
    ]


def _steps_ms(stack: RunningStack, stop: LostStop) -> tuple[float, float, float]:
    """Return how long it took until the cancel was heard, from then until it was recorded, until written ahead."""
    ((heard_at, recorded_at, sent_at),) = stack.rows(
        "SELECT told.received_at, told.recorded_at, protect.sent_at "
        "FROM executions_brokerevent told JOIN executions_order stop ON stop.id = told.order_id "
        "JOIN executions_order protect ON protect.order_ref = %s "
        "WHERE stop.order_ref = %s AND told.payload ->> 'status' = 'Cancelled' ORDER BY told.id LIMIT 1",
        stop.protect_ref,
        stop.order_ref,
    )
    moments = [stop.told_at, heard_at, recorded_at, sent_at]
    heard, recorded, written = ((end - begin).total_seconds() * 1000 for begin, end in pairwise(moments))
    return heard, recorded, written


def _marks(values: Sequence[float]) -> str:
    return f"p50 {statistics.median(values):.0f} ms, max {max(values):.0f} ms"


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

    wait_for(ready, LATE)
    return (moments["READY"] - moments["SYNCHRONISING"]).total_seconds()


def _guard_looks_ms() -> list[float]:
    """Return how long one guard takes for each of its looks, as it does every second: the first, and those after it."""
    from app.accounts.models import Account, BrokerConnection
    from app.core import clock
    from app.executions.services.guard import execution_ids_to_guard, guard_look
    from app.executions.services.guard_watch import Watch

    row = BrokerConnection.objects.get(client_id=CLIENT_ID)
    broker: Any = _NoBroker(connection_id=row.pk, fence=row.fence)
    watch, took = Watch(), []
    for _ in range(GUARD_ROUNDS):
        begun = time.monotonic()
        ids = execution_ids_to_guard(Account.objects.get().account_id)
        found = guard_look(execution_ids=ids, broker=broker, watch=watch, now=clock.now())
        assert found.brackets == len(ids)
        took.append((time.monotonic() - begun) * 1000)
    return took


@dataclass(frozen=True, kw_only=True)
class _NoBroker:
    """Nothing is sent in the measurement: any use of the broker fails it, but for what says whose connection it is."""

    connection_id: int
    fence: int


def resident_mb(pid: int) -> int:
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
