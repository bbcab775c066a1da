"""What came of a change of an order's price, told to a person where it is not what was asked for.

    our change is echoed, nothing else was                    as asked for
    another price was echoed after ours was sent, and then    somebody moved it at the broker, and ours went over that:
      ours                                                    it is put back once, and told
    refused, not taken, not sent                              the order lives on at its old price, told

A stop that a person moves at the broker is to stay there. A change carries all of an order, its price too, so one that
was on its way meanwhile takes the order back to where it was when the change was written.
"""

from datetime import datetime
from decimal import Decimal

from app.core.decimal_text import plain
from app.domain.broker_events import OrderTold
from app.domain.command import NOT_TAKEN, PRICE_CHANGED, WITHDRAWN, CommandKind, CommandReason
from app.domain.reasons import FlagCode
from app.executions import dispatch, news
from app.executions.models import Actor, BrokerEvent, Execution, Order, OrderCommand
from app.executions.services.attention import attention_add
from app.executions.services.commands_write import change_write

_PRICES = ("limit_price", "stop_price")


def change_outcome_tell(command: OrderCommand, how: str, *, now: datetime) -> None:
    """Tell what came of a change that `how` has just settled, and put back what it went over."""
    if command.kind != CommandKind.MODIFY:
        return
    if how == "echoed":
        _put_back(command, now=now)
    elif command.reason_code == CommandReason.MOVED and (why := _why_not(command.order, how)):
        _tell(command, f"{command.order.order_ref}: it was to be moved to {_wanted(command)}, and {why}", now=now)


def _why_not(order: Order, how: str) -> str:
    """Return why an order was not moved; "" where it was, where it is over, or where a newer change says more."""
    if how.startswith("refused_"):
        return f"the broker refused ({order.last_error_code}: {order.last_error}): it stays at {_price(order)}"
    return {
        NOT_TAKEN: f"the broker did not take it: it stays at {_price(order)}",
        PRICE_CHANGED: f"somebody had moved it to {_price(order)} meanwhile: it stays there",
        WITHDRAWN: f"nothing could be sent to the broker in time: it stays at {_price(order)}",
    }.get(how, "")


def _put_back(command: OrderCommand, *, now: datetime) -> None:
    """Move the order to where somebody else put it while the change was on its way; once."""
    if command.reason_code in (CommandReason.PUT_BACK, CommandReason.CLOSING) or command.sent_at is None:
        return  # What is being closed is to go, wherever somebody had it.
    order = command.order
    for name in _PRICES:
        by_hand = _price_by_hand(command, name)
        if by_hand is None or by_hand == getattr(order, name):
            continue
        change_write(
            order=order,
            execution=order.bracket.execution,
            change={name: by_hand},
            actor=Actor.RECONCILE,
            reason=CommandReason.PUT_BACK,
            evidence={"command": command.pk},
            now=now,
        )
        text = (
            f"{order.order_ref}: somebody moved it to {plain(by_hand, places_min=2)} while a change of ours was on its"
        )
        _tell(command, f"{text} way, which took it to {_price(order)}: it is put back", now=now)
        dispatch.changes_on_commit(command.execution_id)


def _price_by_hand(command: OrderCommand, name: str) -> Decimal | None:
    """Return the price that the broker told after the change was sent, neither the old one nor one that we wanted."""
    before = command.evidence.get(name)
    if before is None:
        return None
    # The echo of an earlier change of ours may come after a newer one was sent.
    changes = OrderCommand.objects.filter(order=command.order_id, kind=CommandKind.MODIFY)
    wanted = (change[name] for change in changes.values_list("change", flat=True) if name in change)
    ours = {Decimal(before), *map(Decimal, wanted)}
    told = BrokerEvent.objects.filter(order=command.order_id, kind=OrderTold.kind, recorded_at__gte=command.sent_at)
    for payload in told.order_by("-id").values_list("payload", flat=True):
        price = Decimal(payload[name]) if payload.get(name) else None
        if price and price not in ours:
            return price
    return None


def _tell(command: OrderCommand, text: str, *, now: datetime) -> None:
    execution = Execution.objects.select_for_update(no_key=True).get(pk=command.execution_id)
    attention_add(execution, text, code=FlagCode.CHANGE_NOT_TAKEN)
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)


def _wanted(command: OrderCommand) -> str:
    return next((plain(Decimal(command.change[name]), places_min=2) for name in _PRICES if name in command.change), "")


def _price(order: Order) -> str:
    price = order.stop_price if order.stop_price is not None else order.limit_price
    return plain(price, places_min=2) if price is not None else "no price"
