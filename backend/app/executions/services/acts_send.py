"""Send the orders that a person asked for, once the account was asked whether it still holds what that person saw.

    written down by `resolve` ──> positions asked ── as they were seen ──> sent, once, targets beside it cancelled
                                       │           └─ otherwise         ──> not sent, and told: look again
                                       └── no answer ──> tried again, for half a minute; then not sent, and told

The guard leaves shares of such a bracket alone meanwhile, and looks at them again afterwards.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from app.brokers.base import BlockingBroker
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, RequestRefused
from app.core.logging import bind_order, get_logger
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import OrderStatus
from app.domain.reasons import FlagCode
from app.executions import news
from app.executions.models import Execution, Order, OrderCommand
from app.executions.services.attention import attention_add
from app.executions.services.commands_send import order_send
from app.executions.services.guard_orders import repair_discard

logger = get_logger(__name__)

ASK_SECONDS_MAX = 1.0
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
            held = _held(command.execution, broker=broker)
            expected = command.evidence.get("held")
            if held is not None and expected is not None and held != Decimal(expected):
                seen = Decimal(expected).normalize()
                _give_up(
                    command, f"the account holds {held.normalize():f} by now, not {seen:f}", broker=broker, now=now
                )
            elif now - command.requested_at > WAITS_MAX:
                _give_up(command, "the broker could not be asked in time", broker=broker, now=now)
            elif held is not None:
                order_send(order_pk=command.order_id, broker=broker, replaces=list(_replaced(command)))
                sent += 1
    return sent


def _held(execution: Execution, *, broker: BlockingBroker) -> Decimal | None:
    """Return what the account holds of the execution's instrument; None where that is not answered."""
    try:
        positions = broker.positions(seconds_max=ASK_SECONDS_MAX)
    except (BrokerTimeout, IncompleteAnswer, RequestRefused) as error:
        logger.warning("positions_not_told", reason=error.code)
        return None
    of_it = (position.quantity for position in positions if position.contract.con_id == execution.con_id)
    return sum(of_it, Decimal(0))


def _replaced(command: OrderCommand) -> Iterable[Order]:
    return Order.objects.filter(order_ref__in=command.change.get("replaces", ()))


@transaction.atomic
def _give_up(command: OrderCommand, because: str, *, broker: BlockingBroker, now: datetime) -> None:
    """End an order that was not sent, and tell whoever asked for it."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=command.execution_id)
    order = Order.objects.get(pk=command.order_id)
    if order.status != OrderStatus.CREATED:
        return
    repair_discard(order, account_id=broker.account_id, reason=because, now=now)
    execution.refresh_from_db(fields=["attention"])
    sentence = f"{order.order_ref}: what was asked for is not sent, {because}; look again"
    attention_add(execution, sentence, code=FlagCode.STOP_REFUSED)
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)
