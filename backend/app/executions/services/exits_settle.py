"""Learn of exits whether they live, before anything is sent in their place; of any order whether it was refused.

    refused     ── open orders ──> listed: it lives, whatever the refusal said    not listed: RefusalProved
                                   listed as inactive: RefusalProved, and it is cancelled, lest somebody sends it on
    suspected   ── open, completed orders, deals ──> listed: recorded             not listed: RefusalProved
    unanswered  ── open, completed orders, deals ──> listed: recorded             not listed:
                                                       of the native bracket, another of it was answered: AbsenceProved
                                                       it was refused when it was sent again:             AbsenceProved
                                                       else: sent again under its own order id

To send again under the same id is safe whatever became of the first: an order that exists after all is changed into
itself. A new one beside it could close the position twice. What the broker refuses to close a position is a refusal
only where its open orders agree: IB was seen to answer 201 to orders that lived.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import OperationalError, transaction
from django.db.models import Q

from app.accounts.fencing import Holding, fence_require
from app.accounts.statement_limit import is_held_up
from app.brokers.base import BlockingBroker
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, RequestRefused
from app.core.logging import bind_order, get_logger
from app.domain.broker_events import (
    AbsenceProved,
    AnyBrokerEvent,
    FillTold,
    MessageMeaning,
    OrderMessageTold,
    OrderTold,
    RefusalProved,
    ToldStatus,
)
from app.domain.command import CommandReason
from app.domain.order_status import UNANSWERED, OrderStatus
from app.domain.terms import NATIVE_LEGS, Leg
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, BrokerEvent, Execution, Order
from app.executions.services.apply import broker_event_record
from app.executions.services.commands_send import order_send_again
from app.executions.services.commands_write import cancels_write
from app.executions.services.connection_row import connection_of, holding_of, is_foreign
from app.executions.services.match import orders_match

logger = get_logger(__name__)

# How long what protects waits for each answer.
ASK_SECONDS_MAX = 1.0
# How often an order is sent again under its own id; then the reconcile concludes about it, as about every other.
SEND_AGAIN_MAX = 3


@dataclass(slots=True)
class SentAgain:
    """How often an order was sent again, by its key. Forgotten with the process: a new connection asks anyhow."""

    counts: dict[int, int]

    def take(self, order_pk: int) -> bool:
        """Say whether it may be sent once more, and take it that it is."""
        self.counts[order_pk] = self.counts.get(order_pk, 0) + 1
        return self.counts[order_pk] <= SEND_AGAIN_MAX


def exits_settle(
    *,
    order_pks: Iterable[int],
    broker: BlockingBroker,
    now: datetime,
    may_send: Callable[[int], bool] = lambda _pk: False,
) -> bool:
    """Ask the broker for these orders and record what it says; return whether all of it is recorded.

    `may_send` says of an order that nobody knows whether it may be sent again; without it none is. Raises NotConnected,
    RetryLater and Conflict as sending does.
    """
    orders = list(
        Order.objects.select_related("bracket__execution", "account")
        .filter(
            Q(status__in=[OrderStatus.REJECTED, OrderStatus.SENT]) | Q(refusal_suspected=True),
            pk__in=order_pks,
            refusal_proved=False,
        )
        .order_by("id")
    )
    if not orders:
        return True
    unanswered = [order for order in orders if order.status == OrderStatus.SENT and not order.refusal_suspected]
    try:
        told = _ask(broker, whole=any(order.status != OrderStatus.REJECTED for order in orders))
    except (BrokerTimeout, IncompleteAnswer, RequestRefused) as error:
        logger.warning("open_orders_not_told", reason=error.code, orders=[order.order_ref for order in orders])
        return False
    by_order = _by_order(told)
    holding = holding_of(broker)
    all_settled = True
    for order in orders:
        with bind_order(execution=order.bracket.execution_id, order_ref=order.order_ref):
            try:
                listed = by_order.get(order.pk, [])
                events = [event for event in listed if _lives_by(event, order=order)]
                if events:
                    for event in events:
                        broker_event_record(as_news(event, order=order, now=now), now=now, holding=holding)
                elif order not in unanswered:
                    is_listed = any(_is_listed_inactive(event) for event in listed)
                    _refusal_prove(order, is_listed=is_listed, holding=holding, now=now)
                elif _is_certainly_absent(order):
                    _absence_prove(order, holding=holding, now=now)
                elif (
                    not Leg(order.leg).is_native
                    and may_send(order.pk)
                    and _send_again_note(order, broker=broker, holding=holding, now=now)
                ):
                    order_send_again(order=order, broker=broker)
            except OperationalError as error:
                if not is_held_up(error):
                    raise
                # Somebody has its row locked; the others do not wait for that.
                logger.warning("exit_held_up")
                all_settled = False
    return all_settled


def _ask(broker: BlockingBroker, *, whole: bool) -> Sequence[AnyBrokerEvent]:
    """Return what the broker says: of open orders, or with `whole` also of what is over."""
    open_orders = [order.told for order in broker.open_orders(seconds_max=ASK_SECONDS_MAX)]
    if not whole:
        return open_orders
    deals = broker.fills_since(seconds_max=ASK_SECONDS_MAX)
    return [*open_orders, *deals, *broker.completed_orders(seconds_max=ASK_SECONDS_MAX)]


def _by_order(told: Sequence[AnyBrokerEvent]) -> dict[int, list[AnyBrokerEvent]]:
    """Return what is about an order of ours, by its key."""
    about = [event for event in told if isinstance(event, OrderTold | FillTold)]
    found: dict[int, list[AnyBrokerEvent]] = {}
    for event, order in zip(about, orders_match(about), strict=True):
        if order is not None:
            found.setdefault(order.pk, []).append(event)
    return found


def _lives_by(event: AnyBrokerEvent, *, order: Order) -> bool:
    """Say whether it tells that the order lives, or did: that one that was refused is listed as over proves nothing."""
    if order.status != OrderStatus.REJECTED or not isinstance(event, OrderTold):
        return True
    if _is_listed_inactive(event):
        return False
    return event.source != "completed_order" or event.status is ToldStatus.FILLED


def _is_listed_inactive(event: AnyBrokerEvent) -> bool:
    """Say whether an order stands among the open ones without working: what was refused may stay there for good."""
    return isinstance(event, OrderTold) and event.source == "open_order" and event.status is ToldStatus.INACTIVE


def as_news(event: AnyBrokerEvent, *, order: Order, now: datetime) -> AnyBrokerEvent:
    """Return the event under a name of its own where the order was refused since the same words were heard of it."""
    if not isinstance(event, OrderTold) or order.status != OrderStatus.REJECTED:
        return event
    return replace(event, dedupe_key=f"{event.dedupe_key}:lives:{now.isoformat()}")


def _is_certainly_absent(order: Order) -> bool:
    """Say whether an order that no complete answer knows cannot be on its way any more.

    The orders of a native bracket leave in one breath: where one was answered, every other has arrived or never will.
    """
    heard = BrokerEvent.objects.filter(order=order, kind=OrderMessageTold.kind)
    if heard.filter(payload__meaning__in=[MessageMeaning.REFUSAL, MessageMeaning.REQUEST_REFUSED]).exists():
        return True
    if not Leg(order.leg).is_native:
        return False
    others = Order.objects.filter(bracket=order.bracket_id, leg__in=NATIVE_LEGS)
    return others.exclude(pk=order.pk).exclude(status__in=[*UNANSWERED, OrderStatus.NOT_PLACED]).exists()


@transaction.atomic
def _refusal_prove(order: Order, *, is_listed: bool, holding: Holding, now: datetime) -> None:
    if not _is_still(order, holding=holding):
        return
    said = "list it as inactive" if is_listed else "do not have it"
    broker_event_record(
        RefusalProved(
            dedupe_key=f"refusal:{order.order_ref}:{now.isoformat()}",
            account=order.account.account_id,
            received_at=now,
            order_ref=order.order_ref,
            evidence=f"The broker's open orders of {now:%H:%M:%S} UTC {said}.",
        ),
        now=now,
    )
    if is_listed:
        left = CommandReason.LEFT_BEHIND
        execution_id = order.bracket.execution_id
        cancels_write(orders=[order], execution_id=execution_id, actor=Actor.GUARD, reason=left, now=now)


@transaction.atomic
def _absence_prove(order: Order, *, holding: Holding, now: datetime) -> None:
    if not _is_still(order, holding=holding):
        return
    broker_event_record(
        AbsenceProved(
            dedupe_key=f"absence:{order.order_ref}:unanswered",
            account=order.account.account_id,
            received_at=now,
            order_ref=order.order_ref,
            evidence=f"The broker did not answer to order {order.order_id}, and its complete answers of "
            f"{now:%H:%M:%S} UTC do not know it.",
        ),
        now=now,
    )


@transaction.atomic
def _send_again_note(order: Order, *, broker: BlockingBroker, holding: Holding, now: datetime) -> bool:
    """Write down that an order is sent again; say whether it is still unanswered and this connection's to send."""
    if is_foreign(order, connection_of(broker)) or not _is_still(order, holding=holding):
        return False
    decision_record(
        actor=Actor.GUARD,
        action="SEND_AGAIN",
        reason=f"The broker has not answered to it and does not know it; it is sent again as order {order.order_id}.",
        evidence={"order_ref": order.order_ref, "order_id": order.order_id, "asked_at": now.isoformat()},
        account=order.account,
        execution=order.bracket.execution,
        bracket=order.bracket,
        order=order,
        now=now,
    )
    news.publish_on_commit(order.bracket.execution_id)
    return True


def _is_still(order: Order, *, holding: Holding) -> bool:
    """Lock the execution; say whether nothing was heard of the order since it was asked for. Raises Fenced."""
    fence_require(holding)
    Execution.objects.select_for_update(no_key=True).get(pk=order.bracket.execution_id)
    now_is = Order.objects.get(pk=order.pk)
    return (now_is.status, now_is.finished_at) == (order.status, order.finished_at)
