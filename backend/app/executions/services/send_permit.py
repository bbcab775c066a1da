"""The right to send what was written down: asked when its turn has come, before the first byte (see SendPermit).

    note_ids             the floor is raised, the fence compared under the connection's lock, the rows become SENT
    require_still_ours   the fence compared once more: a process that stood still since may have been deposed

Who engages the kill switch holds the connection's row, which `note_ids` locks first: read after it, the switch cannot
be missed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Case, When

from app.accounts.fencing import Holding, fence_check, fence_require
from app.accounts.kill_switch import kill_switch_on
from app.accounts.models import BrokerConnection
from app.accounts.services import order_id_floor_raise
from app.core import clock
from app.core.decimal_text import plain
from app.core.errors import Conflict
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import OrderEvent, OrderStatus, transition
from app.domain.protection import could_close
from app.domain.terms import Leg
from app.executions.models import Actor, Execution, Order, open_quantity_of
from app.executions.services.commands_write import cancels_write, unsettled
from app.executions.services.leg_facts import leg_facts

_SENT = transition(OrderStatus.CREATED, OrderEvent.SENT).status.value
_CLOSES = frozenset({Leg.CLOSE, Leg.PROTECT})


@dataclass(frozen=True, kw_only=True, slots=True)
class BracketPermit:
    """The right to send a native bracket: nobody has cancelled it, and the kill switch is off."""

    bracket_id: int
    holding: Holding

    @transaction.atomic
    def note_ids(self, order_ids: Mapping[str, int]) -> None:
        """Store the ids. Raises Fenced, OrderIdTooLow, Conflict `execution_settled`, `kill_switch_engaged`."""
        holder = _holder_raised(self.holding, order_ids)
        of_it = Execution.objects.annotate(stopped=kill_switch_on()).filter(brackets=self.bracket_id)
        execution = of_it.select_for_update(no_key=True, of=("self",)).get()
        if execution.claimed_at is None or execution.cancel_requested_at is not None or execution.is_finished:
            raise Conflict("The execution was settled while it waited for its turn.", code="execution_settled")
        if execution.stopped:
            raise Conflict("The kill switch was engaged while it waited for its turn.", code="kill_switch_engaged")
        # Its news is told once it is sent: the first byte does not wait for Redis. One statement, because other orders
        # wait behind it.
        unsent = Order.objects.filter(
            bracket=self.bracket_id, order_ref__in=order_ids, status=OrderStatus.CREATED.value
        )
        stored = unsent.update(
            order_id=Case(*(When(order_ref=order_ref, then=order_id) for order_ref, order_id in order_ids.items())),
            client_id=holder.client_id,
            sent_at=clock.now(),
            status=_SENT,
        )
        if stored != len(order_ids):
            raise Conflict("An order was settled while its bracket waited for its turn.", code="execution_settled")

    def require_still_ours(self) -> None:
        """Raise Fenced where another worker has taken over."""
        fence_require(self.holding)


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderPermit:
    """The right to send one order outside any native bracket, which is sent once."""

    order_pk: int
    holding: Holding
    replaces: Sequence[Order] = ()

    @transaction.atomic
    def note_ids(self, order_ids: Mapping[str, int]) -> None:
        """Store the id, and the cancels that leave with it. Raises Fenced, OrderIdTooLow, Conflict `order_settled`."""
        holder = _holder_raised(self.holding, order_ids)
        executions = Execution.objects.select_for_update(no_key=True, of=("self",))
        execution = executions.get(brackets__orders=self.order_pk)
        # Read by the bracket's key, with what may fill beside it.
        beside = list(Order.objects.filter(bracket__orders=self.order_pk))
        order = next(one for one in beside if one.pk == self.order_pk)
        require_unsent(order)
        _require_not_more_than_held(order, beside=beside)
        order.order_id, order.client_id = order_ids[order.order_ref], holder.client_id
        order.sent_at = now = clock.now()
        order.status = _SENT
        order.save(update_fields=["order_id", "client_id", "sent_at", "status"])
        if self.replaces:
            cancels_write(
                orders=self.replaces,
                execution_id=execution.pk,
                actor=Actor.GUARD,
                reason=CommandReason.REPLACED,
                evidence={"replaced_by": order.order_ref},
                now=now,
            )
            unsettled(self.replaces, CommandKind.CANCEL).update(tried_at=now, sent_at=now)

    def require_still_ours(self) -> None:
        """Raise Fenced where another worker has taken over."""
        fence_require(self.holding)


def require_unsent(order: Order) -> None:
    """Raise Conflict `order_settled` unless the order is still to be sent."""
    if order.status != OrderStatus.CREATED.value:
        raise Conflict(f"{order.order_ref} is {order.status} already; it is sent once.", code="order_settled")


def _require_not_more_than_held(order: Order, *, beside: Sequence[Order]) -> None:
    """Raise Conflict `close_outdated` where it could, with what may fill beside it, close more than is held by now."""
    if Leg(order.leg) not in _CLOSES:
        return
    closing, held = could_close(leg_facts(order), map(leg_facts, beside)), open_quantity_of(beside)
    if closing > held:
        raise Conflict(
            f"With {order.order_ref} {plain(closing)} shares could be closed, and {plain(held)} are held.",
            code="close_outdated",
        )


def _holder_raised(holding: Holding, order_ids: Mapping[str, int]) -> BrokerConnection:
    """Raise the floor above the ids, and return the connection's row, locked and certainly ours."""
    holder = order_id_floor_raise(connection_id=holding.connection_id, order_ids=order_ids.values())
    fence_check(holder, fence=holding.fence)
    return holder
