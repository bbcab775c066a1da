"""What the server sends about profit and loss. Both messages carry no version of their own."""

from decimal import Decimal

from ib_simulator.messages.answer import Answer, plain

_CENT_FRACTION = Decimal("0.000001")


def pnl(request_id: int, *, daily: Decimal, unrealized: Decimal, realized: Decimal) -> Answer:
    return plain("pnl", 94, request_id, *(_written(amount) for amount in (daily, unrealized, realized)))


def pnl_single(
    request_id: int, *, quantity: Decimal, daily: Decimal, unrealized: Decimal, realized: Decimal, value: Decimal
) -> Answer:
    amounts = (_written(amount) for amount in (daily, unrealized, realized, value))
    return plain("pnlSingle", 95, request_id, quantity, *amounts)


def _written(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT_FRACTION)
