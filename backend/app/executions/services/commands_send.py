"""The only place that calls the broker's sending verbs.

    whose connection is it ──> who placed the order ──> turn ──> permit: fence, write ahead ──> first byte ──> news

What is sent is noted before its first byte, and is settled by what the broker tells, never by having been sent. An
order still CREATED was never sent, so sending it after a crash is safe; one found SENT may have been, and is asked for.
A change and a cancel may be repeated: they carry the id of an order that exists. What is read and noted on the way goes
through an `Outbox`: the one in the database, where none is given.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.brokers.base import BlockingBroker
from app.brokers.errors import BrokerTimeout
from app.core.errors import RetryLater
from app.core.logging import bind_order, get_logger
from app.domain.command import CommandKind
from app.executions.models import Bracket, Execution, Order
from app.executions.outbox import Outbox
from app.executions.services.commands_write import wanted_value
from app.executions.services.connection_row import is_foreign
from app.executions.services.outbox_rows import OutboxRows
from app.executions.services.send_permit import require_unsent
from app.executions.services.ticket import bracket_ticket, contract_of, order_ticket

logger = get_logger(__name__)


def bracket_send(
    *, execution: Execution, bracket: Bracket, broker: BlockingBroker, outbox: Outbox | None = None
) -> str:
    """Send a native bracket and return its reference.

    Raises NotConnected, QueueFull, OrderIdTooLow or RetryLater where nothing was sent, Conflict where it must not be
    (see BracketPermit), BrokerTimeout where the outcome is unknown.
    """
    outbox = outbox or OutboxRows(broker=broker)
    placed = broker.place_bracket(
        bracket_ticket(execution, bracket),
        id_floor=outbox.holder().order_id_floor,
        permit=outbox.bracket_permit(bracket),
    )
    outbox.publish(execution.pk)
    logger.info("bracket_sent", tranche=bracket.tranche, reference=placed.reference)
    return placed.reference


def order_send(
    *, order_pk: int, broker: BlockingBroker, replaces: Sequence[Order] = (), outbox: Outbox | None = None
) -> int:
    """Send one order outside any native bracket, right behind it the cancels of what it `replaces`; return its id.

    For the legs PROTECT and CLOSE. Raises Conflict `order_settled` where it is not CREATED any more; NotConnected,
    QueueFull, OrderIdTooLow or RetryLater where nothing was sent and it may be tried again; BrokerTimeout where the
    outcome is unknown.
    """
    outbox = outbox or OutboxRows(broker=broker)
    order = outbox.order(order_pk)
    require_unsent(order)
    holder = outbox.holder()
    ours = [other for other in replaces if other.order_id and not is_foreign(other, holder)]
    with bind_order(execution=order.bracket.execution_id, order_ref=order.order_ref):
        order_id = broker.place_order(
            order_ticket(order),
            contract=contract_of(order.bracket.execution),
            id_floor=holder.order_id_floor,
            permit=outbox.order_permit(order, replaces=ours),
            cancels=[other.order_id for other in ours if other.order_id],
        )
        outbox.publish(order.bracket.execution_id)
        logger.info("order_sent", leg=order.leg, order_id=order_id, quantity=str(order.quantity))
    return order_id


def order_send_again(*, order: Order, broker: BlockingBroker, outbox: Outbox | None = None) -> None:
    """Send an order again under its own id, as it was. Raises NotConnected, QueueFull, BrokerTimeout."""
    _modify(order, broker=broker, outbox=outbox or OutboxRows(broker=broker))
    logger.info("order_sent_again", order_ref=order.order_ref, order_id=order.order_id)


def changes_send(
    *,
    execution_id: int,
    orders: Sequence[Order],
    broker: BlockingBroker,
    now: datetime,
    outbox: Outbox | None = None,
) -> int:
    """Send the changes that were written of these orders and are due; return how many. Raises as `cancels_send`."""
    outbox = outbox or OutboxRows(broker=broker)
    return _send(CommandKind.MODIFY, execution_id=execution_id, orders=orders, broker=broker, outbox=outbox, now=now)


def cancels_send(
    *,
    execution_id: int,
    orders: Sequence[Order],
    broker: BlockingBroker,
    now: datetime,
    outbox: Outbox | None = None,
) -> int:
    """Send the cancels that were written of these orders and are due; return how many.

    One that was sent a moment ago gets time to be answered. What another client id placed is left to it, and a person
    is told. Raises Fenced, NotConnected and QueueFull where it is to be tried again, BrokerTimeout.
    """
    outbox = outbox or OutboxRows(broker=broker)
    return _send(CommandKind.CANCEL, execution_id=execution_id, orders=orders, broker=broker, outbox=outbox, now=now)


def moves_send(*, execution_id: int, broker: BlockingBroker, now: datetime) -> int:
    """Send the moves of the execution's orders that were not sent yet; return how many. Raises as `cancels_send`."""
    outbox = OutboxRows(broker=broker)
    orders = outbox.moves_waiting(execution_id)
    with bind_order(execution=execution_id):
        return changes_send(execution_id=execution_id, orders=orders, broker=broker, now=now, outbox=outbox)


def left_behind_send(*, broker: BlockingBroker, now: datetime) -> int:
    """Send the cancels of entries that may rest in the Gateway untransmitted; return how many. Raises as cancels_send.

    Asked at every tick: whoever wrote them may have died since.
    """
    outbox = OutboxRows(broker=broker)
    return sum(
        cancels_send(execution_id=left.execution_id, orders=[left.order], broker=broker, now=now, outbox=outbox)
        for left in outbox.left_behind(now=now)
    )


def _send(
    kind: CommandKind,
    *,
    execution_id: int,
    orders: Sequence[Order],
    broker: BlockingBroker,
    outbox: Outbox,
    now: datetime,
) -> int:
    if not orders:
        return 0
    due = outbox.take(kind, execution_id=execution_id, orders=orders, now=now)
    for number, command in enumerate(due):
        order = command.order
        try:
            if kind is CommandKind.CANCEL:
                broker.cancel_order(order.order_id or 0)
            else:
                for name, value in command.change.items():
                    setattr(order, name, wanted_value(name, value))  # In memory: the row follows the broker's echo.
                _modify(order, broker=broker, outbox=outbox)
        except BrokerTimeout:
            raise  # It may have been sent.
        except RetryLater:
            outbox.give_back(due[number:])
            raise
        logger.info("command_sent", kind=kind.value, order_ref=order.order_ref, order_id=order.order_id)
    if due:
        outbox.publish(execution_id)
    return len(due)


def _modify(order: Order, *, broker: BlockingBroker, outbox: Outbox) -> None:
    broker.modify_order(
        order_id=order.order_id or 0,
        contract=contract_of(order.bracket.execution),
        # No OCA fields: a change that restates another group or type is refused, and one without them is not.
        ticket=replace(order_ticket(order), oca_group="", oca_type=0),
        parent_id=outbox.parent_id(order),
    )
