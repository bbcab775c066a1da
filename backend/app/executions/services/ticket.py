"""What is to be sent for rows: an order, a native bracket, and what they trade."""

from app.brokers.base import BracketTicket, OrderTicket
from app.domain.contract import Contract
from app.domain.terms import Action, Leg, OrderType, TimeInForce
from app.executions.models import Bracket, Execution, Order


def contract_of(execution: Execution) -> Contract:
    """Return what the execution trades."""
    return Contract(
        symbol=execution.symbol,
        security_type=execution.security_type,
        exchange=execution.exchange,
        currency=execution.currency,
        con_id=execution.con_id,
    )


def order_ticket(order: Order) -> OrderTicket:
    """Return the order as it is to be sent."""
    return OrderTicket(
        order_ref=order.order_ref,
        action=Action(order.action),
        order_type=OrderType(order.order_type),
        quantity=order.quantity,
        # A target that was made a market order keeps its limit in the row, and has none at the broker.
        limit_price=None if order.order_type == OrderType.MARKET else order.limit_price,
        stop_price=order.stop_price,
        time_in_force=TimeInForce(order.time_in_force),
        outside_rth=order.outside_rth,
        oca_group=order.oca_group if order.leg == Leg.CLOSE else "",
        oca_type=order.oca_type if order.leg == Leg.CLOSE else 0,
    )


def bracket_ticket(execution: Execution, bracket: Bracket) -> BracketTicket:
    """Return the bracket as it is to be sent."""
    tickets = {order.leg: order_ticket(order) for order in bracket.orders.all()}
    return BracketTicket(
        contract=contract_of(execution),
        entry=tickets[Leg.ENTRY.value],
        stop_loss=tickets[Leg.STOP_LOSS.value],
        take_profit=tickets.get(Leg.TAKE_PROFIT.value),
    )
