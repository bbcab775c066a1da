"""Acts that place a stop: for shares that have none, and never for more than the account holds for the execution.

    bare    what the brackets claim, less what their working stops close
    limit   bare, less what the account lacks of what is claimed

The stop is an order of its own, leg PROTECT. Nothing at the broker links it with a target of the bracket, so targets
whose own stop is over go with it. The account is asked once more before the first byte (see `acts_send`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User

from app.core import clock
from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.prices import is_on_tick, is_price, tick_at
from app.domain.protection import Coverage
from app.domain.terms import Leg
from app.executions.models import Bracket, Order
from app.executions.services.guard import bracket_protection
from app.executions.services.guard_orders import protect_of
from app.executions.services.guard_room import has_room_for_stop
from app.executions.services.resolve_facts import Asked, Facts, Plan, PlannedOrder, Sending, shares
from app.market.models import Instrument
from app.market.services import increments_of

_NONE = Decimal(0)
_AT_WORK = (OrderStatus.HELD, OrderStatus.WORKING)


def protect(facts: Facts, asked: Asked, _user: User | None, _now: datetime) -> Plan:
    """Plan a stop at `stop_price` for `quantity` shares that have none; for all of them where it is left out.

    Raises FixRequest `field_missing`, Conflict `nothing_bare`, and what `stops_for` raises.
    """
    if asked.stop_price is None:
        raise FixRequest("Say in stop_price where the stop is to be.", code="field_missing")
    stops = stops_for(
        facts,
        claims_after={bracket.pk: bracket_protection(bracket).held for bracket in facts.brackets},
        lacking=max(-facts.difference * facts.sign, _NONE),
        quantity=asked.quantity,
        stop_price=asked.stop_price,
    )
    if not stops:
        raise Conflict("Every share that is held has a working stop.", code="nothing_bare")
    placed = sum((stop.order.quantity for stop in stops), _NONE)
    return Plan(
        text=f"{shares(placed)} get a stop at {plain(asked.stop_price, places_min=2)}. {asked.note}".strip(),
        open_after=facts.execution.open_quantity,
        places=stops,
        sends=list(sendings_of(stops)),
    )


def stops_for(
    facts: Facts,
    *,
    claims_after: Mapping[int, Decimal],
    lacking: Decimal = _NONE,
    quantity: Decimal | None = None,
    stop_price: Decimal | None = None,
) -> list[PlannedOrder]:
    """Plan stops for brackets that hold so many shares, as far as they have none; [] where all have one.

    `lacking` is how many of them the account does not hold. Raises Conflict `stop_in_doubt`, `no_room_for_stop`,
    FixRequest `price_not_positive`, `price_off_tick`, `would_trigger_at_once`, `quantity_too_large`.
    """
    bare = {
        bracket.pk: max(claims_after[bracket.pk] - bracket_protection(bracket).covered, _NONE)
        for bracket in facts.brackets
    }
    limit = max(sum(bare.values(), _NONE) - lacking, _NONE)
    if quantity is not None and not 0 < quantity <= limit:
        raise FixRequest(
            f"{shares(limit)} can get a stop, not {quantity.normalize():f}.",
            code="quantity_too_large",
            details={"quantity_max": plain(limit)},
        )
    left = limit if quantity is None else quantity
    stops: list[PlannedOrder] = []
    for bracket in facts.brackets:
        taken = min(left, bare[bracket.pk])
        if taken:
            left -= taken
            _require_certain(bracket)
            order = protect_of(facts.execution, bracket, quantity=taken, stop_price=stop_price)
            _require_waits(facts, order.stop_price)
            stops.append(PlannedOrder(order=order, reason=CommandReason.PROTECTED, replaces=list(_unlinked(bracket))))
    return stops


def sendings_of(stops: Sequence[PlannedOrder]) -> Iterable[Sending]:
    """Say what is sent for these stops."""
    for stop in stops:
        order = stop.order
        price = plain(order.stop_price, places_min=2) if order.stop_price is not None else ""
        text = f"{order.action} {plain(order.quantity)} STOP {price} {order.time_in_force}"
        yield Sending(kind=CommandKind.PLACE, order_ref=order.order_ref, text=text)
        for target in stop.replaces:
            text = "nothing links it with the new stop: both could close the shares"
            yield Sending(kind=CommandKind.CANCEL, order_ref=target.order_ref, text=text)


def _require_certain(bracket: Bracket) -> None:
    beside = (Leg.CLOSE.value, Leg.PROTECT.value)
    legs = [order for order in bracket.orders.all() if order.leg in beside]
    on_its_way = [o for o in legs if o.status == OrderStatus.CREATED or o.leg == Leg.CLOSE.value]
    if any(OrderStatus(order.status) not in TERMINAL for order in on_its_way):
        raise Conflict("It is being closed, or a stop is on its way: both could fill.", code="stop_in_doubt")
    if bracket_protection(bracket).coverage is Coverage.UNKNOWN:
        raise Conflict(
            "It is not known yet whether a stop of it lives; a second one could fill too.", code="stop_in_doubt"
        )
    if not has_room_for_stop(bracket, now=clock.now()):
        raise Conflict("The broker takes no more orders on this side of the contract.", code="no_room_for_stop")


def _unlinked(bracket: Bracket) -> Iterable[Order]:
    orders = list(bracket.orders.all())
    if any(order.leg == Leg.STOP_LOSS.value and OrderStatus(order.status) not in TERMINAL for order in orders):
        return
    for order in orders:
        if order.leg == Leg.TAKE_PROFIT.value and OrderStatus(order.status) in _AT_WORK:
            yield order


def _require_waits(facts: Facts, price: Decimal | None) -> None:
    """Raise FixRequest where a stop at this price is refused for its tick, or would trigger at once."""
    if not is_price(price):
        said = "none" if price is None else plain(price)
        raise FixRequest(f"A price must be positive, not {said}.", code="price_not_positive")
    known = Instrument.objects.filter(symbol=facts.execution.symbol).first()
    increments = increments_of(known) if known is not None else ()
    said = plain(price, places_min=2)
    if increments and not is_on_tick(price, increments):
        raise FixRequest(
            f"{said} is not a multiple of the tick {plain(tick_at(price, increments))}.", code="price_off_tick"
        )
    if facts.quote is not None and (facts.quote - price) * facts.sign <= 0:
        market = plain(facts.quote, places_min=2)
        raise FixRequest(
            f"The market is at {market}: a stop at {said} would trigger at once. Say in stop_price where it is to be.",
            code="would_trigger_at_once",
            details={"quote": market},
        )
