"""What is known of a bracket that is being closed, as the rules of `domain.close` want it."""

from collections.abc import Container, Iterable
from decimal import Decimal

from django.conf import settings

from app.accounts.models import BrokerConnection
from app.domain.close import CLOSES_MAX, Bareness, CloseFacts, CloseRoad, CloseStep, ExitFacts, bareness, closing_step
from app.domain.command import NOT_TAKEN, CommandKind, CommandReason
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OrderType
from app.executions import selectors
from app.executions.models import Bracket, Execution, Order, OrderCommand, open_quantity_of
from app.executions.services.connection_row import is_foreign
from app.executions.services.leg_facts import waits_for_entry

# The order was being processed: the same change is taken a moment later.
_REFUSED_FOR_NOW = "refused_2102"


def keep_of(execution: Execution, bracket: Bracket) -> Decimal | None:
    """Return to how many open shares the bracket is to be reduced, None while it is not being closed."""
    if bracket.keep_quantity is None and execution.flatten_requested_at is not None:
        return Decimal(0)
    return bracket.keep_quantity


def is_flattening(execution: Execution, bracket: Bracket) -> bool:
    """Say whether closing this bracket, whose orders were read, takes its stop away: nobody places one beside it."""
    return closing_step_of(execution, bracket) is not None


def closing_step_of(execution: Execution, bracket: Bracket) -> CloseStep | None:
    """Return the next step of closing a bracket where that takes its stop away; None where the guard looks after it."""
    facts = close_facts(execution, bracket)
    return None if facts is None else closing_step(facts)


def bareness_of(execution: Execution, bracket: Bracket, *, leaving: Container[int] = ()) -> Bareness:
    """Say how the shares of a bracket that are to be closed stand to their stops; its orders were read.

    `leaving` are exits that count as gone already.
    """
    keep = keep_of(execution, bracket)
    if keep is None:
        return Bareness.COVERED
    orders = [order for order in bracket.orders.all() if order.pk not in leaving]
    exits = [_exit_facts(order, None) for order in orders if order.leg != Leg.ENTRY.value]
    return bareness(held=open_quantity_of(bracket.orders.all()), keep=keep, exits=exits)


def closed_bare(execution_ids: Iterable[int]) -> dict[int, set[Bareness]]:
    """Return those of the executions of which shares have no stop, or lose it any moment, because they are closed.

    And for each, how its tranches stand.
    """
    asked = list(execution_ids)
    if not asked:
        return {}
    closing = OrderCommand.objects.filter(execution__in=asked, reason_code=CommandReason.CLOSING)
    under_way = closing.filter(settled_at__isnull=True, sent_at__isnull=False).exclude(kind=CommandKind.PLACE)
    # A target that goes to the market is changed, too: no stop hangs on that.
    leaving = set(under_way.exclude(order__leg=Leg.TAKE_PROFIT).values_list("order_id", flat=True))
    executions = selectors.with_orders(Execution.objects.filter(pk__in=asked))
    found = {one.pk: {bareness_of(one, each, leaving=leaving) for each in one.brackets.all()} for one in executions}
    return {pk: stands for pk, stands in found.items() if stands - {Bareness.COVERED}}


def close_facts(
    execution: Execution, bracket: Bracket, *, connection: BrokerConnection | None = None
) -> CloseFacts | None:
    """Return what is known of a bracket whose orders were read; None where it is not being closed.

    `connection` is the one that would send; without it every order counts as its own.
    """
    keep = keep_of(execution, bracket)
    if keep is None:
        return None
    orders = list(bracket.orders.all())
    entry = next(order for order in orders if order.leg == Leg.ENTRY.value)
    closes = sum(order.leg == Leg.CLOSE.value for order in orders)
    return CloseFacts(
        held=open_quantity_of(orders),
        keep=keep,
        exits=[_exit_facts(order, connection) for order in orders if order is not entry],
        road=CloseRoad(settings.CLOSE_ROAD),
        entry_is_over=OrderStatus(entry.status) in TERMINAL,
        entry_told_more=entry.told_filled > entry.filled_quantity,
        limit_price=bracket.close_limit_price,
        gateway_group=str(entry.perm_id),
        is_live=not execution.account.is_paper,
        tries=closes if bracket.keep_quantity is None else bracket.close_tries,
        change_refused=_change_refused(execution, bracket),
    )


def _exit_facts(order: Order, connection: BrokerConnection | None) -> ExitFacts:
    return ExitFacts(
        key=order.pk,
        leg=Leg(order.leg),
        status=OrderStatus(order.status),
        order_type=OrderType(order.order_type),
        quantity=order.quantity,
        filled=order.filled_quantity,
        told_filled=order.told_filled,
        limit_price=order.limit_price,
        refusal_proved=order.refusal_proved,
        waits_for_entry=waits_for_entry(order.why_held),
        is_foreign=connection is not None and is_foreign(order, connection),
        group=order.oca_group,
        group_type=order.oca_type,
    )


def _change_refused(execution: Execution, bracket: Bracket) -> bool:
    """Say whether the broker refused a change of an exit since closing was asked for."""
    since = execution.flatten_requested_at or execution.close_requested_at
    if since is None:
        return False
    changes = OrderCommand.objects.filter(order__bracket=bracket, kind=CommandKind.MODIFY, requested_at__gte=since)
    settled = changes.filter(settled_at__isnull=False).values_list("settled_how", flat=True)
    outcomes = list(settled)
    refused = any(how.startswith("refused") and how != _REFUSED_FOR_NOW for how in outcomes)
    # One that got lost is sent again: the stop works meanwhile.
    return refused or outcomes.count(NOT_TAKEN) >= CLOSES_MAX
