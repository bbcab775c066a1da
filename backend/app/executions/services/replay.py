"""Do the rows follow from what the broker told? Tell it all again to rows that know nothing, and compare.

    one execution: lock ─> note its rows ─> back to what was written ahead ─> apply its BrokerEvents in their order
                   ─> note again ─> roll everything back                      the differences of the two notes

Each execution is replayed in a transaction of its own that is rolled back: nothing is changed, and the live recorder
waits for one execution at most. The broker's word decides orders, fills, commissions and the execution's status; what
else is in the rows (requests, deadlines, attention) is not told by the broker, so it is not compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import DataError, IntegrityError, transaction

from app.domain.broker_events import AnyBrokerEvent, CommissionTold, event_from_payload
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg, OrderType
from app.executions.models import BrokerEvent, Commission, Execution, Fill, Order
from app.executions.services.apply import event_apply

BATCH_MAX = 500
COMMISSION_KEY = "commission:"  # What a cost's dedupe key begins with; the deal's exec_id follows.
_ORDER_FIELDS = (
    "status",
    "quantity",
    "limit_price",
    "stop_price",
    "filled_quantity",
    "closed_elsewhere",
    "refusal_proved",
    "refusal_suspected",
    "told_filled",
    "average_price",
    "perm_id",
    "order_id",
    "why_held",
    "order_type",
    "oca_group",
    "oca_type",
    "last_error_code",
    "last_error",
    "ended_because",
    "acknowledged_at",
    "finished_at",
)
_FILL_FIELDS = ("order__order_ref", "quantity", "price", "executed_at", "superseded")
_COMMISSION_FIELDS = ("amount", "currency", "realized_pnl", "fill__exec_id")
_EXECUTION_FIELDS = ("status", "open_quantity", "exit_reason")


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One value that does not follow from the events. `row` is an order_ref, an exec_id, or the execution's id."""

    execution_id: int | None
    row: str
    name: str
    stored: str
    replayed: str

    def __str__(self) -> str:
        return f"{self.row} {self.name}: stored {self.stored}, replayed {self.replayed}"


Note = Mapping[tuple[str, str], object]


def events_replay(*, execution_ids: Iterable[int] | None = None) -> Iterator[Difference]:
    """Yield what differs, execution by execution; all of them, and commissions without a deal, where none is named."""
    if execution_ids is None:
        yield from _commissions_without_deal()
        execution_ids = Execution.objects.order_by("id").values_list("id", flat=True).iterator(chunk_size=BATCH_MAX)
    for execution_id in execution_ids:
        yield from execution_replay(execution_id)


def execution_replay(execution_id: int) -> list[Difference]:
    """Return what in the execution's rows does not follow from its events. Raises Execution.DoesNotExist."""
    with transaction.atomic():
        execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
        stored = _note(execution_id)
        # Before the rows are taken back: the events, and the costs, which carry no order.
        events = [(row, event_from_payload(row.kind, row.payload)) for row in _events_of(execution_id)]
        _take_back(execution, events=[event for _row, event in events])
        for row, event in events:
            _apply(row, event, execution=execution)
        replayed = _note(execution_id)
        transaction.set_rollback(True)
    return [
        Difference(
            execution_id=execution_id,
            row=key[0],
            name=key[1],
            stored=_text(stored, key),
            replayed=_text(replayed, key),
        )
        for key in sorted(stored.keys() | replayed.keys())
        if stored.get(key, _ABSENT) != replayed.get(key, _ABSENT)
    ]


_ABSENT = object()


def _text(note: Note, key: tuple[str, str]) -> str:
    return str(note[key]) if key in note else "no row"


def _events_of(execution_id: int) -> Iterable[BrokerEvent]:
    """Return what was told of the execution, costs of its deals included, in the order it was stored."""
    of_orders = BrokerEvent.objects.filter(execution_id=execution_id).exclude(kind=CommissionTold.kind)
    exec_ids = Fill.objects.filter(order__bracket__execution_id=execution_id).values_list("exec_id", flat=True)
    costs = BrokerEvent.objects.filter(dedupe_key__in=[f"{COMMISSION_KEY}{exec_id}" for exec_id in exec_ids])
    told = of_orders.order_by() | costs.order_by()
    return told.select_related("order").order_by("id")


def _note(execution_id: int) -> Note:
    note: dict[tuple[str, str], object] = {}
    execution = Execution.objects.values(*_EXECUTION_FIELDS).get(pk=execution_id)
    _take(note, f"execution {execution_id}", execution)
    orders = Order.objects.filter(bracket__execution_id=execution_id)
    for order in orders.values("order_ref", *_ORDER_FIELDS):
        _take(note, order.pop("order_ref"), order)
    fills = Fill.objects.filter(order__bracket__execution_id=execution_id)
    for fill in fills.values("exec_id", *_FILL_FIELDS):
        _take(note, f"fill {fill.pop('exec_id')}", fill)
    commissions = Commission.objects.filter(fill__order__bracket__execution_id=execution_id)
    for commission in commissions.values("exec_id", *_COMMISSION_FIELDS):
        _take(note, f"commission {commission.pop('exec_id')}", commission)
    return note


def _take(note: dict[tuple[str, str], object], row: str, values: Mapping[str, object]) -> None:
    note.update({(row, name): value for name, value in values.items()})


def _take_back(execution: Execution, *, events: list[AnyBrokerEvent]) -> None:
    """Make the execution's rows what they were before the broker said anything."""
    fills = Fill.objects.filter(order__bracket__execution=execution)
    exec_ids = [event.exec_id for event in events if isinstance(event, CommissionTold)]
    Commission.objects.filter(fill__in=fills).delete()
    Commission.objects.filter(exec_id__in=exec_ids).delete()
    fills.delete()
    heard_at = {event.received_at for event in events}
    for order in Order.objects.select_related("bracket").filter(bracket__execution=execution):
        # Of a native bracket's legs the size was the bracket's before the broker changed it.
        order.quantity = order.bracket.quantity if Leg(order.leg).is_native else order.quantity
        order.perm_id, order.filled_quantity, order.told_filled, order.average_price = 0, 0, 0, None
        order.closed_elsewhere, order.refusal_proved, order.refusal_suspected = Decimal(0), False, False
        if order.leg != Leg.CLOSE:
            order.oca_group, order.oca_type = "", 0
        if order.leg == Leg.TAKE_PROFIT:
            order.order_type = OrderType.LIMIT
        order.why_held, order.last_error_code, order.last_error, order.ended_because = "", None, "", ""
        order.acknowledged_at = order.finished_at = None
        if order.sent_at in heard_at:  # Not noted as sent by us: its ids came with what the broker told.
            order.order_id = order.client_id = order.sent_at = None
        written_ahead = order.sent_at is not None
        order.status = (OrderStatus.SENT if written_ahead else OrderStatus.CREATED).value
        order.save()
    execution.reason_code = execution.reason = ""


def _apply(row: BrokerEvent, event: AnyBrokerEvent, *, execution: Execution) -> None:
    order = row.order
    if order is not None:
        order.refresh_from_db()
    try:
        with transaction.atomic():
            event_apply(event, order=order, execution=execution, now=row.recorded_at)
    except (IntegrityError, DataError):
        return  # It could not be applied when it was told either: it is kept, and its execution flagged.


def _commissions_without_deal() -> Iterator[Difference]:
    """Yield costs that nobody told, and told costs that have no row."""
    told = {
        payload["exec_id"]: payload
        for payload in BrokerEvent.objects.filter(kind=CommissionTold.kind).values_list("payload", flat=True)
    }
    stored = set(Commission.objects.values_list("exec_id", flat=True))
    for exec_id in sorted(told.keys() ^ stored):
        was_told = exec_id in told
        yield Difference(
            execution_id=None,
            row=f"commission {exec_id}",
            name="row",
            stored="no row" if was_told else "a row",
            replayed="a row" if was_told else "no row",
        )
