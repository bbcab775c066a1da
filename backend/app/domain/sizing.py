"""How many shares: from a quantity, an amount at risk, or a percentage of equity at risk."""

from decimal import Decimal

from app.core.errors import FixRequest, RetryLater
from app.domain.prices import is_price, risk_per_share
from app.domain.terms import Side

RISK_PERCENT_MAX = Decimal(100)


def whole_shares(quantity: Decimal) -> Decimal:
    """Return `quantity` written without exponent or decimal places.

    Raises FixRequest `size_not_positive`, `size_not_whole`: IB brackets only whole shares.
    """
    _require_positive(quantity)
    if quantity != quantity.to_integral_value():
        raise FixRequest(f"Only whole shares can be bracketed, not {quantity}.", code="size_not_whole")
    return Decimal(int(quantity))


def size_position(
    *,
    side: Side,
    stop_price: Decimal,
    reference_price: Decimal | None,
    quantity: Decimal | None = None,
    risk_amount: Decimal | None = None,
    risk_percent: Decimal | None = None,
    equity: Decimal | None = None,
) -> Decimal:
    """Return whole shares, rounded down so that the risk is never exceeded.

    Exactly one of `quantity`, `risk_amount` (account currency) and `risk_percent` (2 means 2 %) is given.
    `reference_price` is the entry's price, or the last price for a market entry; `equity` the net liquidation value.

    Raises FixRequest `size_ambiguous`, `size_not_positive`, `size_not_whole`, `risk_percent_too_large`,
    `price_not_positive` (the stop), `stop_wrong_side`, `size_below_one_share`; RetryLater `price_unknown`,
    `equity_unknown` when what the size depends on is not known now (None, or what a feed says without data: NaN, -1).
    """
    given = [value for value in (quantity, risk_amount, risk_percent) if value is not None]
    if len(given) != 1:
        raise FixRequest("Give exactly one of quantity, risk_amount and risk_percent.", code="size_ambiguous")
    _require_positive(given[0])
    if quantity is not None:
        return whole_shares(quantity)
    risk = risk_amount if risk_amount is not None else _share_of(equity, risk_percent)
    if not is_price(stop_price):
        raise FixRequest(f"A price must be positive, not {stop_price:f}.", code="price_not_positive")
    if not is_price(reference_price):
        raise RetryLater("The size depends on a price that is not known now.", code="price_unknown")
    per_share = risk_per_share(side=side, entry_price=reference_price, stop_price=stop_price)
    if per_share <= 0:
        raise FixRequest(
            f"The stop {stop_price} is not on the losing side of {reference_price}.", code="stop_wrong_side"
        )
    shares = risk // per_share  # Exact, where a quotient could be rounded up to the next share.
    if shares < 1:
        raise FixRequest(
            f"A risk of {risk:.2f} buys no whole share at {per_share} per share.",
            code="size_below_one_share",
            details={"risk": str(risk), "risk_per_share": str(per_share)},
        )
    return shares


def _require_positive(size: Decimal) -> None:
    if not size.is_finite() or size <= 0:
        raise FixRequest(f"The size must be positive, not {size:f}.", code="size_not_positive")


def _share_of(equity: Decimal | None, risk_percent: Decimal | None) -> Decimal:
    if equity is None or not equity.is_finite() or risk_percent is None:
        raise RetryLater("The account's equity is not known yet.", code="equity_unknown")
    if risk_percent > RISK_PERCENT_MAX:
        raise FixRequest(f"{risk_percent} % of the equity cannot be put at risk.", code="risk_percent_too_large")
    return equity * risk_percent / 100
