"""Our rows of one execution, read anew at every look."""

from decimal import Decimal
from typing import Any

from app.domain.broker_events import AnyBrokerEvent
from app.domain.terms import Leg
from app.executions.models import Bracket, Execution, Fill, Order
from app.executions.services.apply import broker_event_record
from tests.services.heard import at


class Book:
    """The rows of one execution."""

    def __init__(self, execution_id: int) -> None:
        self.execution_id = execution_id

    @property
    def execution(self) -> Execution:
        return Execution.objects.get(pk=self.execution_id)

    @property
    def brackets(self) -> list[Bracket]:
        return list(Bracket.objects.filter(execution_id=self.execution_id).order_by("tranche"))

    def order(self, leg: Leg, *, tranche: int = 1) -> Order:
        return Order.objects.select_related("account").get(
            bracket__execution_id=self.execution_id, bracket__tranche=tranche, leg=leg.value
        )

    @property
    def orders(self) -> list[Order]:
        return list(Order.objects.filter(bracket__execution_id=self.execution_id).order_by("id"))

    @property
    def entry(self) -> Order:
        return self.order(Leg.ENTRY)

    @property
    def stop(self) -> Order:
        return self.order(Leg.STOP_LOSS)

    @property
    def target(self) -> Order:
        return self.order(Leg.TAKE_PROFIT)

    @property
    def statuses(self) -> list[str]:
        return [order.status for order in self.orders]

    def hear(self, *events: AnyBrokerEvent, seconds: float = 20) -> None:
        """Have the events recorded in their order, as the recorder does."""
        for event in events:
            broker_event_record(event, now=at(seconds))

    def rows(self) -> dict[str, Any]:
        """Everything that follows from what was heard, but for the moments."""
        execution = self.execution
        return {
            "execution": (
                execution.status,
                execution.open_quantity,
                execution.exit_reason,
                execution.reason_code,
                execution.reason,
            ),
            "attention": sorted(execution.attention.splitlines()),
            "orders": [
                (o.order_ref, o.status, o.quantity, o.filled_quantity, o.average_price, o.perm_id, o.last_error_code)
                for o in self.orders
            ],
            "fills": sorted(
                (fill.exec_id, fill.quantity, fill.price, fill.superseded, _cost(fill))
                for fill in Fill.objects.filter(order__bracket__execution_id=self.execution_id)
            ),
        }


def _cost(fill: Fill) -> Decimal | None:
    commission = getattr(fill, "commission", None)
    return commission.amount if commission else None
