"""Store the deals of an order: what the broker told, and what a person entered because the broker tells it no more.

    FillTold      a deal by its `exec_id`; a correction takes the place of the deal it corrects
    FillEntered   a deal by hand. As soon as the broker tells a real one of the order, that takes its place:
                  10 entered, 4 told  ->  the entered one counts for nothing, 6 of it are left as another entered one

Whatever takes the place of what, an order's filled quantity is the sum of its deals that are not superseded.
"""

from decimal import Decimal

from app.domain.broker_events import FillEntered, FillTold, correction_number, correction_root
from app.executions.models import Commission, Fill, Order

# No `exec_id` of a broker begins so, and none of ours can be taken for a correction of another: it has no dots.
ENTERED = "entered:"


def deal_store(event: FillTold, *, order: Order) -> bool:
    """Store a deal that was told, and what the order has filled by now; say whether it is a correction."""
    root = correction_root(event.exec_id)
    relatives = [fill for fill in order.fills.filter(exec_id__startswith=root) if correction_root(fill.exec_id) == root]
    newest = max([correction_number(fill.exec_id) for fill in relatives], default=-1)
    number = correction_number(event.exec_id)
    fill = Fill.objects.create(
        order=order,
        exec_id=event.exec_id,
        quantity=event.quantity,
        price=event.price,
        executed_at=event.executed_at,
        # A bust is a correction to nothing: it replaces the deal, and is none itself.
        superseded=number < newest or not event.quantity,
    )
    order.fills.filter(pk__in=[relative.pk for relative in relatives if number > newest]).update(superseded=True)
    if not relatives:
        _entered_replace(order, told=event.quantity)
    Commission.objects.filter(exec_id=event.exec_id, fill__isnull=True).update(fill=fill)
    _sum(order)
    return bool(relatives)


def deal_enter(event: FillEntered, *, order: Order) -> None:
    """Store a deal that a person entered, and what the order has filled by now."""
    Fill.objects.create(
        order=order,
        exec_id=event.entry_id,
        quantity=event.quantity,
        price=event.price,
        executed_at=event.executed_at,
    )
    _sum(order)


def entry_id_next(order: Order) -> str:
    """Return the name of the next deal that is entered by hand on the order."""
    return f"{ENTERED}{order.order_ref}:{1 + order.fills.filter(exec_id__startswith=ENTERED).count()}"


def _entered_replace(order: Order, *, told: Decimal) -> None:
    """Let a deal that was told take the place of as many shares that were entered by hand, the oldest first."""
    for entered in order.fills.filter(exec_id__startswith=ENTERED, superseded=False).order_by("id"):
        if told <= 0:
            return
        entered.superseded = True
        entered.save(update_fields=["superseded"])
        if entered.quantity > told:
            Fill.objects.create(
                order=order,
                exec_id=entry_id_next(order),
                quantity=entered.quantity - told,
                price=entered.price,
                executed_at=entered.executed_at,
            )
        told -= entered.quantity


def _sum(order: Order) -> None:
    deals = list(order.fills.filter(superseded=False))
    order.filled_quantity = sum((deal.quantity for deal in deals), Decimal(0))
    worth = sum((deal.quantity * deal.price for deal in deals), Decimal(0))
    order.average_price = worth / order.filled_quantity if order.filled_quantity else None
