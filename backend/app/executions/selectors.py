"""What is read about executions, and who may read it."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Prefetch, QuerySet

from app.core.errors import Forbidden, NotFound
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg
from app.executions.models import Bracket, BrokerEvent, Execution, ExecutionFlag, Fill, Order, OrderCommand
from app.setups.selectors import require_may_plan

STOP_IS_LIVE = (OrderStatus.HELD.value, OrderStatus.WORKING.value)


def executions_visible_to(user: User | AnonymousUser | AbstractBaseUser) -> QuerySet[Execution]:
    """Return the executions this user may read: those of their own setups, or all with the permission for it."""
    executions = Execution.objects.all()
    if not isinstance(user, User):
        return executions.none()
    return executions if user.has_perm("setups.view_all_setups") else executions.filter(setup__owner=user)


def with_orders(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    """Add account, brackets and orders, in a fixed number of queries."""
    orders = Order.objects.order_by("id")
    brackets = Bracket.objects.order_by("tranche").prefetch_related(Prefetch("orders", queryset=orders))
    return executions.select_related("account", "setup", "requested_by").prefetch_related(
        Prefetch("brackets", queryset=brackets)
    )


def with_fills(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    """Add brackets, orders, deals and their costs, in a fixed number of queries; superseded deals are left out."""
    deals = Fill.objects.filter(superseded=False).select_related("commission").order_by("executed_at", "id")
    return with_orders(executions).prefetch_related(Prefetch("brackets__orders__fills", queryset=deals))


def execution_read(execution_id: int) -> Execution:
    """Return an execution with its brackets and orders as they stand now. Raises NotFound."""
    execution = with_orders(Execution.objects.filter(pk=execution_id)).first()
    if execution is None:
        raise NotFound(f"There is no execution {execution_id}.", code="execution_not_found")
    return execution


def flags_of(execution: Execution) -> list[ExecutionFlag]:
    """Return why a person had to look, oldest first, with who has."""
    return list(execution.flags.select_related("seen_by"))


def require_may_look(execution: Execution, *, user: User | AnonymousUser | AbstractBaseUser) -> User:
    """Return the user, who may say that the execution's flags are seen: its owner, or whoever acknowledges alerts.

    Raises Forbidden `role_missing`.
    """
    if isinstance(user, User) and (execution.setup.owner_id == user.pk or user.has_perm("alerts.acknowledge_alert")):
        return user
    raise Forbidden("Your roles do not let you say that this is seen.", code="role_missing")


def require_may_resolve(execution: Execution, *, user: User | AnonymousUser | AbstractBaseUser) -> User:
    """Return the user, who may settle and steer what runs: the owner, a trader or an admin.

    Raises Forbidden `role_missing`, `not_owner`.
    """
    actor = require_may_plan(user)
    if execution.setup.owner_id != actor.pk and not actor.has_perm("accounts.engage_kill_switch"):
        raise Forbidden("Only its owner, a trader or an admin may settle it.", code="not_owner")
    return actor


def fills_of(execution: Execution) -> QuerySet[Fill]:
    """Return the execution's deals, oldest first, with order and commission; superseded ones left out."""
    return (
        Fill.objects.filter(order__bracket__execution=execution, superseded=False)
        .select_related("order", "commission")
        .order_by("executed_at", "id")
    )


def orders_of(execution: Execution) -> list[Order]:
    """Return all orders of an execution that was read `with_orders`."""
    return [order for bracket in execution.brackets.all() for order in bracket.orders.all()]


def deals_of(execution: Execution) -> list[Fill]:
    """Return all deals of an execution that was read `with_fills`, oldest first."""
    deals = [deal for order in orders_of(execution) for deal in order.fills.all()]
    return sorted(deals, key=lambda deal: (deal.executed_at, deal.pk))


def events_of(execution: Execution, *, newest_max: int) -> list[BrokerEvent]:
    """Return what the broker told about an execution, oldest first; the newest where there is more."""
    events = BrokerEvent.objects.filter(execution=execution).select_related("order").order_by("-id")[:newest_max]
    return list(reversed(events))


def commands_of(execution: Execution, *, newest_max: int) -> list[OrderCommand]:
    """Return what was to be sent about an execution's orders, oldest first; the newest where there is more."""
    commands = execution.commands.select_related("order", "user").order_by("-id")[:newest_max]
    return list(reversed(commands))


def entry_is_filled(execution: Execution) -> bool:
    """Say whether every entry is filled and its stop is live at the broker, or the position is already closed."""
    if execution.status == "CLOSED":
        return True
    for bracket in execution.brackets.all():
        legs = {order.leg: order for order in bracket.orders.all()}
        entry, stop = legs[Leg.ENTRY.value], legs[Leg.STOP_LOSS.value]
        done = stop.status == OrderStatus.FILLED.value
        replaced = Leg.PROTECT.value in legs and legs[Leg.PROTECT.value].status in STOP_IS_LIVE
        if entry.status != OrderStatus.FILLED.value or not (done or replaced or stop.status in STOP_IS_LIVE):
            return False
    return True


def is_acknowledged(execution: Execution) -> bool:
    """Say whether the broker has answered every leg."""
    unanswered = (OrderStatus.CREATED.value, OrderStatus.SENT.value, OrderStatus.PENDING_SUBMIT.value)
    return all(order.status not in unanswered for order in orders_of(execution))


def entries_to_cancel(execution: Execution) -> list[Order]:
    """Return the entry orders that may still fill."""
    return [
        order
        for order in orders_of(execution)
        if order.leg == Leg.ENTRY.value and OrderStatus(order.status) not in TERMINAL
    ]


def idempotency_key_known(*, user: User, idempotency_key: str) -> bool:
    """Say whether this user has sent a request under this key before."""
    return Execution.objects.filter(requested_by=user, idempotency_key=idempotency_key).exists()
