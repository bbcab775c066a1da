"""The only place that calls the broker's sending verbs.

    whose connection is it ──> who placed the order ──> turn ──> permit: fence, write ahead ──> first byte ──> news

What is sent has a row before its first byte, and is settled by what the broker tells, never by having been sent. An
order still CREATED was never sent, so sending it after a crash is safe; one found SENT may have been, and is asked for.
A change and a cancel may be repeated: they carry the id of an order that exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounts.fencing import Holding
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.brokers.errors import NotConnected
from app.core.logging import bind_order, get_logger
from app.executions import news
from app.executions.models import Bracket, Execution, Order
from app.executions.services.send_permit import BracketPermit, OrderPermit, require_unsent
from app.executions.services.ticket import bracket_ticket, contract_of, order_ticket

logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelsSent:
    """The orders whose cancel was sent, and those that only another client id may cancel (IB_FACTS B4)."""

    sent: Sequence[Order]
    foreign: Sequence[Order]


def bracket_send(
    *, execution: Execution, bracket: Bracket, broker: BlockingBroker, holder: BrokerConnection | None = None
) -> str:
    """Send a native bracket and return its reference. `holder` is the connection's row, where it was just read.

    Raises NotConnected, QueueFull, OrderIdTooLow or RetryLater where nothing was sent, Conflict where it must not be
    (see BracketPermit), BrokerTimeout where the outcome is unknown.
    """
    holder = holder or connection_of(broker)
    placed = broker.place_bracket(
        bracket_ticket(execution, bracket),
        id_floor=holder.order_id_floor,
        permit=BracketPermit(bracket_id=bracket.pk, holding=_holding(broker)),
    )
    news.publish_on_commit(execution.pk)
    logger.info("bracket_sent", tranche=bracket.tranche, reference=placed.reference)
    return placed.reference


def order_send(*, order_pk: int, broker: BlockingBroker, replaces: Sequence[Order] = ()) -> int:
    """Send one order outside any native bracket, right behind it the cancels of what it `replaces`; return its id.

    For the legs PROTECT and CLOSE. Raises Conflict `order_settled` where it is not CREATED any more; NotConnected,
    QueueFull, OrderIdTooLow or RetryLater where nothing was sent and it may be tried again; BrokerTimeout where the
    outcome is unknown.
    """
    order = Order.objects.select_related("bracket__execution").get(pk=order_pk)
    require_unsent(order)
    holder = connection_of(broker)
    with bind_order(execution=order.bracket.execution_id, order_ref=order.order_ref):
        order_id = broker.place_order(
            order_ticket(order),
            contract=contract_of(order.bracket.execution),
            id_floor=holder.order_id_floor,
            permit=OrderPermit(order_pk=order_pk, holding=_holding(broker)),
            cancels=[other.order_id for other in replaces if other.order_id and not is_foreign(other, holder)],
        )
        news.publish_on_commit(order.bracket.execution_id)
        logger.info("order_sent", leg=order.leg, order_id=order_id, quantity=str(order.quantity))
    return order_id


def change_send(*, order: Order, broker: BlockingBroker) -> None:
    """Send the order again under its id, as it stands in memory. Raises NotConnected, QueueFull, BrokerTimeout."""
    broker.modify_order(
        order_id=order.order_id or 0, contract=contract_of(order.bracket.execution), ticket=order_ticket(order)
    )
    logger.info("change_sent", order_ref=order.order_ref, order_id=order.order_id, quantity=str(order.quantity))


def cancels_send(*, orders: Sequence[Order], broker: BlockingBroker) -> CancelsSent:
    """Send the cancels of these orders, of those that are ours to cancel. Raises NotConnected, BrokerTimeout."""
    if not orders:
        return CancelsSent(sent=[], foreign=[])
    holder = connection_of(broker)
    foreign = [order for order in orders if is_foreign(order, holder)]
    ours = [order for order in orders if order not in foreign]
    for order in ours:
        broker.cancel_order(order.order_id or 0)
        logger.info("cancel_sent", order_ref=order.order_ref, order_id=order.order_id)
    return CancelsSent(sent=ours, foreign=foreign)


def connection_of(broker: BlockingBroker) -> BrokerConnection:
    """Return the row of the connection that the broker holds. Raises NotConnected."""
    holder = BrokerConnection.objects.select_related("account").filter(pk=broker.connection_id).first()
    if holder is None:
        # A worker serves the queue from when it holds the lock, a moment before it knows the connection's row.
        raise NotConnected("This worker has no connection to the broker yet.")
    return holder


def is_foreign(order: Order, holder: BrokerConnection) -> bool:
    """Say whether another client id, or another account's connection, placed it: only that one may change it."""
    placed = (order.account_id, order.client_id)
    return order.order_id is not None and placed != (holder.account_id, holder.client_id)


def _holding(broker: BlockingBroker) -> Holding:
    return Holding(connection_id=broker.connection_id, fence=broker.fence)
