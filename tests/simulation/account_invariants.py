"""Invariants 10, 11 and 13: no order closes more than is ours, every command is settled, every flag is true.

Measured from the simulator's book wherever it can tell: what is held, what our exits could still close, what others
dealt, when an order of ours came. Of our rows only what is to be judged: claims, flags, commands.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.simulation.book import (
    bracket_of,
    could_still_close,
    held_by_bracket,
    is_exit,
    leg_of,
    opened_beyond_closed,
    side_of,
)
from tests.simulation.outsiders import sent_as_closing
from tests.simulation.world import World

ACTIVE_WORDS = frozenset({"PreSubmitted", "Submitted", "PendingCancel", "PendingSubmit"})
# A round trip to the broker on a loaded machine: what was sent in it may not know of a deal.
ROUND_TRIP = timedelta(seconds=2)
# What was told before a command was sent may be recorded right after that.
TOLD_BEFORE = timedelta(seconds=0.5)
_NONE, _NO_TIME = Decimal(0), timedelta(0)
Orders = Sequence[Mapping[str, Any]]


def account_always(world: World, orders: Orders) -> list[str]:
    """Check what must hold at every moment."""
    return [*taken_for_closed(world), *settled_without_evidence(orders)]


def account_at_rest(world: World, orders: Orders) -> list[str]:
    """Check everything, once the account has been asked and judged."""
    world.read_book()
    return [
        *claims_against_account(world),
        *exits_beyond_claims(orders),
        *placed_beside(world, orders),
        *opened_by_us(world, orders),
        *races_untold(world),
        *unsettled_commands(),
        *settled_by_nothing(world),
        *cancel_wanted(orders),
        *flags_untrue(),
        *flags_without_cause(world),
    ]


def claims_by_bracket() -> dict[str, Decimal]:
    """Return what each bracket claims by our rows, in shares, by the name it has at the broker; short ones positive."""
    from app.executions.models import Bracket, open_quantity_of

    brackets = Bracket.objects.select_related("execution").prefetch_related("orders")
    return {f"{b.execution.key}-{b.tranche}": open_quantity_of(b.orders.all()) for b in brackets}


def closed_elsewhere_by_bracket() -> dict[str, Decimal]:
    """Return what our rows say was closed by no order of ours; negative where a person took over."""
    from app.executions.models import Order

    entries = Order.objects.filter(leg="ENTRY").exclude(closed_elsewhere=0)
    return {ref.rpartition("-")[0]: shares for ref, shares in entries.values_list("order_ref", "closed_elsewhere")}


def in_doubt() -> bool:
    """Whether the account is known to disagree with our rows, and a person was told: then nothing is done."""
    from app.accounts.models import Position
    from app.executions.models import ExecutionFlag

    doubtful = Position.objects.filter(disputed_since__isnull=False).exclude(unexplained=0).exists()
    return doubtful and ExecutionFlag.objects.filter(code="position_differs").exists()


def left_to_a_person() -> bool:
    """Whether something waits that only a person can settle: a position in doubt, or what was closed too much."""
    from app.executions.models import Execution

    return in_doubt() or Execution.objects.filter(open_quantity__lt=0).exists()


def claims_against_account(world: World) -> list[str]:
    """(10) claims and others' shares are what the account holds, or a person was told that they are not."""
    from app.accounts.models import Position
    from app.executions.models import Execution

    sides = dict(Execution.objects.values_list("key", "side"))
    claimed = _NONE
    for name, claim in claims_by_bracket().items():
        claimed += claim if sides[name.rpartition("-")[0]] == "LONG" else -claim
    row = Position.objects.filter(symbol="AAPL").first()
    others = row.others if row is not None else _NONE
    held = world.held_in_book(world.peer.state())
    if held == claimed + others or in_doubt():
        return []
    return [f"account: it holds {held}, claims are {claimed} and others' {others}"]


def exits_beyond_claims(orders: Orders) -> list[str]:
    """(10) the exits of a bracket could close no more than it claims."""
    if in_doubt():
        return []
    claims = claims_by_bracket()
    entries = [o for o in orders if leg_of(o) == "ENTRY" and o["status"] in ACTIVE_WORDS]
    to_come: dict[str, Decimal] = {bracket_of(entry): Decimal(entry["remaining"]) for entry in entries}
    return [
        f"too large: exits of {name} could close {could}, it claims {claims.get(name, _NONE)}"
        for name, could in could_still_close(orders).items()
        if could > max(claims.get(name, _NONE), _NONE) + to_come.get(name, _NONE)
    ]


def taken_for_closed(world: World) -> list[str]:
    """(10) no more is taken for closed elsewhere than others dealt, whosever it was."""
    from app.executions.models import Order

    closed = {"LONG": _NONE, "SHORT": _NONE}
    entries = Order.objects.filter(leg="ENTRY", closed_elsewhere__gt=0)
    for action, shares in entries.values_list("action", "closed_elsewhere"):
        closed["LONG" if action == "BUY" else "SHORT"] += shares
    if not any(closed.values()):
        return []
    world.outsiders.read(world.peer.state())
    return [
        f"invented: {shares} of {side} were taken for closed elsewhere, others dealt {world.outsiders.against[side]}"
        for side, shares in closed.items()
        if shares > world.outsiders.against[side]
    ]


def placed_beside(world: World, orders: Orders) -> list[str]:
    """(10) a CLOSE or a new stop does not come while what could close the same shares lives, in no group with it."""
    found = []
    for order in orders:
        if leg_of(order) not in ("CLOSE", "PROTECT") or not (sent := world.sent.get(order["order_ref"])):
            continue
        at = min(sent)
        beside = [
            other
            for other in orders
            if other is not order
            and bracket_of(other) == bracket_of(order)
            and is_exit(other)
            # A target beside a new stop is cancelled right behind it.
            and (leg_of(order) == "CLOSE" or leg_of(other) != "TAKE_PROFIT")
            and not (order["oca_group"] and other["oca_group"] == order["oca_group"])
            and _lived(world, other, at=at)
        ]
        groups: dict[str, Decimal] = {}
        for other in beside:  # Of one group the largest counts.
            group = other["oca_group"] or other["order_ref"]
            groups[group] = max(groups.get(group, _NONE), _size(world, other, at=at))
        together = Decimal(order["quantity"]) + sum(groups.values(), _NONE)
        opened = sum(
            (Decimal(o["filled"]) for o in orders if bracket_of(o) == bracket_of(order) and not is_exit(o)), _NONE
        )
        taken_over = max(-closed_elsewhere_by_bracket().get(bracket_of(order), _NONE), _NONE)
        if beside and together > opened + taken_over:
            names = ", ".join(other["order_ref"] for other in beside)
            found.append(f"beside: {order['order_ref']} ({order['quantity']}) came while {names} lived, of {opened}")
    return found


def filled_as_stop_was_replaced(world: World, name: str) -> Decimal:
    """Return what a bracket's target filled in the round trip in which a new stop came, and took its place."""
    world.read_book()
    came = [min(sent) for ref, sent in world.sent.items() if ref.startswith(f"{name}-PROTECT")]
    last = {deal["exec_id"].rpartition(".")[0]: deal for deal in world.peer.state()["executions"]}
    deals = [deal for deal in last.values() if deal["order_ref"] == f"{name}-TAKE_PROFIT"]
    return sum(
        (
            Decimal(deal["quantity"])
            for deal in deals
            if any(_NO_TIME <= datetime.fromisoformat(deal["time"]) - at < ROUND_TRIP for at in came)
        ),
        _NONE,
    )


def races_untold(world: World) -> list[str]:
    """(3) where a target filled as its stop was replaced, a person was told that too much was closed."""
    from app.executions.models import ExecutionFlag

    told = ExecutionFlag.objects.filter(code="more_closed_than_opened").values_list("execution__key", flat=True)
    keys = {name: name.rpartition("-")[0] for name in world.raced if name not in ("LONG", "SHORT")}
    return [f"untold: {world.raced[name]} of {name} raced" for name, key in keys.items() if key not in set(told)]


def opened_by_us(world: World, orders: Orders) -> list[str]:
    """(10) no order of ours leaves a position that nobody asked for; where a deal of others raced it, that is told."""
    from app.executions.models import Decision, ExecutionFlag

    # A person who settles an instrument takes the rest for others', rightly or not; what works meanwhile is left alone.
    settled = Decision.objects.filter(actor="PERSON", action__in=("NOT_OURS", "CLOSED_ELSEWHERE", "TAKE_OVER"))
    if world.outsiders.unexplained or settled.exists():
        return []
    found = []
    entered = _entered_at(world)
    for side, closed in world.outsiders.closed.items():
        beyond = closed - opened_beyond_closed(orders, side)
        if beyond <= 0 or not closed:  # What we alone closed too much is (3).
            continue
        at = world.outsiders.closed_at[side]
        late = [o for o in orders if side_of(o) == side and sent_as_closing(o) and Decimal(o["filled"]) > 0]
        late = [o for o in late if any(sent > at + ROUND_TRIP for sent in world.sent.get(o["order_ref"], ()))]
        # Of what was opened only since, they closed nothing.
        late = [o for o in late if entered.get(bracket_of(o), at) <= at]
        if late:
            found.append(f"opened: {beyond} of {side} nobody asked for, by {late[0]['order_ref']} after others' deal")
        told = ExecutionFlag.objects.filter(
            code__in=("more_closed_than_opened", "closed_elsewhere"), execution__side=side
        )
        # That the account differs is told of the instrument, to whoever holds shares of it by then.
        if not (told | ExecutionFlag.objects.filter(code="position_differs")).exists():
            found.append(f"untold: {beyond} of {side} were closed by others and by us")
        world.raced[side] = beyond
    return found


def _entered_at(world: World) -> dict[str, datetime]:
    """Return when the first share of each bracket was opened, by the book."""
    entered: dict[str, datetime] = {}
    for deal in world.peer.state()["executions"]:
        if deal["order_ref"] and not is_exit(deal):
            at = datetime.fromisoformat(deal["time"])
            entered[bracket_of(deal)] = min(at, entered.get(bracket_of(deal), at))
    return entered


def unsettled_commands() -> list[str]:
    """(11) every command is settled, or a person was told that it is not."""
    from app.executions.models import OrderCommand

    unsettled = OrderCommand.objects.filter(settled_at__isnull=True).select_related("order", "execution")
    unsettled = unsettled.exclude(execution__flags__code="unanswered", execution__flags__resolved_at__isnull=True)
    return [f"unsettled: {command.kind} ({command.reason_code}) of {command.order}" for command in unsettled]


def settled_without_evidence(orders: Orders) -> list[str]:
    """(11) what is settled by the order's end has ended at the broker, whatever we sent."""
    from app.executions.models import OrderCommand

    live = [order["order_ref"] for order in orders if order["status"] in ACTIVE_WORDS]
    settled = OrderCommand.objects.filter(kind="CANCEL", settled_at__isnull=False, order__order_ref__in=live)
    settled = settled.exclude(settled_how__in=("withdrawn", "superseded"))
    return [f"no evidence: the cancel of {one.order} is settled ({one.settled_how}), and it lives" for one in settled]


def settled_by_nothing(world: World) -> list[str]:
    """(11) what was sent is settled by something that was told of the order since, not by having been sent."""
    from app.executions.models import BrokerEvent, OrderCommand

    if world.clock_jumped:
        return []  # The moments of the rows are in no order.
    settled = OrderCommand.objects.filter(
        kind__in=("CANCEL", "MODIFY"), sent_at__isnull=False, settled_at__isnull=False
    )
    # Those are settled by a complete answer, or by another command.
    settled = settled.exclude(settled_how__in=("gone", "not_taken", "superseded", "withdrawn", "price_changed"))
    return [
        f"no evidence: {one.kind} of {one.order} is settled ({one.settled_how}), and nothing was told of it"
        for one in settled.select_related("order")
        if not BrokerEvent.objects.filter(
            order=one.order, recorded_at__range=(one.sent_at - TOLD_BEFORE, one.settled_at)
        ).exists()
    ]


def cancel_wanted(orders: Orders) -> list[str]:
    """(11) an entry whose cancel was asked for is over."""
    from app.executions.models import Execution

    cancelled = set(Execution.objects.filter(cancel_requested_at__isnull=False).values_list("key", flat=True))
    return [
        f"not cancelled: {order['order_ref']} lives"
        for order in orders
        if leg_of(order) == "ENTRY" and order["live"] and order["order_ref"].split("-")[0] in cancelled
    ]


def flags_untrue() -> list[str]:
    """(13) a flag of what lasts is resolved, or what it says is true now."""
    from app.domain.reasons import OverWhen
    from app.executions.models import ExecutionFlag

    return [
        f"untrue flag: {flag.code} of execution {flag.execution_id}: {flag.sentence}"
        for flag in ExecutionFlag.objects.filter(resolved_at__isnull=True).select_related("execution")
        if flag.nature.over_when is not OverWhen.SEEN and not _is_true(flag)
    ]


def flags_without_cause(world: World) -> list[str]:
    """(13) nobody is told that the position changed by itself where it did not."""
    from app.executions.models import ExecutionFlag

    if world.outsiders.unexplained:
        return []
    flags = ExecutionFlag.objects.filter(code="position_differs")
    return [f"flag without cause: {flag.sentence}" for flag in flags[:1]]


def _is_true(flag: Any) -> bool:
    from app.domain.reasons import OverWhen
    from app.executions.models import Order, OrderCommand

    execution, when = flag.execution, flag.nature.over_when
    if when is OverWhen.BALANCED:
        return bool(execution.open_quantity < 0)
    if when is OverWhen.ANSWERED:
        waiting = Order.objects.filter(
            bracket__execution=execution, status__in=("SENT", "PENDING_SUBMIT", "PENDING_CANCEL", "INACTIVE")
        )
        return waiting.exists() or OrderCommand.objects.filter(execution=execution, settled_at=None).exists()
    if execution.is_finished:
        return False
    if when is OverWhen.COVERED:
        return _is_badly_covered(execution)
    return bool(execution.open_quantity != 0)


def _is_badly_covered(execution: Any) -> bool:
    """Whether some bracket's stops are not of the size of what it claims, by our rows, which equal the book by now."""
    from app.executions.models import open_quantity_of

    for bracket in execution.brackets.prefetch_related("orders"):
        orders = list(bracket.orders.all())
        stops = [o for o in orders if o.leg in ("STOP_LOSS", "PROTECT") and o.status in ("HELD", "WORKING")]
        covered = sum((o.quantity - o.filled_quantity for o in stops), _NONE)
        targets = [o for o in orders if o.leg == "TAKE_PROFIT" and o.status in ("HELD", "WORKING")]
        claim = open_quantity_of(orders)
        largest = max((o.quantity - o.filled_quantity for o in targets), default=_NONE)
        if covered != claim or largest > claim:
            return True
    return False


def _lived(world: World, order: Mapping[str, Any], *, at: datetime) -> bool:
    """Whether an order could still fill at that moment: it had come, woken, and was not over."""
    sent = world.sent.get(order["order_ref"])
    if not sent or min(sent) >= at:
        return False
    if order["completed_at"] is None:
        return bool(order["live"])
    return datetime.fromisoformat(order["completed_at"]) > at


def _size(world: World, order: Mapping[str, Any], *, at: datetime) -> Decimal:
    """Return how large an order was at that moment: as we had sent it, where we or a split have changed it since.

    Somebody may have made it smaller by hand before: of a split order the smaller size counts, and of one that we have
    changed since the broker's last word before.
    """
    from app.executions.models import BrokerEvent

    sent = world.sent[order["order_ref"]]
    as_sent = sent[max(moment for moment in sent if moment <= at)]
    if max(sent) > at:
        told = BrokerEvent.objects.filter(kind="order_told", payload__order_ref=order["order_ref"], recorded_at__lte=at)
        word = told.order_by("-id").values_list("payload", flat=True).first()
        return as_sent if word is None else min(as_sent, Decimal(word["filled"]) + Decimal(word["remaining"]))
    was_split = any(bracket_of(order) in brackets for brackets in world.splits)
    return min(Decimal(order["quantity"]), as_sent) if was_split else Decimal(order["quantity"])


def race_told(world: World) -> str:
    """Say how much a deal of others and one of ours closed twice before anybody could know, "" for nothing."""
    return ", ".join(f"{beyond} of {side} raced" for side, beyond in sorted(world.raced.items()))


def book_without_closed_elsewhere(orders: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return what each bracket holds by the book, less what our rows say was closed elsewhere."""
    elsewhere = closed_elsewhere_by_bracket()
    return {name: held - elsewhere.get(name, _NONE) for name, held in held_by_bracket(orders).items()}
