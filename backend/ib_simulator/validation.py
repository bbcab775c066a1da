"""What IB checks before an order enters the book. Codes and texts are IB's where a recording shows them."""

from decimal import Decimal

from ib_simulator.errors import Refusal
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.messages.place_order import PlaceOrder
from ib_simulator.orders import LIMIT_TYPES, ORDER_TYPES, STOP_TYPES, TIMES_IN_FORCE

_VALIDATING = "Error validating request.-'bN' : cause - "


def find_instrument(instruments: InstrumentList, request: PlaceOrder) -> Instrument:
    """Raises Refusal 200 for a contract that does not exist."""
    instrument = instruments.find(request.contract)
    if instrument is None:
        raise Refusal(code=200, text="No security definition has been found for the request")
    return instrument


def check_order(request: PlaceOrder, instrument: Instrument) -> None:
    """Raises Refusal: 321 for types, sides and times that do not exist, 434 for no size, 110 for a price off tick."""
    check_terms(action=request.action, order_type=request.order_type, tif=request.tif, quantity=request.quantity)
    check_prices(
        order_type=request.order_type,
        limit_price=request.limit_price,
        stop_price=request.aux_price,
        tick=instrument.tick,
    )


def check_terms(*, action: str, order_type: str, tif: str, quantity: Decimal) -> None:
    """Raises Refusal 321, 434, or 10243 for a fraction of a share."""
    if order_type not in ORDER_TYPES:
        raise Refusal(code=321, text=f"{_VALIDATING}Invalid order type was entered")
    if action not in {"BUY", "SELL"}:
        raise Refusal(code=321, text=f"{_VALIDATING}Invalid side")
    if tif not in TIMES_IN_FORCE | {""}:
        raise Refusal(code=321, text=f"{_VALIDATING}Invalid time in force:{tif}")
    if quantity <= 0:
        raise Refusal(code=434, text="The order size cannot be zero.")
    if quantity != quantity.to_integral_value():
        raise Refusal(code=10243, text="Fractional-sized order cannot be placed via API.")


def check_prices(*, order_type: str, limit_price: Decimal | None, stop_price: Decimal | None, tick: Decimal) -> None:
    """Raises Refusal 321 for a price that is missing and 110 for one between two ticks."""
    if order_type in LIMIT_TYPES:
        _check_price(limit_price, name="limit", tick=tick)
    if order_type in STOP_TYPES:
        _check_price(stop_price, name="stop", tick=tick)


def _check_price(price: Decimal | None, *, name: str, tick: Decimal) -> None:
    if price is None or price <= 0:
        raise Refusal(code=321, text=f"{_VALIDATING}The {name} price is missing or not positive")
    if price % tick:
        raise Refusal(code=110, text="The price does not conform to the minimum price variation for this contract.")


def choose_account(request: PlaceOrder, accounts: tuple[str, ...]) -> str:
    """Return the account of an order: the one named, or the only one. Raises Refusal 321 or 435."""
    if not request.account:
        if len(accounts) > 1:
            raise Refusal(code=435, text="You must specify an account.")
        return accounts[0]
    if request.account not in accounts:
        raise Refusal(code=321, text=f"{_VALIDATING}Invalid account code '{request.account}'")
    return request.account
