"""Corrections and busts of deals, as IB publishes them: the same execution again under a raised id.

[B6] The id differs in the digits after the final period only: `.01` becomes `.02`. A bust is a correction to nothing.
Order, position, cash and commission follow. What later deals had realised stays as it was told; the position's own
sum is computed anew from its deals.
"""

from dataclasses import replace
from decimal import Decimal

from ib_simulator.desk.book import Book
from ib_simulator.desk.orders import Order
from ib_simulator.errors import CommandError
from ib_simulator.money.ledger import Execution, Ledger, Position, book_deal


def correct(
    execution: Execution, *, quantity: Decimal, price: Decimal, ledger: Ledger, book: Book
) -> tuple[Order, Execution]:
    """Make a deal what it should have been (`quantity` 0: never) and return its order and its new revision.

    Raises CommandError bad_value when the order would be filled beyond its size, and for the deal of a whole
    combination: its legs are what can be corrected, and they leave the order's own size as it is.
    """
    order = next(found for found in book if found.sequence == execution.order_sequence)
    if execution.instrument.legs:
        raise CommandError(code="bad_value", message="correct the executions of the legs")
    changes_order = execution.instrument == order.instrument
    filled = order.filled - execution.quantity + quantity if changes_order else order.filled
    if filled > order.quantity:
        raise CommandError(code="bad_value", message=f"the order is for {order.quantity:f}")
    position = ledger.position(execution.account, execution.instrument)
    known = ledger.correctable_deals(position)
    ledger.pay_back(execution)
    if changes_order:
        order.filled = filled
        order.cost += quantity * price - execution.quantity * execution.price
    order.commission -= execution.commission
    commission = Decimal(0)
    if quantity:
        commission = ledger.commission_of(
            order
            if changes_order
            else replace(order, instrument=execution.instrument, filled=quantity, cost=quantity * price),
            quantity=quantity,
            price=price,
            time=execution.time,
            liquidity=execution.liquidity,
        )
    order.commission += commission
    book.touch(order)
    corrected = replace(
        execution,
        exec_id=raised(execution.exec_id),
        quantity=quantity,
        price=price,
        cumulative=order.filled if changes_order else quantity,
        average_price=order.average_price if changes_order else price,
        commission=commission,
    )
    corrected = replace(corrected, realized_pnl=_rebook(position, corrected, known=known, was=execution, ledger=ledger))
    ledger.pay(corrected)
    ledger.add_correction(corrected)
    return order, corrected


def raised(exec_id: str) -> str:
    """Return the id of the next revision: `0001.02.01` becomes `0001.02.02`."""
    deal, _, revision = exec_id.rpartition(".")
    return f"{deal}.{int(revision) + 1:0{len(revision)}d}"


def _rebook(
    position: Position,
    corrected: Execution,
    *,
    known: tuple[Position, list[Execution]] | None,
    was: Execution,
    ledger: Ledger,
) -> Decimal | None:
    """Put the corrected deal into the position and return what it realises."""
    if known is None or was not in known[1]:
        # What the position began with is not known: only its size can follow.
        position.quantity += corrected.signed_quantity - was.signed_quantity
        ledger.touch_position(position)
        return corrected.realized_pnl
    replayed, deals = known
    realized: Decimal | None = None
    for deal in deals:
        standing = corrected if deal is was else deal
        if not standing.quantity:
            continue
        gained = book_deal(
            replayed, signed=standing.signed_quantity, price=standing.price, commission=standing.commission
        )
        realized = gained if standing is corrected else realized
    position.quantity, position.average_cost = replayed.quantity, replayed.average_cost
    position.realized_pnl = replayed.realized_pnl
    ledger.touch_position(position)
    return realized
