"""What can happen in one step: the analyst's and the market's doings, and the adversary's.

A step is a name and numbers drawn before the run, so that a run can be repeated without some of its steps. Numbers
choose among what is there at that moment ("the n-th live order").
"""

import contextlib
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.simulation.world import ACCOUNT, SYMBOL, World

Act = Callable[[World, random.Random, int], None]


@dataclass(frozen=True)
class Step:
    """One step of a run: `draw` seeds what the act draws, `pause_ms` is waited afterwards."""

    number: int
    act: str
    draw: int
    pause_ms: int

    def __str__(self) -> str:
        return f"{self.number}:{self.act}"


def plan(seed: int, count: int) -> list[Step]:
    """Return the steps of a seed."""
    chance = random.Random(seed)
    names, weights = zip(*((name, weight) for name, (weight, _act) in ACTS.items()), strict=True)
    return [
        Step(number, chance.choices(names, weights)[0], chance.randrange(1 << 30), chance.choice((0, 5, 20, 60, 150)))
        for number in range(count)
    ]


def carry_out(world: World, step: Step) -> None:
    """Do one step, and what earlier steps have left to be undone now."""
    due = [undo for at, undo in world.later if at <= step.number]
    world.later = [(at, undo) for at, undo in world.later if at > step.number]
    for undo in due:
        undo()
    world.note(str(step))
    _weight, act = ACTS[step.act]
    act(world, random.Random(step.draw), step.number)


# --- the analyst -----------------------------------------------------------------------------------------------


def execute(world: World, chance: random.Random, number: int) -> None:
    """A setup is written and executed."""
    from app.accounts.models import Account
    from app.core import clock
    from app.core.errors import TradingError
    from app.executions.services.request import execution_request
    from app.setups.services import setup_create

    side = chance.choice(("LONG", "SHORT"))
    sign = 1 if side == "LONG" else -1
    is_market = chance.random() < 0.5
    _price_known(world)
    entry = world.price - sign * Decimal(chance.randrange(1, 60)) / 100
    stop = (world.price if is_market else entry) - sign * Decimal(chance.randrange(30, 300)) / 100
    target = world.price + sign * Decimal(chance.randrange(30, 300)) / 100
    values: dict[str, Any] = {
        "symbol": SYMBOL,
        "side": side,
        "entry_type": "MARKET" if is_market else "LIMIT",
        "entry_price": None if is_market else entry,
        "stop_price": stop,
        "quantity": Decimal(chance.choice((1, 10, 100))),
        "on_timeout": "CANCEL",
    }
    if chance.random() < 0.5:
        values["take_profits"] = [{"price": target}]
    try:
        setup = setup_create(
            owner=world.analyst,
            account=Account.objects.get(account_id=ACCOUNT),
            values=values,
            increments=None,
            last_price=world.price,
        )
        execution_request(setup=setup, user=world.analyst, idempotency_key=f"step-{number}", body={}, now=clock.now())
    except TradingError:
        return


def cancel(world: World, chance: random.Random, _number: int) -> None:
    """The analyst cancels an execution."""
    from app.core import clock
    from app.core.errors import TradingError
    from app.executions.services.cancel import execution_cancel_request

    execution_id = _any_execution(chance)
    if execution_id is not None:
        try:
            execution_cancel_request(execution_id=execution_id, reason="requested", now=clock.now())
        except TradingError:
            return


# --- the market ------------------------------------------------------------------------------------------------


def price(world: World, chance: random.Random, _number: int) -> None:
    """The price moves by some ticks."""
    _move(world, Decimal(chance.randrange(-40, 41)) / 100)


def gap(world: World, chance: random.Random, _number: int) -> None:
    """The price jumps through what is in its way."""
    _move(world, Decimal(chance.choice((-400, -250, 250, 400))) / 100)


def fill_part(world: World, chance: random.Random, _number: int) -> None:
    """A part of a live entry is filled."""
    entries = [order for order in _live(world) if order["order_ref"].endswith("-ENTRY")]
    orders = [order for order in entries if Decimal(order["remaining"]) > 1]
    if orders:
        order = chance.choice(orders)
        part = max(1, int(Decimal(order["remaining"]) * chance.randrange(1, 10) // 10))
        _try(lambda: world.peer.fill(perm_id=order["perm_id"], quantity=part))


def pause_fills(world: World, chance: random.Random, number: int) -> None:
    """Nothing trades for some steps."""
    world.peer.pause_fills()
    world.later.append((number + chance.randrange(2, 8), lambda: world.command("resume_fills")))


# --- the broker's side -----------------------------------------------------------------------------------------


def cancel_by_hand(world: World, chance: random.Random, _number: int) -> None:
    """Somebody cancels one of our orders in TWS."""
    orders = _live(world)
    if orders:
        _try(lambda: world.peer.cancel_order(perm_id=chance.choice(orders)["perm_id"]))


def reject_next(world: World, chance: random.Random, _number: int) -> None:
    """The broker refuses the next order of a type."""
    world.peer.reject_next(
        code=201, text="Order rejected - reason:Refused.", order_type=chance.choice(("MKT", "LMT", "STP"))
    )


def switch(world: World, chance: random.Random, _number: int) -> None:
    """The broker behaves in another of the ways it has been seen to."""
    switches = {
        "children_activate": ("on_partial", "on_full"),
        "children_after_partial_cancel": ("keep_filled", "cancel", "keep_full"),
        "reject_sequence": ("error_then_inactive", "inactive_then_error", "error_then_cancelled", "error_only"),
        "cancel_sequence": ("direct", "pending_first"),
        "fill_sequence": ("execution_first", "status_first"),
        "duplicate_callbacks": ("on", "off"),
        "modify_child_after_parent_done": ("refuse_135", "accept"),
        "open_orders_on_connect": ("on", "off"),
    }
    name = chance.choice(sorted(switches))
    world.peer.set_switch(name, chance.choice(switches[name]))


def lose_messages(world: World, chance: random.Random, number: int) -> None:
    """Messages of a kind are lost for some steps."""
    names = [chance.choice(("orderStatus", "openOrder", "execDetails", "commissionReport", "openOrderEnd"))]
    world.peer.mute(messages=names)
    world.later.append((number + chance.randrange(2, 10), lambda: world.peer.unmute(messages=names)))


def delay_messages(world: World, chance: random.Random, number: int) -> None:
    """Messages of a kind come late, after those that were told later."""
    names = [chance.choice(("orderStatus", "openOrder", "execDetails", "commissionReport", "error"))]
    world.peer.hold_answers(messages=names)
    world.later.append((number + chance.randrange(1, 6), lambda: world.peer.release_answers(messages=names)))


def twist_messages(world: World, chance: random.Random, _number: int) -> None:
    """Some of the next messages of a kind come twice, late, after another, or not at all."""
    name = chance.choice(("orderStatus", "openOrder", "execDetails", "commissionReport"))
    count = chance.randrange(1, 5)
    kind = chance.choice(("duplicate", "delay", "reorder", "lose"))
    if kind == "duplicate":
        world.peer.duplicate([name], count=count)
    elif kind == "delay":
        world.peer.delay_messages([name], ms=chance.randrange(5, 400), count=count)
    elif kind == "reorder":
        other = chance.choice([one for one in ("orderStatus", "openOrder", "execDetails") if one != name])
        world.peer.reorder([name], after=other, count=count)
    else:
        world.peer.lose([name], count=count)


def lose_answer(world: World, chance: random.Random, _number: int) -> None:
    """The end of an answer is lost: the question never ends."""
    world.peer.lose([chance.choice(("openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "positionEnd"))], count=1)


def bad_line(world: World, chance: random.Random, number: int) -> None:
    """What the Gateway sends is late, jittered and in small pieces for some steps."""
    world.peer.set_line(delay_ms=chance.randrange(0, 60), jitter_ms=chance.randrange(0, 40), piece_min=1, piece_max=9)
    world.later.append((number + chance.randrange(2, 12), lambda: world.command("clear_faults")))


def outage(world: World, chance: random.Random, number: int) -> None:
    """The Gateway loses IB for some steps (1100, then 1101 or 1102); what happens meanwhile is not told."""
    world.peer.outage(restored=chance.choice((1101, 1102)))
    world.later.append((number + chance.randrange(1, 10), lambda: world.command("end_outage")))


def nightly_reset(world: World, chance: random.Random, number: int) -> None:
    """IB resets its servers: reports come late and stops sleep."""
    world.peer.nightly_reset()
    world.later.append((number + chance.randrange(1, 8), lambda: world.command("end_reset")))


def kill_switch(world: World, chance: random.Random, number: int) -> None:
    """A person stops all trading, closes what is held or not, and lets it go on some steps later."""
    from app.core import clock
    from app.executions.services import kill_switch as service

    service.kill_switch_engage(account=None, user=None, reason="a run", now=clock.now(), flatten=chance.random() < 0.4)
    world.later.append((number + chance.randrange(2, 12), release_kill_switch))


def release_kill_switch() -> None:
    """Let trading go on where it was stopped."""
    from app.core import clock
    from app.core.errors import Conflict
    from app.executions.services import kill_switch as service

    with contextlib.suppress(Conflict):
        service.kill_switch_release(account=None, user=None, reason="a run", now=clock.now())


def drop(world: World, _chance: random.Random, _number: int) -> None:
    """The Gateway closes the connection."""
    world.peer.drop_connections()


def refuse(world: World, chance: random.Random, number: int) -> None:
    """The Gateway is away for some steps."""
    world.peer.refuse_connections()
    world.peer.drop_connections()
    world.later.append((number + chance.randrange(2, 12), lambda: world.command("accept_connections")))


def restart_gateway(world: World, chance: random.Random, _number: int) -> None:
    """The Gateway is killed and starts again, calm, perhaps giving out order ids once more."""
    world.simulator.restart(kill=True)
    world.peer.set_price(SYMBOL, str(world.price))
    if chance.random() < 0.5:
        world.peer.roll_back_next_id(by=chance.randrange(1, 7))


# --- the line ----------------------------------------------------------------------------------------------------


def cut_wire(world: World, chance: random.Random, _number: int) -> None:
    """The line breaks, at once or in the middle of what is sent next."""
    if chance.random() < 0.3:
        world.wire.cut()
    else:
        world.wire.cut_after(direction=chance.choice(("up", "down")), count=chance.randrange(0, 900))


def freeze_wire(world: World, chance: random.Random, number: int) -> None:
    """The line goes silent without closing, for some steps."""
    world.wire.freeze()
    world.later.append((number + chance.randrange(2, 15), world.wire.heal))


# --- our own processes --------------------------------------------------------------------------------------------


def kill_worker(world: World, chance: random.Random, number: int) -> None:
    """A worker is killed; another starts some steps later."""
    names = world.living()
    if names:
        world.signal_worker(chance.choice(names), signal.SIGKILL)
    world.later.append((number + chance.randrange(0, 6), world.ensure_worker))


def pause_worker(world: World, chance: random.Random, number: int) -> None:
    """A worker is stopped for some steps, and goes on as if nothing had happened."""
    names = [name for name in world.living() if name not in world.paused]
    if not names:
        return
    name = chance.choice(names)
    world.signal_worker(name, signal.SIGSTOP)
    world.paused.add(name)

    def go_on() -> None:
        if name in world.workers:
            world.signal_worker(name, signal.SIGCONT)
            world.paused.discard(name)

    world.later.append((number + chance.randrange(2, 30), go_on))


def second_worker(world: World, _chance: random.Random, _number: int) -> None:
    """Another worker starts beside the first."""
    if len(world.living()) < 3:
        world.start_worker()


def redeliver(world: World, chance: random.Random, _number: int) -> None:
    """Tasks are delivered again."""
    from app.executions import dispatch

    execution_id = _any_execution(chance)
    if execution_id is not None:
        for _ in range(chance.randrange(1, 4)):
            chance.choice((dispatch.submit, dispatch.cancel))(execution_id)


def flush_queue(world: World, _chance: random.Random, _number: int) -> None:
    """Redis forgets everything."""
    world.redis().flushall()


def cut_database(world: World, _chance: random.Random, _number: int) -> None:
    """The database ends every session."""
    world.cut_database()


ACTS: dict[str, tuple[int, Act]] = {
    "execute": (18, execute),
    "cancel": (6, cancel),
    "price": (20, price),
    "gap": (4, gap),
    "fill_part": (8, fill_part),
    "pause_fills": (2, pause_fills),
    "cancel_by_hand": (4, cancel_by_hand),
    "reject_next": (2, reject_next),
    "switch": (4, switch),
    "lose_messages": (3, lose_messages),
    "delay_messages": (3, delay_messages),
    "twist_messages": (4, twist_messages),
    "lose_answer": (2, lose_answer),
    "bad_line": (2, bad_line),
    "outage": (2, outage),
    "nightly_reset": (1, nightly_reset),
    "kill_switch": (1, kill_switch),
    "drop": (2, drop),
    "refuse": (2, refuse),
    "restart_gateway": (2, restart_gateway),
    "cut_wire": (3, cut_wire),
    "freeze_wire": (1, freeze_wire),
    "kill_worker": (3, kill_worker),
    "pause_worker": (2, pause_worker),
    "second_worker": (2, second_worker),
    "redeliver": (6, redeliver),
    "flush_queue": (1, flush_queue),
    "cut_database": (1, cut_database),
}


def _price_known(world: World) -> None:
    from app.core import clock
    from app.domain.contract import Contract, SymbolInfo
    from app.market.services import instrument_record

    info = SymbolInfo(contract=Contract(symbol=SYMBOL), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")
    instrument_record(info=info, last_price=world.price, now=clock.now())


def _move(world: World, by: Decimal) -> None:
    world.price = min(max(world.price + by, Decimal(150)), Decimal(230))
    world.peer.set_price(SYMBOL, str(world.price))


def _live(world: World) -> list[dict[str, Any]]:
    return [order for order in world.peer.orders() if order["live"]]


def _any_execution(chance: random.Random) -> int | None:
    from app.executions.models import Execution

    ids = list(Execution.objects.order_by("id").values_list("id", flat=True))
    return chance.choice(ids) if ids else None


def _try(act: Callable[[], object]) -> None:
    from ib_simulator.client import ControlError

    try:
        act()
    except ControlError:  # The order changed between the look and the act.
        return
