"""Orders that depend on one another as parent and children. `groups.py` has those that share an OCA group.

parent fills            children become live (all at the first share, or at the last, by switch)
child fills             its siblings shrink to what is left of the position; at nothing they are cancelled
parent cancelled        children cancelled; after a partial fill by switch
"""

from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.desk.book import Book
from ib_simulator.desk.orders import Order, Stage


def exit_fills(book: Book, parent: Order) -> Decimal:
    """Return how many shares the children have filled in all."""
    return sum((child.filled for child in book.children_of(parent)), Decimal(0))


def capacity(book: Book, order: Order) -> Decimal:
    """Return how many shares the order may still fill: a child never more than its parent has filled by now."""
    parent = book.parent_of(order)
    if parent is None or not parent.is_active:
        return order.remaining
    return max(Decimal(0), min(order.remaining, parent.filled - exit_fills(book, parent)))


def may_activate(parent: Order, *, on_partial: bool) -> bool:
    """Say whether the parent's children are to be live."""
    if parent.stage is Stage.DONE:
        return parent.filled > 0
    return on_partial and parent.filled > 0


def left_to_exit(book: Book, parent: Order) -> Decimal:
    """Return how many shares the children may still have to sell: the parent's size while it works, then its fills."""
    bound = parent.quantity if parent.is_active else parent.filled
    return max(Decimal(0), bound - exit_fills(book, parent))


@dataclass(frozen=True)
class Settled:
    """What a fill did to related orders: `shrunk` live on with fewer shares, `emptied` have nothing left to do."""

    shrunk: list[Order]
    emptied: list[Order]


def settle_siblings(book: Book, order: Order) -> Settled:
    """After a fill of a child: cut its siblings to what is left of the position."""
    parent = book.parent_of(order)
    settled = Settled([], [])
    if parent is None:
        return settled
    left = left_to_exit(book, parent)
    for sibling in book.children_of(parent):
        if sibling is not order and sibling.is_active and sibling.remaining > left:
            cut(sibling, kept=left, settled=settled)
    return settled


def settle_children(book: Book, parent: Order) -> Settled:
    """After a parent was made smaller: cut its children to its size, as IB keeps them [B1 ISSUE]."""
    left = left_to_exit(book, parent)
    settled = Settled([], [])
    for child in book.children_of(parent):
        if child.is_active and child.remaining > left:
            cut(child, kept=left, settled=settled)
    return settled


def cut(order: Order, *, kept: Decimal, settled: Settled) -> None:
    """Cut a live order to `kept` more shares, and note what that did to it."""
    if not kept:
        # Its quantity stays as it was: a cancelled order shows what was asked for.
        settled.emptied.append(order)
        return
    order.quantity = order.filled + kept
    settled.shrunk.append(order)
