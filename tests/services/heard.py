"""What a broker says about our orders, as events with keys of their own."""

import itertools
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.core import clock
from app.domain.broker_events import (
    AbsenceProved,
    CommissionTold,
    FillTold,
    MessageMeaning,
    OrderMessageTold,
    OrderTold,
    ToldStatus,
)
from app.domain.terms import Action
from app.executions.models import Order

_begun = [clock.now()]
_numbers = itertools.count(1)


def begin() -> None:
    """Begin a test's day now: what it writes by the real clock is then of the same day, however long the run is."""
    _begun[0] = clock.now()


def at(seconds: float) -> datetime:
    """Return the moment `seconds` after the test's day began."""
    return _begun[0] + timedelta(seconds=seconds)


def told(order: Order, status: ToldStatus, **changed: Any) -> OrderTold:
    """An order's state; `filled` and `remaining` as the whole order, unless said otherwise."""
    filled = Decimal(changed.pop("filled", order.quantity if status is ToldStatus.FILLED else 0))
    values: dict[str, Any] = {
        "dedupe_key": f"status:test:{next(_numbers)}",
        "account": order.account.account_id,
        "received_at": at(10),
        "order_id": order.order_id or 0,
        "client_id": order.client_id or 0,
        "perm_id": 1000 + order.pk,
        "order_ref": order.order_ref,
        "status": status,
        "raw_status": status.value,
        "filled": filled,
        "remaining": Decimal(changed.pop("remaining", max(order.quantity - filled, Decimal(0)))),
        "average_price": Decimal(0),
    }
    return OrderTold(**values | changed)


def fill(order: Order, quantity: str, price: str = "190", *, exec_id: str = "", **changed: Any) -> FillTold:
    """One deal."""
    number = next(_numbers)
    exec_id = exec_id or f"0000e0d5.{number:08x}.01.01"
    values: dict[str, Any] = {
        "dedupe_key": f"fill:{exec_id}",
        "account": order.account.account_id,
        "received_at": at(11),
        "exec_id": exec_id,
        "order_id": order.order_id or 0,
        "client_id": order.client_id or 0,
        "perm_id": 1000 + order.pk,
        "order_ref": order.order_ref,
        "symbol": "AAPL",
        "action": Action(order.action),
        "quantity": Decimal(quantity),
        "price": Decimal(price),
        "executed_at": at(11),
    }
    return FillTold(**values | changed)


def commission(exec_id: str, amount: str = "1.0", *, realized_pnl: str | None = None) -> CommissionTold:
    """The cost of a deal, from a broker that does not say the account."""
    return CommissionTold(
        dedupe_key=f"commission:{exec_id}",
        account="",
        received_at=at(12),
        exec_id=exec_id,
        amount=Decimal(amount),
        currency="USD",
        realized_pnl=None if realized_pnl is None else Decimal(realized_pnl),
    )


def message(
    order: Order, code: int, text: str, meaning: MessageMeaning, ended_because: str = "", **changed: Any
) -> OrderMessageTold:
    """A code about an order."""
    values: dict[str, Any] = {
        "dedupe_key": f"message:test:{next(_numbers)}",
        "account": order.account.account_id,
        "received_at": at(10),
        "order_id": order.order_id or 0,
        "client_id": order.client_id or 0,
        "code": code,
        "text": text,
        "meaning": meaning,
        "ended_because": ended_because,
    }
    return OrderMessageTold(**values | changed)


def absence(order: Order) -> AbsenceProved:
    """Proof that the broker does not know the order."""
    return AbsenceProved(
        dedupe_key=f"absence:{order.order_ref}",
        account=order.account.account_id,
        received_at=at(60),
        order_ref=order.order_ref,
        evidence="complete answers do not know it",
    )
