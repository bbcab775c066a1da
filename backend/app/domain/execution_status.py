"""An execution's status, as a function of its orders and nothing else.

    REQUESTED ──> SUBMITTING ──> WORKING ──> OPEN ──> CLOSED
        │             │             ├──> CANCELLED
        │             │             └──> REJECTED
        └─────────────┴──> NOT_PLACED

OPEN begins with the first filled share; CLOSED when every filled share was exited and no order is left. A late fill
reopens what looked finished: fills decide.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.domain.order_status import TERMINAL, UNANSWERED, OrderStatus
from app.domain.terms import Leg


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    REQUESTED = "REQUESTED"  # rows written, no worker has taken it
    SUBMITTING = "SUBMITTING"  # a worker has taken it, the broker has answered to none of its orders
    WORKING = "WORKING"  # the broker has answered, no share filled
    OPEN = "OPEN"  # at least one share filled and not everything is exited
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    NOT_PLACED = "NOT_PLACED"


FINISHED = frozenset(
    {ExecutionStatus.CLOSED, ExecutionStatus.CANCELLED, ExecutionStatus.REJECTED, ExecutionStatus.NOT_PLACED}
)


EXTERNAL = "EXTERNAL"  # The exit reason where shares were closed by no order of ours.


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderFacts:
    """What of an order decides the execution's status."""

    leg: Leg
    status: OrderStatus
    filled_quantity: Decimal
    closed_elsewhere: Decimal = Decimal(0)  # of an entry's shares, by no order of ours


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionOutcome:
    """The status, the shares held now (negative: more was exited than entered), and the legs that closed it."""

    status: ExecutionStatus
    open_quantity: Decimal
    exit_reason: str


def execution_outcome(orders: Iterable[OrderFacts], *, claimed: bool) -> ExecutionOutcome:
    """Return where an execution with these orders stands. `claimed`: a worker has taken it."""
    facts = list(orders)
    entered = sum((order.filled_quantity for order in facts if not order.leg.is_exit), Decimal(0))
    exited = sum((order.filled_quantity for order in facts if order.leg.is_exit), Decimal(0))
    elsewhere = sum((order.closed_elsewhere for order in facts), Decimal(0))
    open_quantity = entered - exited - elsewhere
    all_finished = all(order.status in TERMINAL for order in facts)
    if entered or exited:
        closed = all_finished and open_quantity == 0
        exits = sorted({order.leg.value for order in facts if order.leg.is_exit and order.filled_quantity})
        exits += [EXTERNAL] if elsewhere > 0 else []
        return ExecutionOutcome(
            status=ExecutionStatus.CLOSED if closed else ExecutionStatus.OPEN,
            open_quantity=open_quantity,
            exit_reason="+".join(exits) if closed else "",
        )
    return ExecutionOutcome(
        status=_unfilled_status(facts, claimed=claimed, all_finished=all_finished),
        open_quantity=open_quantity,
        exit_reason="",
    )


def _unfilled_status(facts: list[OrderFacts], *, claimed: bool, all_finished: bool) -> ExecutionStatus:
    statuses = {order.status for order in facts}
    if all_finished and facts:
        if OrderStatus.REJECTED in statuses:
            return ExecutionStatus.REJECTED
        if statuses == {OrderStatus.NOT_PLACED}:
            return ExecutionStatus.NOT_PLACED
        return ExecutionStatus.CANCELLED
    if statuses <= UNANSWERED | {OrderStatus.NOT_PLACED}:
        # An order that was sent is the better witness: REQUESTED would invite another worker to send it again.
        taken = claimed or not statuses <= {OrderStatus.CREATED}
        return ExecutionStatus.SUBMITTING if taken else ExecutionStatus.REQUESTED
    return ExecutionStatus.WORKING
