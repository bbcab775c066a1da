"""Which order of ours is the broker talking about? One question, or many at once.

By `order_ref`, then `perm_id`, and by order id only where the message carries neither: order ids are issued again after
a Gateway restart, the other two never. An `order_ref` that is not ours means the order is not ours.
"""

from collections.abc import Sequence
from datetime import datetime

from app.domain.broker_events import AnyBrokerEvent, CommissionTold, Concluded, FillTold, OrderTold
from app.executions.models import BrokerEvent, Order
from app.executions.open_rows import Literal


def order_match(event: AnyBrokerEvent) -> Order | None:
    """Return the order of ours that an event is about."""
    orders = Order.objects.select_related("bracket")
    if isinstance(event, CommissionTold):
        return orders.filter(fills__exec_id=event.exec_id).first()
    if isinstance(event, Concluded):
        return orders.filter(order_ref=event.order_ref).first()
    if isinstance(event, OrderTold | FillTold) and event.order_ref:
        return orders.filter(order_ref=event.order_ref).first()
    of_account = orders.filter(account__account_id=event.account) if event.account else orders
    if isinstance(event, OrderTold | FillTold) and event.perm_id:
        known = of_account.filter(perm_id=event.perm_id, perm_id__gt=Literal(0)).first()
        if known is not None:
            return known
    if not event.order_id:
        return None
    by_id = of_account.filter(client_id=event.client_id, order_id=event.order_id).first()
    told_perm_id = getattr(event, "perm_id", 0)
    # The same order id under another perm_id is another order: ids were rolled back and issued to somebody else.
    return by_id if by_id is None or not (told_perm_id and by_id.perm_id) else None


def orders_match(told: Sequence[OrderTold | FillTold]) -> list[Order | None]:
    """Return `order_match` of each, in one query for all that carry an `order_ref`."""
    refs = {one.order_ref for one in told if one.order_ref}
    by_ref = {order.order_ref: order for order in Order.objects.select_related("bracket").filter(order_ref__in=refs)}
    return [by_ref.get(one.order_ref) if one.order_ref else order_match(one) for one in told]


def unheard(events: Sequence[AnyBrokerEvent], *, by: datetime | None = None) -> list[AnyBrokerEvent]:
    """Return the events that are not stored yet, or were not `by` that moment, in their order."""
    keys = {event.dedupe_key for event in events}
    stored = BrokerEvent.objects.filter(dedupe_key__in=keys)
    if by is not None:
        stored = stored.filter(recorded_at__lte=by)
    known = set(stored.values_list("dedupe_key", flat=True))
    return [event for event in events if event.dedupe_key not in known]
