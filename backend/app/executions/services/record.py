"""Many events in one transaction: a burst pays for its look-ups, locks and commit once, not once per event.

    unheard? ─> match all ─> lock their executions ─> apply each in its order ─> store all, save what changed ─> commit
                        └──> none is about an order of ours: stored as told, in one statement                  ─> commit

Most of what is told changes nothing (an echo, an answer to a reconcile): then only the event is written. The rows
afterwards are those of `broker_event_record` one by one, but for what a state that lasted for no commit would
have flagged. Either all of a batch is stored and applied or nothing is; who gets an error records them one by one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import prefetch_related_objects

from app.accounts.fencing import Holding, fence_require
from app.domain.broker_events import (
    AbsenceProved,
    AnyBrokerEvent,
    CommissionTold,
    Concluded,
    DealUnreadable,
    FillTold,
    OrderTold,
)
from app.executions import news
from app.executions.models import Execution, Order
from app.executions.open_rows import orders_of_executions
from app.executions.services.apply import event_change, execution_recompute
from app.executions.services.close_gap import close_gaps_note
from app.executions.services.commands_settle import commands_settle
from app.executions.services.event_store import commissions_store, events_store, others_store
from app.executions.services.match import orders_match, unheard
from app.executions.services.row_columns import columns_of, row_save


@transaction.atomic
def broker_events_record(
    events: Sequence[AnyBrokerEvent], *, now: datetime, holding: Holding | None = None
) -> list[tuple[int, AnyBrokerEvent]]:
    """Store and apply events in their order; return (execution id, event) for each that changed an execution.

    With `holding`, raises Fenced where another worker has taken over.
    """
    if holding is not None:
        fence_require(holding)
    fresh = unheard(_first_of_each(events))
    matched = orders_match(fresh)
    if not any(matched):
        # Nothing of it can change a row of ours, and nothing in it can tell the numbers of an order of ours.
        others_store(fresh, now=now)
        return []
    rows = _Rows()
    rows.read(fresh, matched=matched)
    stored: list[tuple[AnyBrokerEvent, Order | None]] = []
    changed: list[tuple[int, AnyBrokerEvent]] = []
    evidence: list[tuple[AnyBrokerEvent, Order]] = []
    for event in fresh:
        order = rows.order_of(event)
        execution = rows.execution_of(order) if order is not None else None
        stored.append((event, order))
        before = rows.columns_of(order)
        if not isinstance(event, CommissionTold):
            event_change(event, order=order, execution=execution)
        if order is not None and execution is not None:
            rows.note_told(event, order)
            # An order that stands as it stood needs nobody's look; a code, a deal or a cost may, whatever the rows say.
            if rows.columns_of(order) != before or not isinstance(event, OrderTold | AbsenceProved):
                changed.append((execution.pk, event))
                evidence.append((event, order))
    events_store(stored, now=now)
    commissions_store([event for event in fresh if isinstance(event, CommissionTold)])
    rows.save(now=now)
    commands_settle(evidence, now=now, read=rows.orders())
    close_gaps_note(evidence, now=now)
    return changed


def _first_of_each(events: Iterable[AnyBrokerEvent]) -> list[AnyBrokerEvent]:
    """Leave out what is told again within the batch."""
    by_key: dict[str, AnyBrokerEvent] = {}
    for event in events:
        by_key.setdefault(event.dedupe_key, event)
    return list(by_key.values())


def _name_of(event: AnyBrokerEvent) -> str:
    return event.order_ref if isinstance(event, OrderTold | FillTold | DealUnreadable | Concluded) else ""


class _Rows:
    """The orders and executions of one batch, each read and locked once."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._by_ref: dict[str, Order] = {}
        self._executions: dict[int, Execution] = {}
        self._told: dict[int, Order] = {}
        self._by_exec_id: dict[str, Order] = {}
        self._orders_as_read: dict[int, dict[str, Any]] = {}
        self._executions_as_read: dict[int, dict[str, Any]] = {}
        self._matched: dict[int, Order | None] = {}

    def read(self, events: Sequence[AnyBrokerEvent], *, matched: Sequence[Order | None]) -> None:
        """Lock the executions of the orders that these events are about, and read all their orders.

        All at once: of two who lock the same ones in another order neither comes to an end.
        """
        self._matched = {id(event): order for event, order in zip(events, matched, strict=True)}
        self._lock({order.bracket.execution_id for order in matched if order is not None})

    def order_of(self, event: AnyBrokerEvent) -> Order | None:
        """Return the order of ours that the event is about."""
        if name := _name_of(event):
            return self._by_ref.get(name)
        # By what this batch has changed first: the numbers it told are not in the database yet.
        found = self._known(event) or self._matched[id(event)]
        if found is None:
            return None
        if found.pk not in self._orders:
            self._lock({found.bracket.execution_id})
        known, told_perm_id = self._orders[found.pk], getattr(event, "perm_id", 0)
        # The same order id under another perm_id is another order, also where this batch told the first one.
        return known if not (told_perm_id and known.perm_id and told_perm_id != known.perm_id) else None

    def execution_of(self, order: Order) -> Execution:
        """Return the order's execution, locked."""
        return self._executions[order.bracket.execution_id]

    def columns_of(self, order: Order | None) -> list[dict[str, Any]]:
        """Return how the order and its execution stand now."""
        return [columns_of(order), columns_of(self.execution_of(order))] if order is not None else []

    def orders(self) -> Iterable[Order]:
        """Return every order that was read, as it stands now."""
        return self._orders.values()

    def note_told(self, event: AnyBrokerEvent, order: Order) -> None:
        """Have the order and its execution saved at the end, where they changed."""
        self._told[order.pk] = order
        if isinstance(event, FillTold):
            self._by_exec_id[event.exec_id] = order

    def save(self, *, now: datetime) -> None:
        """Save the orders that changed, and recompute the executions of all that was told."""
        for order in self._told.values():
            row_save(order, as_read=self._orders_as_read[order.pk])
        execution_ids = sorted({order.bracket.execution_id for order in self._told.values()})
        legs: dict[int, list[Order]] = {execution_id: [] for execution_id in execution_ids}
        for order in self._orders.values():
            if order.bracket.execution_id in legs:
                legs[order.bracket.execution_id].append(order)
        for execution_id in execution_ids:
            execution, as_read = self._executions[execution_id], self._executions_as_read[execution_id]
            execution_recompute(execution, now=now, orders=legs[execution_id], as_read=as_read)
        news.publish_on_commit(*execution_ids)

    def _known(self, event: AnyBrokerEvent) -> Order | None:
        if isinstance(event, CommissionTold):
            return self._by_exec_id.get(event.exec_id)
        perm_id = getattr(event, "perm_id", 0)
        if not perm_id:
            return None
        same = (order for order in self._told.values() if order.perm_id == perm_id)
        return next((order for order in same if event.account in ("", order.account.account_id)), None)

    def _lock(self, execution_ids: set[int]) -> None:
        # In the order of their ids, as everybody who locks several does; most lock only one.
        wanted = execution_ids - self._executions.keys()
        locked = Execution.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("id")
        for execution in locked:
            self._executions[execution.pk] = execution
            self._executions_as_read[execution.pk] = columns_of(execution)
        orders = orders_of_executions(wanted)
        prefetch_related_objects(orders, "account")
        for order in orders:
            self._orders[order.pk] = self._by_ref[order.order_ref] = order
            self._orders_as_read[order.pk] = columns_of(order)
