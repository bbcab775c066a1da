"""Make our rows agree with the broker's complete answer.

    ask: open orders ─> deals ─> completed orders      each complete, or the whole run raises and changes nothing
    tell: every answer as an ordinary event on the up road (what is known already changes nothing)
    conclude: an order of ours that no answer knows     nothing heard of it  -> AbsenceProved -> NOT_PLACED
                                                        known to be live once -> a person must look
              an order that is open though we finished  a person must look

The questions are asked in this order because an order may finish between two of them: what is no longer open at the
first has its deals in the second and its end in the third.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from app.brokers.base import BlockingBroker, OpenOrder
from app.core.logging import get_logger
from app.domain.broker_events import AbsenceProved, AnyBrokerEvent, OrderTold
from app.domain.order_ref import parse_order_ref
from app.domain.order_status import TERMINAL, UNANSWERED, OrderStatus
from app.executions import news
from app.executions.models import Execution, Order
from app.executions.services.apply import attention_add, broker_event_record, order_match

logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileReport:
    """What one run found. `external` are open orders that are not ours: shown, never touched."""

    asked_at: datetime
    open_orders: int
    told: int
    changed: list[int] = field(default_factory=list)
    not_placed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    external: list[OpenOrder] = field(default_factory=list)


def execution_reconcile(*, broker: BlockingBroker, now: datetime, settle_seconds: float) -> ReconcileReport:
    """Ask the broker for everything and settle each difference.

    An order written ahead less than `settle_seconds` before `now` may be on its way to the broker while the questions
    are: nothing is concluded about it. Give 0 where nothing can be on its way (after a connect, before any sending).
    Raises what the questions raise; then nothing was concluded.
    """
    open_orders = broker.open_orders()
    deals = broker.fills_since()
    completed = broker.completed_orders()
    events: list[AnyBrokerEvent] = [order.told for order in open_orders]
    events += [*deals, *completed]
    changed = {changed for event in events if (changed := broker_event_record(event, now=now)) is not None}
    known = _known_order_ids([order.told for order in open_orders], completed)
    external = [order for order in open_orders if order_match(order.told) is None]
    not_placed, vanished = [], []
    for order in _unfinished(broker.account_id, asked_at=now, settle_seconds=settle_seconds):
        if order.pk in known:
            continue
        if OrderStatus(order.status) in UNANSWERED and not order.filled_quantity:
            _conclude_absent(order, asked_at=now, completed=len(completed), open_orders=len(open_orders))
            not_placed.append(order.order_ref)
        else:
            _flag(order, "the broker neither holds it nor lists it as finished")
            vanished.append(order.order_ref)
    for order in _open_though_finished(open_orders):
        _flag(order, "it is open at the broker though it was finished here")
    report = ReconcileReport(
        asked_at=now,
        open_orders=len(open_orders),
        told=len(events),
        changed=sorted(changed),
        not_placed=not_placed,
        vanished=vanished,
        external=external,
    )
    logger.info(
        "reconciled",
        open_orders=report.open_orders,
        told=report.told,
        changed=len(report.changed),
        not_placed=len(not_placed),
        vanished=len(vanished),
        external=len(external),
    )
    return report


def _known_order_ids(open_orders: Sequence[OrderTold], completed: Sequence[OrderTold]) -> set[int]:
    matched = (order_match(told) for told in [*open_orders, *completed])
    return {order.pk for order in matched if order is not None}


def _unfinished(account_id: str, *, asked_at: datetime, settle_seconds: float) -> Iterable[Order]:
    """Return our orders that a worker took, are not finished, and cannot be on their way at `asked_at`."""
    settled_before = asked_at - timedelta(seconds=settle_seconds)
    taken = Order.objects.select_related("bracket__execution").filter(
        account__account_id=account_id, bracket__execution__claimed_at__lte=settled_before
    )
    for order in taken.exclude(status__in=[status.value for status in TERMINAL]).order_by("id"):
        if order.sent_at is None or order.sent_at <= settled_before:
            yield order


def _conclude_absent(order: Order, *, asked_at: datetime, open_orders: int, completed: int) -> None:
    evidence = (
        "The worker stopped before the first byte; nothing was sent."
        if order.sent_at is None
        else f"Written ahead as order {order.order_id}, but the broker's complete answers of {asked_at:%H:%M:%S} UTC "
        f"({open_orders} open, {completed} completed orders, and the day's deals) do not know it."
    )
    broker_event_record(
        AbsenceProved(
            dedupe_key=f"absence:{order.order_ref}",
            account=order.account.account_id,
            received_at=asked_at,
            order_ref=order.order_ref,
            evidence=evidence,
        ),
        now=asked_at,
    )


@transaction.atomic
def _flag(order: Order, text: str) -> None:
    execution = Execution.objects.select_for_update(no_key=True).get(pk=order.bracket.execution_id)
    attention_add(execution, f"{order.leg}: {text}")
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)


def _open_though_finished(open_orders: Sequence[OpenOrder]) -> Iterable[Order]:
    for open_order in open_orders:
        if parse_order_ref(open_order.told.order_ref) is None:
            continue
        order = order_match(open_order.told)
        if order is not None and OrderStatus(order.status) in TERMINAL:
            yield order
