"""What positions tie up, after the rules for margin accounts in the United States.

              long stock        short stock       long option          short option
    intraday  25 % / 25 %       30 % / 30 %       nothing, it is paid   premium + the larger of 20 % of the underlying
    reg_t     50 % / 25 %       50 % / 30 %       nothing, it is paid   less what it is out of the money, and 10 %

Initial and maintenance margin of the value at the market. Houses ask for more where a share is volatile; that is not
played. A preview counts at the market's price, also for a limit order, and takes the commission from the equity: so a
paper Gateway answered [CAPTURE] api_whatif_margin_aapl (equityWithLoanChange -0.85 for a commission of 1.0003 USD).
"""

from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.desk.orders import Order
from ib_simulator.errors import Refusal
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.market.prices import Market
from ib_simulator.money.ledger import Ledger, Position, units_per_contract
from ib_simulator.money.profit import market_value

LONG_MAINTENANCE, SHORT_MAINTENANCE = Decimal("0.25"), Decimal("0.30")
REG_T_INITIAL = Decimal("0.50")
OPTION_UNDERLYING, OPTION_UNDERLYING_LEAST = Decimal("0.20"), Decimal("0.10")
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Requirement:
    """Margin in USD."""

    initial: Decimal = Decimal(0)
    maintenance: Decimal = Decimal(0)

    def __add__(self, other: "Requirement") -> "Requirement":
        return Requirement(self.initial + other.initial, self.maintenance + other.maintenance)

    def __sub__(self, other: "Requirement") -> "Requirement":
        return Requirement(self.initial - other.initial, self.maintenance - other.maintenance)


@dataclass(frozen=True)
class Preview:
    """An account before and after an order that is only thought of (USD)."""

    before: Requirement
    after: Requirement
    equity_before: Decimal
    equity_after: Decimal
    commission: Decimal

    @property
    def is_affordable(self) -> bool:
        """An order that ties up no more than before is always allowed: it closes a position."""
        return self.after.initial <= self.before.initial or self.equity_after >= self.after.initial

    @property
    def refusal_text(self) -> str:
        """IB's words, as a paper Gateway of server version 178 sent them."""
        return (
            "Order rejected - reason:We are unable to accept your order. Your Available Funds are insufficient to "
            "cover the change in the account's margin requirements if this order executes. In order to obtain the "
            f"desired position your Equity with Loan Value [{self.equity_after.quantize(CENT)} USD] must exceed the "
            f"new total Initial Margin of [{self.after.initial.quantize(CENT)} USD]."
        )


class MarginRules:
    """Computes requirements at the prices of now. `is_reg_t`: the overnight rule instead of the intraday one."""

    def __init__(self, *, ledger: Ledger, market: Market, instruments: InstrumentList) -> None:
        self._ledger = ledger
        self._market = market
        self._instruments = instruments

    def requirement(self, instrument: Instrument, *, quantity: Decimal, is_reg_t: bool) -> Requirement:
        """Return what `quantity` shares or contracts (negative: short) tie up."""
        price = self._market.quote(instrument).last
        value = abs(quantity) * price * units_per_contract(instrument)
        if instrument.sec_type == "OPT":
            margin = self._short_option(instrument, quantity=quantity, value=value)
            return Requirement(margin, margin)
        maintenance = value * (LONG_MAINTENANCE if quantity > 0 else SHORT_MAINTENANCE)
        return Requirement(value * REG_T_INITIAL if is_reg_t else maintenance, maintenance)

    def _short_option(self, option: Instrument, *, quantity: Decimal, value: Decimal) -> Decimal:
        underlying = self._instruments.by_symbol(option.symbol)
        if quantity >= 0 or underlying is None:
            return Decimal(0)
        price = self._market.quote(underlying).last
        direction = 1 if option.right == "C" else -1
        out_of_the_money = max(direction * (option.strike - price), Decimal(0))
        per_unit = max(OPTION_UNDERLYING * price - out_of_the_money, OPTION_UNDERLYING_LEAST * price)
        return value + per_unit * abs(quantity) * units_per_contract(option)

    def account_requirement(self, account: str, *, is_reg_t: bool) -> Requirement:
        """Return what all positions of the account tie up."""
        total = Requirement()
        for held in self._ledger.positions(account):
            total += self.requirement(held.instrument, quantity=held.quantity, is_reg_t=is_reg_t)
        return total

    def equity_with_loan(self, account: str) -> Decimal:
        """Return cash and the value of everything but options: these lend nothing."""
        lending = [held for held in self._ledger.positions(account) if held.instrument.sec_type != "OPT"]
        return self._ledger.cash[account] + sum((self._value(held) for held in lending), Decimal(0))

    def _value(self, held: Position) -> Decimal:
        return market_value(held, price=self._market.quote(held.instrument).last)

    def preview(self, order: Order, *, is_reg_t: bool) -> Preview:
        """Return the account before the order and after it, were it filled at the market now."""
        account = order.account
        before = after = self.account_requirement(account, is_reg_t=is_reg_t)
        equity = equity_after = self.equity_with_loan(account)
        commission = Decimal(0)
        for instrument, signed in _parts(order):
            held = self._ledger.held(account, instrument)
            price = self._market.quote(instrument).last
            after = (
                after
                - self.requirement(instrument, quantity=held, is_reg_t=is_reg_t)
                + self.requirement(instrument, quantity=held + signed, is_reg_t=is_reg_t)
            )
            commission += self._ledger.expected_commission(instrument, signed=signed, price=price)
            # Shares are worth what they cost; an option lends nothing, so its premium leaves (or enters) the equity.
            if instrument.sec_type == "OPT":
                equity_after -= signed * price * units_per_contract(instrument)
        return Preview(before, after, equity, equity_after - commission, commission)

    def refusal(self, order: Order, *, is_reg_t: bool) -> Refusal | None:
        """Return IB's 201 when the account cannot carry the order. The exits of a bracket close what it opens."""
        if order.parent_sequence is not None:
            return None
        preview = self.preview(order, is_reg_t=is_reg_t)
        return None if preview.is_affordable else Refusal(code=201, text=preview.refusal_text)


def _parts(order: Order) -> list[tuple[Instrument, Decimal]]:
    """Return what the order buys and sells (negative): its instrument, or the legs of its combination."""
    signed = order.remaining if order.is_buy else -order.remaining
    if not order.instrument.legs:
        return [(order.instrument, signed)]
    return [(leg.instrument, signed * leg.signed_ratio) for leg in order.instrument.legs]
