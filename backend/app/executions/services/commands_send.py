"""The only place that calls the broker's sending verbs.

    whose connection is it ──> who placed the order ──> turn ──> permit: fence, write ahead ──> first byte ──> news

What is sent has a row before its first byte, and is settled by what the broker tells, never by having been sent. An
order still CREATED was never sent, so sending it after a crash is safe; one found SENT may have been, and is asked for.
A change and a cancel may be repeated: they carry the id of an order that exists.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.brokers.errors import BrokerTimeout, NotConnected
from app.core.errors import RetryLater
from app.core.logging import bind_order, get_logger
from app.domain.command import PRICE_CHANGED, CommandKind, CommandReason
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.models import Bracket, Execution, Order, OrderCommand
from app.executions.services.attention import attention_add
from app.executions.services.change_outcome import change_outcome_tell
from app.executions.services.commands_write import command_settle, unsettled, wanted_value
from app.executions.services.send_permit import BracketPermit, OrderPermit, require_unsent
from app.executions.services.ticket import bracket_ticket, contract_of, order_ticket

logger = get_logger(__name__)


BATCH_MAX = 50
# The guard asks for a change again after three seconds.
AGAIN_AFTER = {CommandKind.CANCEL: timedelta(seconds=5), CommandKind.MODIFY: timedelta(seconds=2)}


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
    ours = [other for other in replaces if other.order_id and not is_foreign(other, holder)]
    with bind_order(execution=order.bracket.execution_id, order_ref=order.order_ref):
        order_id = broker.place_order(
            order_ticket(order),
            contract=contract_of(order.bracket.execution),
            id_floor=holder.order_id_floor,
            permit=OrderPermit(order_pk=order_pk, holding=_holding(broker), replaces=ours),
            cancels=[other.order_id for other in ours if other.order_id],
        )
        news.publish_on_commit(order.bracket.execution_id)
        logger.info("order_sent", leg=order.leg, order_id=order_id, quantity=str(order.quantity))
    return order_id


def order_send_again(*, order: Order, broker: BlockingBroker) -> None:
    """Send an order again under its own id, as it was. Raises NotConnected, QueueFull, BrokerTimeout."""
    _modify(order, broker=broker)
    logger.info("order_sent_again", order_ref=order.order_ref, order_id=order.order_id)


def changes_send(*, execution_id: int, orders: Sequence[Order], broker: BlockingBroker, now: datetime) -> int:
    """Send the changes that were written of these orders and are due; return how many. Raises as `cancels_send`."""
    return _send(CommandKind.MODIFY, execution_id=execution_id, orders=orders, broker=broker, now=now)


def cancels_send(*, execution_id: int, orders: Sequence[Order], broker: BlockingBroker, now: datetime) -> int:
    """Send the cancels that were written of these orders and are due; return how many.

    One that was sent a moment ago gets time to be answered. What another client id placed is left to it, and a person
    is told. Raises Fenced, NotConnected and QueueFull where it is to be tried again, BrokerTimeout.
    """
    return _send(CommandKind.CANCEL, execution_id=execution_id, orders=orders, broker=broker, now=now)


def _send(
    kind: CommandKind, *, execution_id: int, orders: Sequence[Order], broker: BlockingBroker, now: datetime
) -> int:
    if not orders:
        return 0
    due = _take(kind, execution_id, orders, holder=connection_of(broker), fence=broker.fence, now=now)
    for number, command in enumerate(due):
        order = command.order
        try:
            if kind is CommandKind.CANCEL:
                broker.cancel_order(order.order_id or 0)
            else:
                for name, value in command.change.items():
                    setattr(order, name, wanted_value(name, value))  # In memory: the row follows the broker's echo.
                _modify(order, broker=broker)
        except BrokerTimeout:
            raise  # It may have been sent.
        except RetryLater:
            _give_back(due[number:])
            raise
        logger.info("command_sent", kind=kind.value, order_ref=order.order_ref, order_id=order.order_id)
    if due:
        news.publish_on_commit(execution_id)
    return len(due)


def moves_send(*, execution_id: int, broker: BlockingBroker, now: datetime) -> int:
    """Send the moves of the execution's orders that were not sent yet; return how many. Raises as `cancels_send`."""
    moved = OrderCommand.objects.filter(execution=execution_id, settled_at__isnull=True, sent_at__isnull=True)
    moved = moved.filter(kind=CommandKind.MODIFY, reason_code__in=[CommandReason.MOVED, CommandReason.PUT_BACK])
    orders = [command.order for command in moved.select_related("order")]
    with bind_order(execution=execution_id):
        return changes_send(execution_id=execution_id, orders=orders, broker=broker, now=now)


def _modify(order: Order, *, broker: BlockingBroker) -> None:
    broker.modify_order(
        order_id=order.order_id or 0,
        contract=contract_of(order.bracket.execution),
        # No OCA fields: a change that restates another group or type is refused, and one without them is not.
        ticket=replace(order_ticket(order), oca_group="", oca_type=0),
        parent_id=_parent_of(order),
    )


def _parent_of(order: Order) -> int:
    """Return the id of the entry that a child still waits for, or is filled by; 0 once the entry is over (else 135)."""
    if not Leg(order.leg).is_exit or not Leg(order.leg).is_native:
        return 0
    entry = Order.objects.filter(bracket=order.bracket_id, leg=Leg.ENTRY.value).first()
    return entry.order_id or 0 if entry is not None and OrderStatus(entry.status) not in TERMINAL else 0


def left_behind_send(*, broker: BlockingBroker, now: datetime) -> int:
    """Send the cancels of entries that may rest in the Gateway untransmitted; return how many. Raises as cancels_send.

    Asked at every tick: whoever wrote them may have died since.
    """
    # By the index of what is unsettled alone; the orders are read by their keys.
    left = OrderCommand.objects.filter(settled_at__isnull=True, reason_code=CommandReason.LEFT_BEHIND)
    found = left.order_by("requested_at").prefetch_related("order__account")[:BATCH_MAX]
    ours = [command for command in found if command.order.account.account_id == broker.account_id]
    due = [command for command in ours if _is_due(command, now=now)]
    return sum(
        cancels_send(execution_id=command.execution_id, orders=[command.order], broker=broker, now=now)
        for command in due
    )


@transaction.atomic
def _take(
    kind: CommandKind,
    execution_id: int,
    orders: Sequence[Order],
    *,
    holder: BrokerConnection,
    fence: int,
    now: datetime,
) -> list[OrderCommand]:
    """Note the due ones as sent, before the first byte, and return them."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    fence_require(Holding(connection_id=holder.pk, fence=fence))
    commands = unsettled(orders, kind).select_related("order__bracket__execution").order_by("id")
    due = [command for command in commands if _is_due(command, now=now) and not _moved_meanwhile(command, now=now)]
    foreign = [command for command in due if is_foreign(command.order, holder)]
    if foreign:
        execution.refresh_from_db(fields=["attention"])  # What a move has just told is not written over.
    for command in foreign:
        order = command.order
        verb = "cancel" if kind is CommandKind.CANCEL else "change"
        attention_add(
            execution,
            f"{order.order_ref}: only client id {order.client_id}, which placed it, can {verb} it",
            code=FlagCode.NOT_OURS_TO_CHANGE,
        )
    if foreign:
        execution.save(update_fields=["attention"])
        OrderCommand.objects.filter(pk__in=[command.pk for command in foreign]).update(tried_at=now)
    ours = [command for command in due if command not in foreign]
    OrderCommand.objects.filter(pk__in=[command.pk for command in ours]).update(tried_at=now, sent_at=now)
    return ours


def _moved_meanwhile(command: OrderCommand, *, now: datetime) -> bool:
    """Say whether a move is not to be sent, because somebody else has moved the order since; settled by that."""
    if command.reason_code != CommandReason.MOVED or command.sent_at is not None:
        return False
    prices = [(name, command.evidence.get(name)) for name in ("limit_price", "stop_price") if name in command.change]
    if all(before is None or getattr(command.order, name) == Decimal(before) for name, before in prices):
        return False
    command_settle(command, PRICE_CHANGED, now=now)
    change_outcome_tell(command, PRICE_CHANGED, now=now)
    return True


def _is_due(command: OrderCommand, *, now: datetime) -> bool:
    """Say whether the command can have an effect, and was not sent a moment ago."""
    status = OrderStatus(command.order.status)
    over = status in TERMINAL and command.reason_code != CommandReason.LEFT_BEHIND
    if over or status is OrderStatus.PENDING_CANCEL or command.order.order_id is None:
        return False
    # What was tried ahead of us was tried by a clock that was wrong.
    return command.tried_at is None or not now - AGAIN_AFTER[CommandKind(command.kind)] < command.tried_at <= now


@transaction.atomic
def _give_back(unsent: Sequence[OrderCommand]) -> None:
    """Note that these were not sent after all."""
    for command in unsent:  # As they were read, before they were noted.
        noted = OrderCommand.objects.filter(pk=command.pk, settled_at__isnull=True)
        noted.update(tried_at=command.tried_at, sent_at=command.sent_at)


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
