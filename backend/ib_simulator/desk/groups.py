"""OCA groups: orders of which one cancels or reduces the others, whoever placed them.

A group is a name within an account. A client names it, or the Gateway: the children of one parent get the parent's
permId as group, of type 3, whatever name came with them. Any later order that names a group joins it, from any client
[FIELD: paper accounts, August 2026].

    a member fills       type 1: the others are cancelled; 2 and 3: they shrink in proportion, at nothing they go
    filled to the end    the group is dead (type 1: at its first share): who comes later is refused with 201 [FIELD]
    cancelled            by its client: the others too, but for the Gateway's own groups; by the system: nobody else

Example: a bracket's stop and target of 10 are in the group of their parent. A market order for 10 that names it deals,
and both are cancelled; for 4 it is filled to its end as well, and both are cancelled all the same.
"""

from decimal import ROUND_DOWN, Decimal

from ib_simulator.desk.book import Book
from ib_simulator.desk.brackets import Settled, cut
from ib_simulator.desk.orders import CLOSE_TYPES, OCA_REDUCE, Order, Stage, Status
from ib_simulator.errors import Refusal
from ib_simulator.faults.scenario import Scenario

OCA_CANCEL = 1
FILLED_GROUP = "Order rejected - reason:OCA group is already filled."
NO_HANDLING = "Order rejected - reason:Invalid OCA handling method"
OTHER_ACCOUNT = "All orders of an OCA group must name the same account."


def attach(order: Order, parent: Order, *, book: Book, scenario: Scenario) -> None:
    """Mark a transmitted child as IB echoes it: the parent's permId, and where it has siblings a group named after it.

    Whether a lone child is in a group is not known: both recorded brackets had two children.
    """
    order.parent_perm_id = parent.perm_id
    family = [child for child in book.children_of(parent) if child.stage is not Stage.DONE]
    if len(family) > 1 or scenario.is_on("lone_child_group", "parent"):
        for child in family:
            if child is order or child.is_active:
                book.enter_group(child, name=str(parent.perm_id), oca_type=OCA_REDUCE)


def group_members(book: Book, order: Order) -> list[Order]:
    """Return the other active orders of the order's group; its siblings are left to the rules of brackets."""
    if not order.oca_group or not order.oca_linked:
        return []
    return [
        other
        for other in book.group(order.oca_group)
        if other is not order
        and other.is_active
        and other.oca_linked
        and other.account == order.account
        and (other.parent_sequence is None or other.parent_sequence != order.parent_sequence)
    ]


def settle_group(book: Book, order: Order, *, quantity: Decimal) -> Settled:
    """After a fill of `quantity` in an OCA group: cancel the others (type 1) or reduce them in proportion."""
    before = order.remaining + quantity
    settled = Settled([], [])
    for other in group_members(book, order):
        kept = Decimal(0)
        if order.oca_type != OCA_CANCEL:
            kept = (other.remaining * order.remaining / before).quantize(Decimal(1), rounding=ROUND_DOWN)
        cut(other, kept=kept, settled=settled)
    return settled


def falls_with(book: Book, order: Order) -> list[Order]:
    """Return the members that a client's cancel of this order takes with it: none of a group the Gateway named."""
    return [] if is_named_by_gateway(book, order) else group_members(book, order)


def is_named_by_gateway(book: Book, order: Order) -> bool:
    """Say whether the order's group is that of a bracket's children."""
    return any(str(other.parent_perm_id) == order.oca_group for other in book.group(order.oca_group))


def check_account(book: Book, order: Order) -> None:
    """Raises Refusal 10224 where the group has a member of another account, or on a live one some name it not."""
    for other in book.group(order.oca_group) if order.oca_group else []:
        is_live = not order.account.startswith("D")
        unlike = other.account != order.account or (is_live and other.account_named != order.account_named)
        if other is not order and other.is_active and unlike:
            raise Refusal(code=10224, text=OTHER_ACCOUNT)


def join_refusal(book: Book, order: Order, *, scenario: Scenario) -> Refusal | None:
    """Return why IB's servers do not let a transmitted order into its group; note whether it is linked with the rest.

    The children of a bracket come with their group and are not asked.
    """
    if not order.oca_group or order.parent_sequence is not None:
        return None
    if order.tif == "OPG" or order.order_type in CLOSE_TYPES:
        return Refusal(code=201, text=NO_HANDLING)
    others = [other for other in book.group(order.oca_group) if other is not order and other.account == order.account]
    if any(_ends_its_group(other) for other in others):
        return Refusal(code=201, text=FILLED_GROUP)
    if any(other.parent_sequence is not None and other.is_active for other in others):
        if scenario.is_on("oca_join", "refused"):
            return Refusal(code=201, text=NO_HANDLING)
        order.oca_linked = scenario.is_on("oca_join", "linked")
    return None


def _ends_its_group(order: Order) -> bool:
    if not order.oca_linked:
        return False
    return order.status is Status.FILLED or (order.oca_type == OCA_CANCEL and order.filled > 0)
