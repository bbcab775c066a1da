"""Send the orders that a person asked for, once the account was asked whether it still holds what that person saw.

    written down by `resolve` ──> the account asked ── as it was seen ──> sent, once, targets beside it cancelled
                                       │           └─ otherwise         ──> not sent, and told: look again
                                       └── no answer ──> tried again, for half a minute; then not sent, and told

The guard leaves shares of such a bracket alone meanwhile, and looks at them again afterwards.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from app.accounts.fencing import fence_require
from app.brokers.base import BlockingBroker
from app.core.decimal_text import plain
from app.core.logging import bind_order
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.models import Execution, Order, OrderCommand, open_quantity_of
from app.executions.services.attention import attention_add
from app.executions.services.commands_send import order_send
from app.executions.services.connection_row import holding_of
from app.executions.services.exposure import exposure_ask
from app.executions.services.guard_orders import repair_discard

WAITS_MAX = timedelta(seconds=30)
_ACTS = (CommandReason.PROTECTED, CommandReason.SURPLUS)


def acts_unsent() -> QuerySet[OrderCommand]:
    """Return the placings that a person asked for and that were not sent yet."""
    asked = OrderCommand.objects.filter(settled_at__isnull=True, kind=CommandKind.PLACE)
    return asked.filter(reason_code__in=_ACTS, order__status=OrderStatus.CREATED)


def acts_send(*, execution_id: int, broker: BlockingBroker, now: datetime) -> int:
    """Send what is due of an execution; return how many. Raises as `order_send` where it is to be tried again."""
    due = list(acts_unsent().filter(execution=execution_id).select_related("order", "execution").order_by("id"))
    sent = 0
    with bind_order(execution=execution_id):
        for command in due:
            objection = _objection(command, broker=broker, now=now)
            if objection:
                _give_up(command, objection, broker=broker, now=now)
            elif now - command.requested_at > WAITS_MAX:
                _give_up(command, "the broker could not be asked in time", broker=broker, now=now)
            elif objection is not None:
                order_send(order_pk=command.order_id, broker=broker, replaces=list(_replaced(command)))
                sent += 1
    return sent


def _objection(command: OrderCommand, *, broker: BlockingBroker, now: datetime) -> str | None:
    """Return why it is not sent, "" where nothing speaks against it; None where the broker does not answer.

    The account must disagree with our books by no more and no less than that person saw: deals of ours in the same
    instrument may have moved both alike since. And the order must not be larger than what is left for it.
    """
    execution = command.execution
    answer = exposure_ask(executions=[execution], broker=broker, now=now)
    if answer is None:
        return None
    heard = answer.get(execution.con_id)
    if heard is None:
        return ""
    if heard.others_dealt:
        return "somebody else has traded it meanwhile"
    if heard.difference != Decimal(command.evidence.get("difference") or 0):
        books = heard.held - heard.difference
        return f"the account holds {plain(heard.held)} by now, and our books say {plain(books)}"
    return _too_large(command.order)


def _too_large(order: Order) -> str:
    """Say by words that fewer shares of the bracket are to be closed or given back by now, "" where it fits."""
    open_now = open_quantity_of(Order.objects.filter(bracket=order.bracket_id))
    is_surplus = order.leg == Leg.SURPLUS
    most = max(-open_now if is_surplus else open_now, Decimal(0))
    if order.quantity <= most:
        return ""
    what = "were closed too much" if is_surplus else "of the tranche are open"
    return f"{plain(most)} shares {what} by now, and it is of {plain(order.quantity)}"


def _replaced(command: OrderCommand) -> Iterable[Order]:
    return Order.objects.filter(order_ref__in=command.change.get("replaces", ()))


@transaction.atomic
def _give_up(command: OrderCommand, because: str, *, broker: BlockingBroker, now: datetime) -> None:
    """End an order that was not sent, and tell whoever asked for it. Raises Fenced."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=command.execution_id)
    fence_require(holding_of(broker))
    order = Order.objects.get(pk=command.order_id)
    if order.status != OrderStatus.CREATED:
        return
    repair_discard(order, account_id=broker.account_id, reason=because, now=now)
    execution.refresh_from_db(fields=["attention"])
    sentence = f"{order.order_ref}: what was asked for is not sent, {because}; look again"
    attention_add(execution, sentence, code=FlagCode.STOP_REFUSED)
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)
