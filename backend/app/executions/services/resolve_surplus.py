"""The act that buys or sells back what was closed too much, so that the account holds no position nobody asked for.

surplus   what the exits of a bracket closed beyond what it held
limit     the surplus, as far as the account shows it: shares that it lacks of that are not bought twice
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User

from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest
from app.domain.command import CommandKind, CommandReason
from app.domain.order_ref import OrderRef
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OrderType, TimeInForce
from app.executions.models import Bracket, Order, open_quantity_of
from app.executions.services.resolve_facts import Asked, Facts, Plan, PlannedOrder, Sending, shares

_NONE = Decimal(0)


def close_surplus(facts: Facts, asked: Asked, _user: User | None, _now: datetime) -> Plan:
    """Plan to buy or sell back `quantity` shares at the market; all of the surplus where it is left out.

    Raises Conflict `position_unknown`, `no_surplus`, `surplus_closing` (it is on its way), FixRequest
    `quantity_too_large`.
    """
    own = facts.execution.open_quantity
    if facts.position is None:
        raise Conflict("It is not known what the account holds of it.", code="position_unknown")
    if any(order.leg == Leg.SURPLUS and OrderStatus(order.status) not in TERMINAL for order in facts.orders):
        raise Conflict("An order for it is on its way already.", code="surplus_closing")
    limit = min(-own, -(own + facts.difference * facts.sign))
    if limit <= 0:
        raise Conflict("The account shows nothing that was closed too much.", code="no_surplus")
    if asked.quantity is not None and not 0 < asked.quantity <= limit:
        raise FixRequest(
            f"{shares(limit)} were closed too much, not {asked.quantity.normalize():f}.",
            code="quantity_too_large",
            details={"quantity_max": plain(limit)},
        )
    wanted = asked.quantity or limit
    orders = list(_orders(facts, wanted))
    said = [(order.order_ref, f"{order.action} {plain(order.quantity)} MARKET") for order in orders]
    return Plan(
        text=f"{shares(wanted)} that were closed too much are given back at the market. {asked.note}".strip(),
        open_after=own + wanted,
        places=[PlannedOrder(order=order, reason=CommandReason.SURPLUS) for order in orders],
        sends=[Sending(kind=CommandKind.PLACE, order_ref=ref, text=text) for ref, text in said],
    )


def _orders(facts: Facts, left: Decimal) -> Iterable[Order]:
    for bracket in facts.brackets:
        taken = min(left, max(-open_quantity_of(bracket.orders.all()), _NONE))
        if taken:
            left -= taken
            yield _order(facts, bracket, quantity=taken)


def _order(facts: Facts, bracket: Bracket, *, quantity: Decimal) -> Order:
    """Return the order, not saved yet, under the next free name."""
    number = 1 + sum(order.leg == Leg.SURPLUS for order in bracket.orders.all())
    ref = OrderRef(execution_key=facts.execution.key, tranche=bracket.tranche, leg=Leg.SURPLUS, number=number)
    return Order(
        account=facts.execution.account,
        bracket=bracket,
        leg=Leg.SURPLUS.value,
        order_ref=str(ref),
        action=facts.entry_of(bracket).action,
        order_type=OrderType.MARKET.value,
        quantity=quantity,
        time_in_force=TimeInForce.DAY.value,
    )
