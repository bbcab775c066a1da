"""Put one written-down order on the wire: a leg PROTECT or CLOSE, each at most once whoever calls this and how often.

    CREATED ── turn ── write ahead: id, SENT (refused unless still CREATED) ── first byte ──> the broker's answer

An order still CREATED was never sent, so sending it again after a crash is safe; one found SENT is settled by the
reconcile that follows every connect.
"""

import itertools
from collections.abc import Mapping, Sequence

from django.db import transaction

from app.accounts.fencing import Holding, fence_check, fence_require
from app.accounts.models import BrokerConnection
from app.accounts.services import order_id_floor_raise
from app.brokers.base import BlockingBroker, OrderTicket, WriteAhead
from app.brokers.errors import NotConnected
from app.core import clock
from app.core.errors import Conflict
from app.core.logging import bind_order, get_logger
from app.domain.contract import Contract
from app.domain.order_status import OrderEvent, OrderStatus, transition
from app.domain.terms import Action, OrderType, TimeInForce
from app.executions import news
from app.executions.models import Execution, Order

logger = get_logger(__name__)


def order_place(*, order_pk: int, broker: BlockingBroker, cancels: Sequence[int] = ()) -> int:
    """Send the order, right behind it the cancels of these order ids, and return its order id at the broker.

    Raises Conflict `order_settled` where it is not CREATED any more; NotConnected, QueueFull, OrderIdTooLow or
    RetryLater where nothing was sent and it may be tried again; BrokerTimeout where the outcome is unknown.
    """
    order = Order.objects.select_related("bracket__execution").get(pk=order_pk)
    if order.status != OrderStatus.CREATED.value:
        raise _settled(order)
    holder = BrokerConnection.objects.filter(pk=broker.connection_id).first()
    if holder is None:
        raise NotConnected("This worker has no connection to the broker yet.")
    with bind_order(execution=order.bracket.execution_id, order_ref=order.order_ref):
        order_id = broker.place_order(
            order_ticket(order),
            contract=contract_of(order.bracket.execution),
            id_floor=holder.order_id_floor,
            write_ahead=_write_ahead(order_pk=order_pk, connection_id=broker.connection_id, fence=broker.fence),
            cancels=cancels,
        )
        news.publish_on_commit(order.bracket.execution_id)
        logger.info("order_sent", leg=order.leg, order_id=order_id, quantity=str(order.quantity))
    return order_id


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
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        time_in_force=TimeInForce(order.time_in_force),
        outside_rth=order.outside_rth,
    )


def _write_ahead(*, order_pk: int, connection_id: int, fence: int) -> WriteAhead:
    """Return what the broker calls before the first byte: it stores the reserved order id durably."""

    @transaction.atomic
    def write_ahead(order_ids: Mapping[str, int]) -> None:
        holder = order_id_floor_raise(connection_id=connection_id, order_ids=order_ids.values())
        fence_check(holder, fence=fence)
        Execution.objects.select_for_update(no_key=True, of=("self",)).get(brackets__orders=order_pk)
        order = Order.objects.get(pk=order_pk)
        if order.status != OrderStatus.CREATED.value:
            raise _settled(order)
        order.order_id, order.client_id = order_ids[order.order_ref], holder.client_id
        order.sent_at = clock.now()
        order.status = transition(OrderStatus.CREATED, OrderEvent.SENT).status.value
        order.save(update_fields=["order_id", "client_id", "sent_at", "status"])

    return stored_once(write_ahead, holding=Holding(connection_id=connection_id, fence=fence))


def stored_once(write_ahead: WriteAhead, *, holding: Holding) -> WriteAhead:
    """Return a write-ahead that stores at the first call, and at further ones only asks whether we still may send."""
    calls = itertools.count()

    def stored(order_ids: Mapping[str, int]) -> None:
        if next(calls) == 0:
            write_ahead(order_ids)
        else:
            fence_require(holding)

    return stored


def _settled(order: Order) -> Conflict:
    return Conflict(f"{order.order_ref} is {order.status} already; it is sent once.", code="order_settled")
