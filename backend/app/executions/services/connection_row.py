"""Which connection a worker holds, by which fence, and which orders are that connection's to change."""

from app.accounts.fencing import Holding
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.brokers.errors import NotConnected
from app.executions.models import Order


def connection_of(broker: BlockingBroker) -> BrokerConnection:
    """Return the row of the connection that the broker holds. Raises NotConnected."""
    holder = BrokerConnection.objects.select_related("account").filter(pk=broker.connection_id).first()
    if holder is None:
        # A worker serves the queue from when it holds the lock, a moment before it knows the connection's row.
        raise NotConnected("This worker has no connection to the broker yet.")
    return holder


def holding_of(broker: BlockingBroker) -> Holding:
    """Return the right to write that the broker's worker believes to have."""
    return Holding(connection_id=broker.connection_id, fence=broker.fence)


def is_foreign(order: Order, holder: BrokerConnection) -> bool:
    """Say whether another client id, or another account's connection, placed it: only that one may change it."""
    placed = (order.account_id, order.client_id)
    return order.order_id is not None and placed != (holder.account_id, holder.client_id)
