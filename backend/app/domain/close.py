"""How a bracket is closed, or a part of it: what to send next, from what is known. Plain rules, no I/O.

A bracket is to be reduced to `keep` shares (0: all of it is closed). What is sent depends on the *road*; whichever it
is, the shares are never without a stop for longer than a round trip to the broker, and nothing is closed twice:

    TARGET        the target becomes a market order         one order id; the stop stays until that fills
    JOIN          a CLOSE joins the exits' OCA group        cancels nothing; its fill ends the exits, and theirs ends it
    CANCEL_FIRST  exits cancelled, their end awaited,       without a stop for one round trip
                  then a CLOSE
    a part        exits cut to `keep`, their echo awaited,  `held - keep` shares without a stop for one round trip
                  then a CLOSE for the rest

AUTO takes the first that the *echoed* orders allow. TARGET (proved on paper accounts) needs one target at work that
covers what is held, in one echoed group with the bracket's own stop, and no other exit: nothing links a stop of ours
with it. JOIN needs all exits at work in one echoed group; AUTO takes it only for a group that a client named (proved on
paper accounts), never for the Gateway's own (not known), never on a live account. What was refused on one road goes on
with CANCEL_FIRST. A LIMIT close moves the target to that limit; without one it cannot be done.

Example: 10 shares with stop and target 10, both echoed in group 1007. AUTO: the target becomes a market order. A lone
stop of 10: cancelled; when the broker has said so, CLOSE 10. Keep 6 of the 10: stop and target cut to 6; when both are
echoed with 6, CLOSE 4.

That the account holds what is closed is asked beforehand (`domain.exposure`); whether a refused exit lives, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OrderType

CLOSES_MAX = 3
_NONE = Decimal(0)
_AT_WORK = frozenset({OrderStatus.HELD, OrderStatus.WORKING})
_STOPS = frozenset({Leg.STOP_LOSS, Leg.PROTECT})


class CloseRoad(StrEnum):
    """How an exit is made, in the words of the setting CLOSE_ROAD."""

    AUTO = "auto"
    TARGET = "target"
    JOIN = "join"
    CANCEL_FIRST = "cancel_first"


class CloseStep(StrEnum):
    """What is to be done next."""

    NOTHING = "NOTHING"  # No more is held than is to be kept.
    WAIT = "WAIT"  # For the broker's word about something that was sent.
    SEND = "SEND"  # `keys`: CLOSE orders that were written down and never sent.
    DISCARD = "DISCARD"  # `keys`: the same, but of a size that is not to be closed any more.
    MOVE_TARGET = "MOVE_TARGET"  # `keys`: the target, to the market or to the limit.
    JOIN = "JOIN"  # A CLOSE for `quantity` that joins `group`.
    CUT = "CUT"  # `sizes`: the exits' new whole quantities; `keys`: those that go altogether.
    CANCEL = "CANCEL"  # `keys`: the exits.
    CLOSE = "CLOSE"  # A CLOSE for `quantity`.
    FOREIGN = "FOREIGN"  # `keys`: exits that only another client id can change. A person is asked.
    KEEP = "KEEP"  # The stop, for now: the broker refuses what closes other positions.
    GIVE_UP = "GIVE_UP"  # It failed too often, or the limit has no target. A person is asked.


@dataclass(frozen=True, kw_only=True, slots=True)
class ExitFacts:
    """What of an exit decides the closing. `key` names it to the caller; quantities are shares.

    `group` and `group_type` are the OCA group as the broker echoed it. `told_filled` is the broker's claim.
    """

    key: int
    leg: Leg
    status: OrderStatus
    order_type: OrderType
    quantity: Decimal
    filled: Decimal = _NONE
    told_filled: Decimal = _NONE
    limit_price: Decimal | None = None
    refusal_proved: bool = False
    waits_for_entry: bool = False
    is_foreign: bool = False
    group: str = ""
    group_type: int = 0

    @property
    def remaining(self) -> Decimal:
        """What it may still fill."""
        return max(self.quantity - self.filled, _NONE)

    @property
    def is_open(self) -> bool:
        """Whether it is not finished."""
        return self.status not in TERMINAL

    @property
    def is_asleep(self) -> bool:
        """Whether it waits for its entry."""
        return self.status in _AT_WORK and self.waits_for_entry

    @property
    def is_at_work(self) -> bool:
        """Whether the broker works with it, so that it can be changed."""
        return self.status in _AT_WORK and not self.waits_for_entry


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseFacts:
    """A bracket that is to be reduced to `keep` shares, at the market or at `limit_price`.

    `gateway_group` is the name that the Gateway gives to the group of this bracket's children; `tries` counts the CLOSE
    orders since this was asked for; `change_refused`: the broker refused a change that closing needed.
    """

    held: Decimal
    keep: Decimal
    exits: Sequence[ExitFacts]
    road: CloseRoad
    entry_is_over: bool = True
    entry_told_more: bool = False
    limit_price: Decimal | None = None
    gateway_group: str = ""
    is_live: bool = False
    tries: int = 0
    change_refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosePlan:
    """The next step, and what it is about (see CloseStep)."""

    step: CloseStep
    keys: tuple[int, ...] = ()
    sizes: tuple[tuple[int, Decimal], ...] = ()
    quantity: Decimal = _NONE
    group: str = ""
    group_type: int = 0


_WAIT = ClosePlan(step=CloseStep.WAIT)
_LEAVES_THE_STOP = (CloseStep.NOTHING, CloseStep.FOREIGN, CloseStep.GIVE_UP)


def plan_close(facts: CloseFacts) -> ClosePlan:
    """Return what is to be sent next. Asked again after each word of the broker; sending it twice changes nothing."""
    closing = [leg for leg in facts.exits if leg.leg is Leg.CLOSE and leg.is_open]
    unsent = [leg for leg in closing if leg.status is OrderStatus.CREATED]
    # What was written down before shares went elsewhere would sell them once more.
    outdated = _keys(leg for leg in unsent if leg.quantity != facts.held - facts.keep)
    if facts.held <= facts.keep:
        return ClosePlan(step=CloseStep.DISCARD, keys=outdated) if outdated else ClosePlan(step=CloseStep.NOTHING)
    if not facts.entry_is_over or _is_not_known(facts):
        return _WAIT
    if outdated:
        return ClosePlan(step=CloseStep.DISCARD, keys=outdated)
    if closing:
        return ClosePlan(step=CloseStep.SEND, keys=_keys(unsent)) if unsent else _WAIT
    if facts.limit_price is not None:
        return _limit_plan(facts)
    return _market_plan(facts)


def _market_plan(facts: CloseFacts) -> ClosePlan:
    live = [leg for leg in facts.exits if leg.is_open and leg.status is not OrderStatus.CREATED]
    if at_market := [leg for leg in live if is_at_market(leg)]:
        return _without_idle(at_market) or _WAIT
    if facts.tries >= CLOSES_MAX:
        return ClosePlan(step=CloseStep.GIVE_UP)
    if not facts.keep:
        target = target_to_move(facts)
        if target is not None and facts.road in (CloseRoad.AUTO, CloseRoad.TARGET) and not facts.change_refused:
            return ClosePlan(step=CloseStep.MOVE_TARGET, keys=(target.key,))
        if (group := _group_to_join(facts, live)) is not None:
            name, of_type = group
            return ClosePlan(step=CloseStep.JOIN, quantity=facts.held, group=name, group_type=of_type)
    if foreign := _keys(leg for leg in live if leg.is_foreign):
        return ClosePlan(step=CloseStep.FOREIGN, keys=foreign)
    if facts.keep and not facts.change_refused:
        return _part_plan(facts, live)
    if live:
        keys = _keys(leg for leg in live if leg.status is not OrderStatus.PENDING_CANCEL)
        return ClosePlan(step=CloseStep.CANCEL, keys=keys) if keys else _WAIT
    return ClosePlan(step=CloseStep.CLOSE, quantity=facts.held - facts.keep)


def keeps_its_stop(facts: CloseFacts) -> bool:
    """Say whether the stop protects the shares while they are closed, so that the guard looks after it as always.

    So it is where the target closes them: one that fills takes the stop with it at the broker.
    """
    if any(is_at_market(leg) and leg.is_open for leg in facts.exits):
        return True
    return plan_close(facts).step is CloseStep.MOVE_TARGET or facts.limit_price is not None


def gives_up_a_stop(plan: ClosePlan, facts: CloseFacts) -> bool:
    """Say whether this step is the first that takes a stop away: the shares have theirs until it is sent."""
    stands = bareness(held=facts.held, keep=facts.keep, exits=facts.exits)
    return plan.step in (CloseStep.CANCEL, CloseStep.CUT) and stands is Bareness.COVERED


def closing_step(facts: CloseFacts) -> CloseStep | None:
    """Return the next step where closing takes the stop away; None where the guard looks after the shares."""
    if facts.held <= facts.keep or keeps_its_stop(facts):
        return None
    step = plan_close(facts).step
    return None if step in _LEAVES_THE_STOP else step


class Bareness(StrEnum):
    """How shares that are to be closed stand to their stops. A stop whose cancel is under way counts as gone."""

    COVERED = "COVERED"
    BARE = "BARE"  # Nothing that closes them has left yet: they go before all that still have their stop.
    CLOSING = "CLOSING"  # What closes them has left, and has not filled.


def bareness(*, held: Decimal, keep: Decimal, exits: Sequence[ExitFacts]) -> Bareness:
    """Say whether shares that are to be closed have no stop at work, and whether what closes them has left."""
    left = [leg for leg in exits if leg.is_open and leg.status is not OrderStatus.CREATED]
    covered = sum((leg.remaining for leg in left if leg.leg in _STOPS and leg.is_at_work), _NONE)
    if held <= keep or covered >= held:
        return Bareness.COVERED
    return Bareness.CLOSING if any(leg.leg is Leg.CLOSE or is_at_market(leg) for leg in left) else Bareness.BARE


def is_at_market(leg: ExitFacts) -> bool:
    """Say whether this is a target that was made a market order."""
    return leg.leg is Leg.TAKE_PROFIT and leg.order_type is OrderType.MARKET and leg.is_open


def target_to_move(facts: CloseFacts) -> ExitFacts | None:
    """Return the target that closes all that is held when it is moved, and takes its stop with it; None without one."""
    live = [leg for leg in facts.exits if leg.is_open]
    target = next((leg for leg in live if leg.leg is Leg.TAKE_PROFIT), None)
    others = [leg for leg in live if leg is not target]
    if target is None or target.is_foreign or not target.is_at_work or target.remaining != facts.held:
        return None
    if len(others) != 1 or others[0].leg is not Leg.STOP_LOSS or not others[0].is_at_work:
        return None
    return target if target.group and target.group == others[0].group else None


def _is_not_known(facts: CloseFacts) -> bool:
    """Say whether more may have been closed than the deals say, or an exit that was refused may live."""
    told_more = facts.entry_told_more or any(leg.told_filled > leg.filled for leg in facts.exits)
    return told_more or any(leg.status is OrderStatus.REJECTED and not leg.refusal_proved for leg in facts.exits)


def _limit_plan(facts: CloseFacts) -> ClosePlan:
    target = target_to_move(facts)
    if target is None or facts.change_refused or facts.keep:
        return ClosePlan(step=CloseStep.GIVE_UP)
    if target.order_type is OrderType.LIMIT and target.limit_price == facts.limit_price:
        return ClosePlan(step=CloseStep.NOTHING)
    return ClosePlan(step=CloseStep.MOVE_TARGET, keys=(target.key,))


def _group_to_join(facts: CloseFacts, live: Sequence[ExitFacts]) -> tuple[str, int] | None:
    """Return the group that all exits are in, and its type; None where it is not to be joined."""
    groups = {(leg.group, leg.group_type) for leg in live}
    joined_before = any(leg.leg is Leg.CLOSE and leg.group for leg in facts.exits)
    if len(groups) != 1 or joined_before or not all(leg.is_at_work and not leg.is_foreign for leg in live):
        return None
    ((name, of_type),) = groups
    is_proved = name != facts.gateway_group and not facts.is_live
    wanted = facts.road is CloseRoad.JOIN or (facts.road is CloseRoad.AUTO and is_proved)
    return (name, of_type) if name and wanted else None


def _part_plan(facts: CloseFacts, live: Sequence[ExitFacts]) -> ClosePlan:
    """Cut the exits to what is kept; when all are as small, close the rest."""
    if (idle := _without_idle(live)) is not None:
        return idle
    sizes: list[tuple[int, Decimal]] = []
    gone: list[int] = []
    stops = sorted((leg for leg in live if leg.leg in _STOPS), key=lambda leg: (leg.leg is Leg.PROTECT, leg.key))
    left = facts.keep
    for stop in stops:
        _cut(stop, left, sizes=sizes, gone=gone)
        left -= min(left, stop.remaining)
    for target in (leg for leg in live if leg.leg is Leg.TAKE_PROFIT):
        _cut(target, facts.keep, sizes=sizes, gone=gone)
    if not sizes and not gone:
        is_cut = sum((stop.remaining for stop in stops), _NONE) <= facts.keep
        return ClosePlan(step=CloseStep.CLOSE, quantity=facts.held - facts.keep) if is_cut else _WAIT
    if not all(leg.is_at_work for leg in live):
        return _WAIT
    return ClosePlan(step=CloseStep.CUT, sizes=tuple(sizes), keys=tuple(gone))


def _without_idle(legs: Sequence[ExitFacts]) -> ClosePlan | None:
    """Cancel those that the broker has but does not work with; None where there are none.

    A change may be answered so. It protects nothing, nor does it close anything, and it could come to life beside what
    does: to wait for it would leave the shares as they are, without a stop and for ever.
    """
    idle = _keys(leg for leg in legs if leg.status is OrderStatus.INACTIVE or leg.is_asleep)
    return ClosePlan(step=CloseStep.CANCEL, keys=idle) if idle else None


def _cut(leg: ExitFacts, most: Decimal, *, sizes: list[tuple[int, Decimal]], gone: list[int]) -> None:
    if leg.remaining <= most:
        return
    if most:
        sizes.append((leg.key, leg.filled + most))
    else:
        gone.append(leg.key)


def _keys(legs: Iterable[ExitFacts]) -> tuple[int, ...]:
    return tuple(leg.key for leg in legs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How many of a tranche's shares are open. `key` names it to the caller."""

    key: int
    open: Decimal


def shares_to_close(*, open_of: Sequence[Share], quantity: Decimal) -> dict[int, Decimal]:
    """Return how many shares each tranche closes, given in their order: the first ones wholly, then a part.

    >>> shares_to_close(open_of=[Share(key=1, open=Decimal(5)), Share(key=2, open=Decimal(5))], quantity=Decimal(7))
    {1: Decimal('5'), 2: Decimal('2')}
    """
    taken: dict[int, Decimal] = {}
    left = quantity
    for share in open_of:
        part = min(left, max(share.open, _NONE))
        if part:
            taken[share.key] = part
            left -= part
    return taken
