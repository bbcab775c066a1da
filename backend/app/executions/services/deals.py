"""Store the deals of an order: what the broker told, and what a person entered because the broker tells it no more.

    FillTold      a deal by its `exec_id`; a correction takes the place of the deal it corrects
    FillEntered   a deal by hand. As soon as the broker tells a real one of the order, that takes its place:
                  10 entered, 4 told  ->  the entered one counts for nothing, 6 of it are left as another entered one

Whatever takes the place of what, an order's filled quantity is the sum of its deals that are not superseded. Where they
add up to more than the order's size, or than the broker's own count, one was told twice or is not the order's: a person
is told. Of an entry the smaller number counts then, so that nothing is placed or closed for shares that may not be
there. Of an exit the larger does, for the same reason: its size follows the entry's, and may be behind its deals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from app.domain.broker_events import FillEntered, FillTold, correction_number, correction_root
from app.domain.terms import Leg
from app.executions.models import Commission, Fill, Order

# No `exec_id` of a broker begins so, and none of ours can be taken for a correction of another: it has no dots.
ENTERED = "entered:"
DAY = timedelta(hours=12)  # Longer than any session of a stock, shorter than from one to the next.


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What a deal that was stored is: a correction or not; and what the order's deals contradict, "" where nothing."""

    is_correction: bool
    contradiction: str


def deal_store(event: FillTold, *, order: Order) -> Stored:
    """Store a deal that was told, and what the order has filled by now.

    The order's deals are read once: a burst of fills waits behind these statements, and so do the stops that it needs.
    """
    fills = list(order.fills.order_by("id"))
    root = correction_root(event.exec_id)
    relatives = [fill for fill in fills if correction_root(fill.exec_id) == root]
    newest = max([correction_number(fill.exec_id) for fill in relatives], default=-1)
    number = correction_number(event.exec_id)
    told = Fill.objects.create(
        order=order,
        exec_id=event.exec_id,
        quantity=event.quantity,
        price=event.price,
        executed_at=event.executed_at,
        cumulative=event.cumulative or None,
        # A bust is a correction to nothing: it replaces the deal, and is none itself.
        superseded=number < newest or not event.quantity,
    )
    for corrected in (fill for fill in relatives if number > newest and not fill.superseded):
        _supersede(corrected)
    fills.append(told)
    if not relatives:
        fills += _entered_replace(order, fills, told=event.quantity)
    Commission.objects.filter(exec_id=event.exec_id, fill__isnull=True).update(fill=told)
    _sum(order, fills)
    return Stored(is_correction=bool(relatives), contradiction=_contradiction(order, fills))


def deal_enter(event: FillEntered, *, order: Order) -> None:
    """Store a deal that a person entered, and what the order has filled by now."""
    Fill.objects.create(
        order=order,
        exec_id=event.entry_id,
        quantity=event.quantity,
        price=event.price,
        executed_at=event.executed_at,
    )
    deals_sum(order)


def entry_id_next(order: Order) -> str:
    """Return the name of the next deal that is entered by hand on the order."""
    return f"{ENTERED}{order.order_ref}:{1 + order.fills.filter(exec_id__startswith=ENTERED).count()}"


def _supersede(fill: Fill) -> None:
    fill.superseded = True
    fill.save(update_fields=["superseded"])


def _entered_replace(order: Order, fills: Sequence[Fill], *, told: Decimal) -> list[Fill]:
    """Let a deal that was told take the place of as many shares that were entered by hand, the oldest first.

    Returns what is left of them as another entered one.
    """
    for entered in [fill for fill in fills if fill.exec_id.startswith(ENTERED) and not fill.superseded]:
        if told <= 0:
            break
        _supersede(entered)
        if entered.quantity > told:
            left = Fill.objects.create(
                order=order,
                exec_id=entry_id_next(order),
                quantity=entered.quantity - told,
                price=entered.price,
                executed_at=entered.executed_at,
            )
            return [left]
        told -= entered.quantity
    return []


def deals_sum(order: Order) -> None:
    """Set what the order has filled, and its average price, in memory."""
    _sum(order, list(order.fills.all()))


def deals_of(order: Order) -> Decimal:
    """Return what the order's deals add up to, whether it can be or not."""
    return sum((deal.quantity for deal in order.fills.filter(superseded=False)), Decimal(0))


def deals_contradict(order: Order) -> str:
    """Return in a sentence what the order's deals contradict, "" where nothing."""
    return _contradiction(order, list(order.fills.all()))


def _sum(order: Order, fills: Sequence[Fill]) -> None:
    deals = _counted(fills)
    dealt = sum((deal.quantity for deal in deals), Decimal(0))
    worth = sum((deal.quantity * deal.price for deal in deals), Decimal(0))
    bounds = {} if Leg(order.leg).is_exit else _bounds(order, fills)
    order.filled_quantity = min([dealt, *bounds.values()])
    order.average_price = worth / dealt if dealt else None


def _contradiction(order: Order, fills: Sequence[Fill]) -> str:
    dealt = sum((deal.quantity for deal in _counted(fills)), Decimal(0))
    against = [f"{what} {bound.normalize():f}" for what, bound in _bounds(order, fills).items() if bound < dealt]
    if not against:
        return ""
    counts = "larger" if Leg(order.leg).is_exit else "smaller"
    return f"its deals add up to {dealt.normalize():f}, {' and '.join(against)}: the {counts} number counts"


def _counted(fills: Sequence[Fill]) -> list[Fill]:
    return [fill for fill in fills if not fill.superseded]


def _bounds(order: Order, fills: Sequence[Fill]) -> dict[str, Decimal]:
    """Return what the deals cannot be more than, each by the words that say what it is."""
    bounds, deals = {"the order is of": order.quantity}, _counted(fills)
    told = [deal.cumulative for deal in deals if deal.cumulative is not None]
    # Whether the broker's count goes on after the day is not known; nor what a correction does to it.
    is_of_one_day = deals and max(d.executed_at for d in deals) - min(d.executed_at for d in deals) < DAY
    if told and len(told) == len(fills) and is_of_one_day:
        bounds["the broker counts"] = max(told)
    return bounds
