"""Which order of ours is the broker talking about? One question, or many at once.

By `order_ref`, then `perm_id`, and by order id only where the message carries neither: order ids are issued again after
a Gateway restart, the other two never. An `order_ref` that is not ours means the order is not ours.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from django.db.models import QuerySet

from app.accounts.models import Account
from app.domain.broker_events import AnyBrokerEvent, CommissionTold, Concluded, DealUnreadable, FillTold, OrderTold
from app.executions.models import Fill, Order
from app.executions.open_rows import Literal, events_known

E = TypeVar("E", bound=AnyBrokerEvent)

# Each may need two parameters of a statement, which takes 65,535 at most.
MATCHED_AT_ONCE = 5000


def order_match(event: AnyBrokerEvent) -> Order | None:
    """Return the order of ours that an event is about."""
    orders = Order.objects.prefetch_related("bracket")
    if isinstance(event, CommissionTold):
        return _one(orders.filter(fills__exec_id=event.exec_id))
    if isinstance(event, Concluded):
        return _one(orders.filter(order_ref=event.order_ref))
    if isinstance(event, OrderTold | FillTold | DealUnreadable) and event.order_ref:
        return _one(orders.filter(order_ref=event.order_ref))
    of_account = orders.filter(account__account_id=event.account) if event.account else orders
    if isinstance(event, OrderTold | FillTold | DealUnreadable) and event.perm_id:
        known = _one(of_account.filter(perm_id=event.perm_id, perm_id__gt=Literal(0)))
        if known is not None:
            return known
    if not event.order_id:
        return None
    by_id = _one(of_account.filter(client_id=event.client_id, order_id=event.order_id))
    told_perm_id = getattr(event, "perm_id", 0)
    # The same order id under another perm_id is another order: ids were rolled back and issued to somebody else.
    return by_id if by_id is None or not (told_perm_id and by_id.perm_id) else None


def _one(orders: QuerySet[Order]) -> Order | None:
    """Return the one that there is. Not sorted: for that the planner may read whole tables in their order."""
    return next(iter(orders.order_by()[:1]), None)


def orders_match(events: Sequence[AnyBrokerEvent]) -> list[Order | None]:
    """Return `order_match` of each, many in a fixed number of queries: a busy account's news is mostly of others.

    What carries no account is asked about one by one.
    """
    return [order for batch in batches(events, length=MATCHED_AT_ONCE) for order in _matched(batch)]


def batches(events: Sequence[E], *, length: int) -> Iterable[Sequence[E]]:
    """Return the events in batches of that length, in their order."""
    return (events[first : first + length] for first in range(0, len(events), length))


def _matched(events: Sequence[AnyBrokerEvent]) -> list[Order | None]:
    named = {order_ref for event in events if (order_ref := getattr(event, "order_ref", ""))}
    by_ref = {order.order_ref: order for order in _with_bracket().filter(order_ref__in=named)}
    nameless = [event for event in events if not getattr(event, "order_ref", "")]
    of_deals = _of_deals(event.exec_id for event in nameless if isinstance(event, CommissionTold))
    numbered = [event for event in nameless if not isinstance(event, CommissionTold) and event.account]
    by_perm_id, by_order_id = _by_perm_id(numbered), _by_order_id(numbered)

    def match(event: AnyBrokerEvent) -> Order | None:
        if order_ref := getattr(event, "order_ref", ""):
            return by_ref.get(order_ref)
        if isinstance(event, CommissionTold):
            return of_deals.get(event.exec_id)
        if not event.account:
            return order_match(event)
        told_perm_id = getattr(event, "perm_id", 0)
        if (known := by_perm_id.get((event.account, told_perm_id))) is not None:
            return known
        found = by_order_id.get((event.account, getattr(event, "client_id", -1), getattr(event, "order_id", 0)))
        return found if found is None or not (told_perm_id and found.perm_id) else None

    return [match(event) for event in events]


def _with_bracket() -> QuerySet[Order]:
    return Order.objects.order_by().prefetch_related("bracket", "account")


def _of_deals(exec_ids: Iterable[str]) -> dict[str, Order]:
    fills = Fill.objects.filter(exec_id__in=set(exec_ids)).order_by().prefetch_related("order__bracket")
    return {fill.exec_id: fill.order for fill in fills}


def _by_perm_id(events: Sequence[AnyBrokerEvent]) -> dict[tuple[str, int], Order]:
    perm_ids = {perm_id for event in events if (perm_id := getattr(event, "perm_id", 0))}
    accounts = Account.objects.filter(account_id__in={event.account for event in events}).values_list("pk", flat=True)
    orders = _with_bracket().filter(account__in=list(accounts), perm_id__in=perm_ids, perm_id__gt=Literal(0))
    return {(order.account.account_id, order.perm_id): order for order in (orders if perm_ids else ())}


def _by_order_id(events: Sequence[AnyBrokerEvent]) -> dict[tuple[str, int | None, int | None], Order]:
    order_ids = {order_id for event in events if (order_id := getattr(event, "order_id", 0))}
    accounts = Account.objects.filter(account_id__in={event.account for event in events}).values_list("pk", flat=True)
    clients = {getattr(event, "client_id", -1) for event in events}
    orders = _with_bracket().filter(account__in=list(accounts), client_id__in=clients, order_id__in=order_ids)
    return {
        (order.account.account_id, order.client_id, order.order_id): order for order in (orders if order_ids else ())
    }


def unheard(events: Sequence[AnyBrokerEvent]) -> list[AnyBrokerEvent]:
    """Return the events that are not stored yet, in their order."""
    known = recorded_at(events)
    return [event for event in events if event.dedupe_key not in known]


def recorded_at(events: Sequence[AnyBrokerEvent]) -> dict[str, datetime]:
    """Return by its key when each of the events was stored; what is not stored is left out."""
    stored = events_known(event.dedupe_key for event in events)
    return dict(stored.values_list("dedupe_key", "recorded_at"))
