"""Is every filled share of a bracket covered by a working stop, and if not, what repairs it? Plain rules, no I/O.

    held   = entry's fills - exits' fills - what was closed elsewhere + what was bought or sold back (a surplus)
    cover  = what its working stops would still close

    held > 0   cover = held   COVERED                      held = 0   entry open, its stop there     COVERED
               cover < held   PARTIAL, UNPROTECTED                    entry open, its stop over      UNPROTECTED
               cover > held   EXCESS                                  entry over, exits left         ORPHANED
               an exit whose fate is not known: UNKNOWN               entry open, a stop of ours     ORPHANED
                                                           held < 0   more was closed than opened    EXCESS

A stop counts once the broker works with it. One that still waits for its entry covers nothing: after a partial fill
Interactive Brokers wakes the children early, late or not at all (seen both ways), and all three must be safe. While the
entry is open, a child stop of the full size is no excess: the broker caps it at what the entry has filled.
Nothing is repaired on UNKNOWN: a second stop beside one that turns out to live would sell the position twice. A refusal
is no proof: until the broker's open orders, asked for afterwards, lack what it refused, its fate is not known.

A target is linked with the bracket's own stop: at the broker, one takes the other with it. It is not linked with a stop
of ours, and a price that runs through both would close the position twice. So a target goes when its stop is replaced,
in the same breath, and is cut where only a part of the shares is still under its own stop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from app.domain.order_status import LIVE, TERMINAL, UNANSWERED, OrderStatus
from app.domain.terms import Leg

_NONE = Decimal(0)
_AT_WORK = frozenset({OrderStatus.HELD, OrderStatus.WORKING})
_FATE_UNKNOWN = frozenset({OrderStatus.SENT, OrderStatus.PENDING_SUBMIT, OrderStatus.PENDING_CANCEL})
_STOPS = frozenset({Leg.STOP_LOSS, Leg.PROTECT})
# What closes, or protects what is held: neither is wanted where nothing is.
_CLOSING = frozenset({Leg.PROTECT, Leg.CLOSE})
_NOT_LINKED_WITH = {Leg.CLOSE: frozenset({Leg.CLOSE}), Leg.PROTECT: frozenset({Leg.CLOSE, Leg.PROTECT})}
_CLOSED_ELSEWHERE = "some of its shares were closed elsewhere, and its exits could close as many again"
_UNHEARD = UNANSWERED | {OrderStatus.NOT_PLACED}


class Coverage(StrEnum):
    """How the shares of a bracket stand to its stops."""

    COVERED = "COVERED"
    PARTIAL = "PARTIAL"
    UNPROTECTED = "UNPROTECTED"
    EXCESS = "EXCESS"
    ORPHANED = "ORPHANED"
    UNKNOWN = "UNKNOWN"


class RepairKind(StrEnum):
    """What a repair does."""

    PLACE_STOP = "PLACE_STOP"  # a new stop for `quantity` shares
    SEND = "SEND"  # a repair that was written down and never sent
    DISCARD = "DISCARD"  # the same, but it is not needed any more
    RESIZE = "RESIZE"  # the order's whole quantity becomes `quantity`
    CANCEL = "CANCEL"
    CANCEL_ENTRY = "CANCEL_ENTRY"  # what the entry would still fill would have no stop
    ASK = "ASK"  # a person has to look


@dataclass(frozen=True, kw_only=True, slots=True)
class LegFacts:
    """What of an order decides the protection. `key` names it to the caller; quantities are shares."""

    key: int
    leg: Leg
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    waits_for_entry: bool = False
    closed_elsewhere: Decimal = _NONE  # of an entry's shares, by no order of ours
    refusal_proved: bool = False  # the broker's open orders, asked for after it was refused, lack it
    refusal_suspected: bool = False  # the broker's only answer to it is a code that is no certain refusal
    told_filled: Decimal = _NONE  # by the broker's status messages, which run ahead of the deals, or outlive lost ones

    @property
    def remaining(self) -> Decimal:
        """What it may still fill."""
        return max(self.quantity - self.filled, _NONE)

    @property
    def is_over(self) -> bool:
        """Whether it is finished."""
        return self.status in TERMINAL

    @property
    def is_refused_in_doubt(self) -> bool:
        """Whether it is an exit that was refused, and may live all the same."""
        return self.leg.is_exit and self.status is OrderStatus.REJECTED and not self.refusal_proved


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """One thing to do. `key` is the order it is about, None for a new stop and for a question to a person.

    `cancels` are targets that a new stop takes the place of: cancelled with the same turn to send.
    """

    kind: RepairKind
    reason: str
    key: int | None = None
    quantity: Decimal | None = None
    cancels: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Protection:
    """What is held and covered, in shares (`held` is negative where too much was closed), and the repairs in order.

    `asks_broker`: only the broker's complete answer can tell what is wrong. `in_doubt` are the exits of which its open
    orders tell whether they live.
    """

    coverage: Coverage
    held: Decimal
    covered: Decimal
    repairs: tuple[Repair, ...] = ()
    asks_broker: bool = False
    in_doubt: tuple[int, ...] = ()


def assess(legs: Iterable[LegFacts]) -> Protection:
    """Judge one bracket by its legs, of which exactly one is the entry."""
    facts = list(legs)
    entry = next(leg for leg in facts if leg.leg is Leg.ENTRY)
    exits = [leg for leg in facts if leg.leg.is_exit]
    given_back = sum((leg.filled for leg in facts if leg.leg is Leg.SURPLUS), _NONE)
    held = entry.filled - entry.closed_elsewhere + given_back - sum((leg.filled for leg in exits), _NONE)
    if held < 0:
        found = _oversold(exits, held=held)
    elif held == 0:
        found = _nothing_held(entry, exits)
    else:
        found = _shares_held(entry, exits, held=held)
    if _exits_reach_too_far(entry) and (cancel := _cancel_entry(entry, reason=_CLOSED_ELSEWHERE)):
        rest = tuple(repair for repair in found.repairs if repair.kind is not RepairKind.CANCEL_ENTRY)
        found = replace(found, coverage=Coverage.EXCESS, repairs=(*cancel, *rest))
    in_doubt = tuple(_in_doubt(facts))
    # What the entry filled beyond its known deals is covered by its children or not: the deals decide.
    asks_broker = found.asks_broker or entry.told_filled > entry.filled
    if asks_broker == found.asks_broker and not in_doubt:
        return found
    return replace(found, asks_broker=asks_broker, in_doubt=in_doubt)


def _exits_reach_too_far(entry: LegFacts) -> bool:
    """Say whether the exits of an open entry could close more than is held, because others closed some of it.

    The broker lets a child close what its entry has filled, whoever has closed some of that since; it can be cut only
    once the entry is over.
    """
    return not entry.is_over and entry.closed_elsewhere > 0


def _in_doubt(facts: Sequence[LegFacts]) -> Iterable[int]:
    """Return the exits whose refusal is not proved, and those that were not answered though what left with them was.

    Of each leg, the entry too, a refusal that is only suspected is a doubt. A native bracket leaves in one breath: as
    long as none of it is answered, its answers may be on their way.
    """
    answered = any(leg.leg.is_native and leg.status not in _UNHEARD for leg in facts)
    for leg in facts:
        unanswered = leg.leg.is_exit and leg.status is OrderStatus.SENT and (answered or not leg.leg.is_native)
        if unanswered or leg.is_refused_in_doubt or leg.refusal_suspected:
            yield leg.key


def could_close(sent: LegFacts, beside: Iterable[LegFacts]) -> Decimal:
    """Return what an order of ours could close together with those of the bracket that are not linked with it.

    A CLOSE stands for itself: an exit that it joins or replaces is linked with it, or was cancelled before.
    """
    unlinked = _NOT_LINKED_WITH.get(sent.leg, frozenset())
    at_broker = [leg for leg in beside if leg.key != sent.key and leg.leg in unlinked and not leg.is_over]
    return sent.quantity + sum((leg.remaining for leg in at_broker if leg.status is not OrderStatus.CREATED), _NONE)


def _oversold(exits: Sequence[LegFacts], *, held: Decimal) -> Protection:
    text = f"{-held.normalize():f} shares more were closed than opened"
    ask = Repair(kind=RepairKind.ASK, reason=text)
    return Protection(
        coverage=Coverage.EXCESS,
        held=held,
        covered=_NONE,
        repairs=(*_cancels(exits, reason="nothing is left to close"), *_discards(exits, _CLOSING), ask),
    )


def _nothing_held(entry: LegFacts, exits: Sequence[LegFacts]) -> Protection:
    discards = tuple(_discards(exits, _CLOSING))
    if not entry.is_over:
        stop_is_over = all(leg.is_over for leg in exits if leg.leg is Leg.STOP_LOSS)
        coverage = Coverage.UNPROTECTED if stop_is_over else Coverage.COVERED
        repairs = _cancel_entry(entry, reason="its stop is over before it is filled") if stop_is_over else ()
        own = [leg for leg in exits if leg.leg is Leg.PROTECT and leg.status in _AT_WORK]
        if own:
            # A child waits for its entry; a stop of ours would open a position of its own. It stays for what the entry
            # may have filled unheard: until its deals are told, and its cancel is answered.
            coverage = Coverage.ORPHANED
            if entry.told_filled <= entry.filled and entry.status is not OrderStatus.PENDING_CANCEL:
                repairs = (*repairs, *_cancels(own, reason="it protects nothing any more"))
        return Protection(coverage=coverage, held=_NONE, covered=_NONE, repairs=(*repairs, *discards))
    left = [leg for leg in exits if leg.status in _AT_WORK or leg.status is OrderStatus.INACTIVE]
    if not left:
        return Protection(coverage=Coverage.COVERED, held=_NONE, covered=_NONE, repairs=discards)
    if entry.status is OrderStatus.CANCELLED and not entry.filled:
        # A cancel is no proof of no fill (IB_FACTS B3): its stop stays until a complete answer shows that none came.
        return Protection(coverage=Coverage.ORPHANED, held=_NONE, covered=_NONE, repairs=discards, asks_broker=True)
    cancels = _cancels(left, reason="its position is closed")
    return Protection(coverage=Coverage.ORPHANED, held=_NONE, covered=_NONE, repairs=(*cancels, *discards))


def _shares_held(entry: LegFacts, exits: Sequence[LegFacts], *, held: Decimal) -> Protection:
    stops = [leg for leg in exits if leg.leg in _STOPS]
    asleep = [leg for leg in stops if leg.status in _AT_WORK and leg.waits_for_entry]
    awake = [leg for leg in stops if leg.status in _AT_WORK and not leg.waits_for_entry and leg.remaining]
    cover = _cover(awake, entry=entry, held=held)
    if any(leg.told_filled > leg.filled for leg in exits):
        # An exit has closed more than its deals say: what is held is less than it looks like.
        return Protection(coverage=Coverage.UNKNOWN, held=held, covered=cover, asks_broker=True)
    # What the broker says the entry filled beyond its known deals is held as far as anybody knows.
    held_at_most = held + max(entry.told_filled - entry.filled, _NONE)
    if cover > held_at_most:
        repairs = tuple(_reduce(awake, entry=entry, excess=cover - held_at_most))
        return Protection(coverage=Coverage.EXCESS, held=held, covered=cover, repairs=repairs)
    if cover > held:
        return Protection(coverage=Coverage.UNKNOWN, held=held, covered=cover, asks_broker=True)
    if cover == held:
        too_large = tuple(_cut_targets(exits, entry=entry, held=held_at_most))
        coverage = Coverage.EXCESS if too_large else Coverage.COVERED
        return Protection(coverage=coverage, held=held, covered=cover, repairs=(*too_large, *_discards(exits)))
    missing = held - cover
    refusal_in_doubt = any(leg.is_refused_in_doubt for leg in exits)
    if refusal_in_doubt or any(leg.status in _FATE_UNKNOWN or _is_lost_child(leg) for leg in stops):
        return Protection(coverage=Coverage.UNKNOWN, held=held, covered=cover, asks_broker=True)
    coverage = Coverage.PARTIAL if cover else Coverage.UNPROTECTED
    targets = tuple(leg.key for leg in exits if leg.leg is Leg.TAKE_PROFIT and leg.status in _AT_WORK)
    unlinked = targets if all(leg.is_over for leg in stops if leg.leg is Leg.STOP_LOSS) else ()
    repairs = tuple(_repair(entry, stops, asleep=asleep, missing=missing, unlinked=unlinked))
    return Protection(coverage=coverage, held=held, covered=cover, repairs=repairs)


def _is_lost_child(leg: LegFacts) -> bool:
    """Say whether it is a bracket's own stop of which nothing was sent though its entry has filled."""
    return leg.leg is Leg.STOP_LOSS and leg.status is OrderStatus.CREATED


def _cover(awake: Sequence[LegFacts], *, entry: LegFacts, held: Decimal) -> Decimal:
    """Return what the working stops close. A child of an open entry follows what the entry has filled."""
    children = sum((leg.remaining for leg in awake if leg.leg is Leg.STOP_LOSS), _NONE)
    others = sum((leg.remaining for leg in awake if leg.leg is Leg.PROTECT), _NONE)
    return (children if entry.is_over else min(children, held)) + others


def _repair(
    entry: LegFacts,
    stops: Sequence[LegFacts],
    *,
    asleep: Sequence[LegFacts],
    missing: Decimal,
    unlinked: tuple[int, ...],
) -> Iterable[Repair]:
    if asleep and not entry.is_over:
        yield from _cancel_entry(entry, reason="shares are filled and their stop still waits for the rest")
        return
    stuck = [leg for leg in stops if leg in asleep or leg.status is OrderStatus.INACTIVE]
    if stuck:
        # First out of the way: beside a new stop it could come to life, and both would close the position.
        yield from _cancels(stuck, reason="it does not protect the shares that are held")
        return
    if not entry.is_over:
        yield from _cancel_entry(entry, reason="its stop does not cover what it has filled")
    planned = [leg for leg in stops if leg.status is OrderStatus.CREATED]
    for leg in planned:
        if leg.quantity == missing and leg is planned[0]:
            yield Repair(
                kind=RepairKind.SEND,
                key=leg.key,
                quantity=leg.quantity,
                reason="it was never sent",
                cancels=unlinked,
            )
            missing = _NONE
        else:
            yield Repair(kind=RepairKind.DISCARD, key=leg.key, reason="it is not of the size that is needed now")
    if missing:
        yield Repair(
            kind=RepairKind.PLACE_STOP,
            quantity=missing,
            reason=f"{missing.normalize():f} shares have no stop",
            cancels=unlinked,
        )


def _reduce(awake: Sequence[LegFacts], *, entry: LegFacts, excess: Decimal) -> Iterable[Repair]:
    """Take the excess off the youngest of our own repairs first, off the bracket's own stop last."""
    own = [leg for leg in awake if leg.leg is Leg.PROTECT]
    children = [leg for leg in awake if leg.leg is Leg.STOP_LOSS] if entry.is_over else []
    for leg in [*sorted(own, key=lambda leg: -leg.key), *children]:
        if excess <= 0:
            return
        if leg.remaining <= excess:
            yield Repair(kind=RepairKind.CANCEL, key=leg.key, reason="the stops would close more than is held")
            excess -= leg.remaining
        else:
            kept = leg.quantity - excess
            yield Repair(kind=RepairKind.RESIZE, key=leg.key, quantity=kept, reason="it would close more than is held")
            excess = _NONE


def _cut_targets(exits: Sequence[LegFacts], *, entry: LegFacts, held: Decimal) -> Iterable[Repair]:
    """Cut a target that is larger than the position can become, or than the stop that it is linked with."""
    own_stop = sum((leg.remaining for leg in exits if leg.leg is Leg.STOP_LOSS and not leg.is_over), _NONE)
    is_beside_ours = any(leg.leg is Leg.PROTECT and leg.status not in TERMINAL | {OrderStatus.CREATED} for leg in exits)
    for leg in exits:
        if leg.leg is not Leg.TAKE_PROFIT or leg.status not in _AT_WORK:
            continue
        if is_beside_ours and leg.remaining > own_stop:
            kept, reason = (
                own_stop,
                "it is not linked with the stop that was placed for it: both could close the shares",
            )
        elif entry.is_over and leg.remaining > held:
            kept, reason = held, "it would close more than is held"
        else:
            continue
        if kept:
            yield Repair(kind=RepairKind.RESIZE, key=leg.key, quantity=leg.filled + kept, reason=reason)
        else:
            yield Repair(kind=RepairKind.CANCEL, key=leg.key, reason=reason)


def _cancel_entry(entry: LegFacts, *, reason: str) -> tuple[Repair, ...]:
    if entry.status not in LIVE | {OrderStatus.INACTIVE} or entry.status is OrderStatus.PENDING_CANCEL:
        return ()
    return (Repair(kind=RepairKind.CANCEL_ENTRY, key=entry.key, reason=reason),)


def _cancels(legs: Iterable[LegFacts], *, reason: str) -> Iterable[Repair]:
    for leg in legs:
        if leg.status in _AT_WORK or leg.status is OrderStatus.INACTIVE:
            yield Repair(kind=RepairKind.CANCEL, key=leg.key, reason=reason)


def _discards(exits: Iterable[LegFacts], legs: frozenset[Leg] = frozenset({Leg.PROTECT})) -> Iterable[Repair]:
    for leg in exits:
        if leg.leg in legs and leg.status is OrderStatus.CREATED:
            yield Repair(kind=RepairKind.DISCARD, key=leg.key, reason="it is not needed any more")
