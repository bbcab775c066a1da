"""What the guard does where the broker has refused a stop because too many orders work on its side of a contract.

A target gives its place: the shares that it would have closed keep their own stop. Where none can, a person is asked.
Only the broker's word counts here, never a number of ours: shares whose stop was withheld because we counted wrongly,
or because others' orders ended unseen, would be naked. For the same reason its word holds for a minute only.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from app.accounts.models import BrokerConnection
from app.domain.command import CommandKind, CommandReason
from app.domain.order_room import is_refused_for_room
from app.domain.order_status import OrderStatus
from app.domain.protection import RepairKind
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Execution, Order
from app.executions.open_rows import executions_unfinished, orders_of_executions
from app.executions.services.attention import attention_add
from app.executions.services.commands_write import cancelled_in_vain, cancels_write, unsettled
from app.executions.services.connection_row import is_foreign

REFUSAL_HOLDS = timedelta(minutes=1)
_AT_WORK = (OrderStatus.HELD.value, OrderStatus.WORKING.value, OrderStatus.PENDING_CANCEL.value)


def has_room_for_stop(bracket: Bracket, *, now: datetime) -> bool:
    """Say whether the broker can be expected to take one more exit of the bracket.

    It cannot where it has just refused one for want of room, and no order of ours on that side has ended since.
    """
    exits = [order for order in bracket.orders.all() if order.leg != Leg.ENTRY.value]
    refused_at = _refused_for_room_at(exits)
    # What was refused ahead of us was refused by a clock that was wrong.
    if refused_at is None or not now - REFUSAL_HOLDS < refused_at <= now:
        return True
    return _ended_since(refused_at, execution=bracket.execution, action=exits[0].action)


def _refused_for_room_at(exits: Iterable[Order]) -> datetime | None:
    refused = [
        order.finished_at
        for order in exits
        if order.finished_at
        and order.status == OrderStatus.REJECTED.value
        and is_refused_for_room(code=order.last_error_code, text=order.last_error)
    ]
    return max(refused, default=None)


def _ended_since(moment: datetime, *, execution: Execution, action: str) -> bool:
    # What ended since belongs to what is not finished, or was finished since: the rest of the history is not read.
    lately = Execution.objects.filter(account=execution.account, finished_at__gte=moment).order_by()
    rows = [*executions_unfinished().filter(con_id=execution.con_id), *lately.filter(con_id=execution.con_id)]
    return any(
        order.action == action
        and order.account_id == execution.account_id
        and order.status != OrderStatus.REJECTED.value
        and order.finished_at is not None
        and order.finished_at > moment
        for order in orders_of_executions(row.pk for row in rows)
    )


def room_make(
    execution: Execution, bracket: Bracket, *, holder: BrokerConnection, reason: str, now: datetime
) -> Order | None:
    """Write down the cancel of a target whose place the stop may take, and return it; None where there is none.

    The bracket's own target, else the farthest one of its execution. Written once: later looks send it again. Call it
    inside a transaction, with the execution's row locked.
    """
    legs = orders_of_executions([execution.pk])
    targets = [order for order in legs if order.leg == Leg.TAKE_PROFIT.value and order.status in _AT_WORK]
    # The broker does not know those that were cancelled in vain: they take no place.
    in_vain = set(cancelled_in_vain().filter(order__in=targets).values_list("order_id", flat=True))
    ours = [order for order in targets if order.pk not in in_vain and not is_foreign(order, holder)]
    going = unsettled(ours, CommandKind.CANCEL).values_list("order_id", flat=True)
    giving = next((order for order in ours if order.pk in set(going)), None)
    if giving is not None or not ours:
        return giving
    giving = max(ours, key=lambda order: (order.bracket_id == bracket.pk, order.bracket.tranche))
    attention_add(
        execution,
        f"{reason}, and {no_room_for(bracket)}; {giving.order_ref} is cancelled to make room",
        code=FlagCode.NO_ROOM_FOR_STOP,
    )
    execution.save(update_fields=["attention"])
    because = CommandReason.MAKES_ROOM
    cancels_write(orders=[giving], execution_id=execution.pk, actor=Actor.GUARD, reason=because, now=now)
    decision_record(
        actor=Actor.GUARD,
        action=RepairKind.CANCEL.value,
        reason=f"{reason}, and {no_room_for(bracket)}",
        account=execution.account,
        execution=execution,
        bracket=bracket,
        order=giving,
        now=now,
    )
    news.publish_on_commit(execution.pk)
    return giving


def no_room_for(bracket: Bracket) -> str:
    """Return the sentence that says why no stop is sent for it."""
    action = next(order.action for order in bracket.orders.all() if order.leg == Leg.STOP_LOSS.value)
    return f"the broker takes no more {action} orders of {bracket.execution.symbol}"
