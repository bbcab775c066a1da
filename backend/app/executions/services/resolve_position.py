"""Acts about what the account holds: whose the difference between the account and our books is."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User

from app.accounts.models import Position
from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest
from app.domain.broker_events import ClosedElsewhere
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OrderType
from app.executions.models import Bracket, open_quantity_of
from app.executions.services.close_wish import wish_is_over
from app.executions.services.resolve_facts import Asked, Facts, Plan, exits_left, name_of, shares
from app.executions.services.resolve_stops import sendings_of, stops_for

_NONE = Decimal(0)


def closed_elsewhere(facts: Facts, asked: Asked, user: User | None, now: datetime) -> Plan:
    """Plan that `quantity` missing shares were ours; as many as the difference says where it is left out.

    Of an execution that has closed all it held, that is what somebody else had closed before its exits did.
    Raises Conflict `position_agrees`, `nothing_missing` (the account does not hold less than claimed), FixRequest
    `quantity_too_large`.
    """
    row = _in_doubt(facts)
    execution = facts.execution
    missing = -row.disputed * facts.sign
    reach = {bracket.pk: _closable(bracket, is_over=execution.open_quantity == 0) for bracket in facts.brackets}
    limit = min(missing, sum(reach.values(), _NONE))
    if limit <= 0:
        raise Conflict("The account does not hold less than is claimed.", code="nothing_missing")
    if asked.quantity is not None and not 0 < asked.quantity <= limit:
        raise FixRequest(
            f"{limit.normalize():f} shares of it can have been closed elsewhere, not {asked.quantity.normalize():f}.",
            code="quantity_too_large",
            details={"quantity_max": plain(limit)},
        )
    closed = asked.quantity or limit
    taken = list(_taken(facts, closed, reach=reach))
    after = {bracket.pk: open_quantity_of(bracket.orders.all()) - quantity for bracket, quantity in taken}
    return Plan(
        text=f"{shares(closed)} of {row.symbol} were closed by no order of ours. {asked.note}".strip(),
        open_after=execution.open_quantity - closed,
        others_after=row.others,
        events=[claim_change(facts, bracket, quantity, user=user, now=now) for bracket, quantity in taken],
        sends=list(exits_left(facts, claims_after=after)),
    )


def not_ours(facts: Facts, asked: Asked, user: User | None, now: datetime) -> Plan:
    """Plan that the whole difference belongs to others. Raises Conflict `position_agrees`."""
    row = _in_doubt(facts)
    text = f"The difference of {row.disputed.normalize():f} {row.symbol} belongs to others. {asked.note}".strip()
    return Plan(text=text, open_after=facts.execution.open_quantity, others_after=row.others + row.disputed)


def take_over(facts: Facts, asked: Asked, user: User | None, now: datetime) -> Plan:
    """Plan that `quantity` shares are what the execution claims from now on; the rest belongs to others.

    Where shares would have no stop, one is placed at `stop_price`; left out, at the price of the last one, which has to
    be said where more is taken over than was ever filled (a split has moved the prices). Raises Conflict
    `position_unknown`, `entry_open`, FixRequest `field_missing`, `quantity_too_large`, and what `stops_for` raises.
    """
    row, execution, quantity = facts.position, facts.execution, asked.quantity
    if row is None:
        raise Conflict("It is not known what the account holds of it.", code="position_unknown")
    if quantity is None or quantity < 0:
        raise FixRequest("Say in quantity how many shares it is to claim.", code="field_missing")
    if any(OrderStatus(facts.entry_of(bracket).status) not in TERMINAL for bracket in facts.brackets):
        raise Conflict("An entry may still fill: cancel it first.", code="entry_open")
    wished = execution.flatten_requested_at is not None or any(b.keep_quantity is not None for b in facts.brackets)
    wished = wished and not wish_is_over(finished_at=execution.finished_at, now=now)
    ends_wish = wished and quantity > max(execution.open_quantity, _NONE)
    if ends_wish and _is_closing_sent(facts):
        raise Conflict(
            "It is being closed: what it took over could be sold beside that, or at once after it.",
            code="closing_already",
        )
    limit = max(_claim_max(facts), _NONE)
    if quantity > limit:
        raise FixRequest(
            f"The account holds {shares(limit)} that can be its, not {quantity.normalize():f}.",
            code="quantity_too_large",
            details={"quantity_max": plain(limit)},
        )
    changes = list(_claim_changes(facts, quantity - execution.open_quantity))
    after = {bracket.pk: open_quantity_of(bracket.orders.all()) for bracket in facts.brackets}
    for bracket, change in changes:
        after[bracket.pk] -= change
    stops = stops_for(facts, claims_after=after, stop_price=asked.stop_price)
    if stops and asked.stop_price is None and quantity > sum(facts.entry_of(b).filled_quantity for b in facts.brackets):
        raise FixRequest(
            "More is taken over than was filled: say in stop_price where its stop is.", code="field_missing"
        )
    ended = "It is not to be closed any more: ask for that anew. " if ends_wish else ""
    return Plan(
        text=f"The execution claims {shares(quantity)} of {row.symbol} from now on. {ended}{asked.note}".strip(),
        ends_wish=ends_wish,
        open_after=quantity,
        # Not from the report of what is held, which may be a minute old.
        others_after=row.others + row.disputed - facts.sign * (quantity - execution.open_quantity),
        events=[claim_change(facts, bracket, change, user=user, now=now) for bracket, change in changes],
        places=stops,
        sends=[*exits_left(facts, claims_after=after), *sendings_of(stops)],
    )


def _is_closing_sent(facts: Facts) -> bool:
    """Say whether an order that closes it at the market may be at the broker."""
    exits = [order for bracket in facts.brackets for order in bracket.orders.all() if order.leg != Leg.ENTRY.value]
    at_market = [one for one in exits if one.leg == Leg.CLOSE.value or one.order_type == OrderType.MARKET.value]
    return any(OrderStatus(one.status) not in TERMINAL for one in at_market)


def _claim_max(facts: Facts) -> Decimal:
    """Return how many shares the execution can claim: its own, less what is missing, or with what nobody claims."""
    own, difference, others = facts.execution.open_quantity, facts.difference * facts.sign, facts.others * facts.sign
    return own + difference if difference < 0 else own + max(difference + others, _NONE)


def _claim_changes(facts: Facts, more: Decimal) -> Iterable[tuple[Bracket, Decimal]]:
    """Hand out how the claim changes, as shares closed elsewhere: those are given back first."""
    if more < 0:
        yield from _taken(facts, -more, reach={one.pk: _closable(one, is_over=False) for one in facts.brackets})
        return
    left = more
    for number, bracket in enumerate(facts.brackets, start=1):
        given = min(max(facts.entry_of(bracket).closed_elsewhere, _NONE), left)
        if number == len(facts.brackets):
            given = left  # What was never filled here is the last one's.
        left -= given
        if given:
            yield bracket, -given


def claim_change(
    facts: Facts, bracket: Bracket, quantity: Decimal, *, user: User | None, now: datetime
) -> ClosedElsewhere:
    """Return the event by which so many shares of a bracket are closed elsewhere; negative to take them back."""
    ref = facts.entry_of(bracket).order_ref
    what = f"{shares(quantity)} were closed elsewhere" if quantity > 0 else f"{shares(-quantity)} were taken over"
    return ClosedElsewhere(
        dedupe_key=f"elsewhere:{ref}:person:{now.isoformat()}",
        account=facts.execution.account.account_id,
        received_at=now,
        order_ref=ref,
        quantity=quantity,
        evidence=f"tranche {bracket.tranche}: {what}, says {name_of(user)}",
    )


def _in_doubt(facts: Facts) -> Position:
    if facts.position is None or not facts.position.in_doubt:
        raise Conflict("The account holds what our books say; there is nothing to settle.", code="position_agrees")
    return facts.position


def _closable(bracket: Bracket, *, is_over: bool) -> Decimal:
    """Return how many of its shares can have been closed elsewhere: what is open, or what its exits have closed."""
    orders = list(bracket.orders.all())
    if is_over:
        return sum((order.filled_quantity for order in orders if Leg(order.leg).is_exit), _NONE)
    return max(open_quantity_of(orders), _NONE)


def _taken(facts: Facts, left: Decimal, *, reach: Mapping[int, Decimal]) -> Iterable[tuple[Bracket, Decimal]]:
    """Hand out so many shares to the brackets that can have lost some, the first one first."""
    for bracket in facts.brackets:
        taken = min(left, reach[bracket.pk])
        if taken:
            left -= taken
            yield bracket, taken
