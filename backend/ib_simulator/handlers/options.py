"""Option chains, the greeks that go with an option's quote, and what volatility or price belongs to the other."""

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.contracts import NO_DEFINITION, find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.option_market import Computation
from ib_simulator.market.options import CHAIN_EXCHANGES, MULTIPLIER
from ib_simulator.market.prices import Quote
from ib_simulator.messages import contract_answers, market_answers
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.ids import Request
from ib_simulator.messages.market_answers import OptionTick
from ib_simulator.messages.option_requests import (
    CalculateImpliedVolatility,
    CalculateOptionPrice,
    ReqSecDefOptParams,
)
from ib_simulator.messages.request import RequestMessage
from ib_simulator.subscriptions import QuoteSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

# Tick types of the computations at the bid, the ask, the last price and the model's own price.
COMPUTATIONS = {"bid": 10, "ask": 11, "last": 12}
MODEL, CUSTOM = 13, 53
DELAYED_OFFSET = 70  # 80 to 83 for delayed data.
NOTHING_COMPUTED = OptionTick(None, None, None, None, None, None, None)


def request_option_chain(gateway: "Gateway", session: "Session", request: ReqSecDefOptParams) -> None:
    """Send the chain once per exchange, then its end. Raises Refusal 321 for a contract id that is not the stock's."""
    chains = gateway.options.chains
    stock = chains.stock(symbol=request.symbol, con_id=request.con_id)
    if stock is None or request.sec_type not in {"", "STK"}:
        raise Refusal(code=321, text="Error validating request.-'cu' : cause - Invalid contract id")
    # Options on futures are asked for by exchange; on a stock there are none.
    for exchange in () if request.exchange else CHAIN_EXCHANGES:
        session.send(
            contract_answers.option_chain(
                request.request_id,
                stock,
                exchange=exchange,
                multiplier=MULTIPLIER,
                expirations=chains.expirations(),
                strikes=chains.strikes(stock),
            )
        )
    session.send(contract_answers.option_chain_end(request.request_id))


def calculate_implied_volatility(gateway: "Gateway", session: "Session", request: CalculateImpliedVolatility) -> None:
    """Answer once; nothing is computed for a price that no volatility explains. Raises Refusal 200, 321."""
    option = _find_option(gateway, request.contract)
    price = _positive(request.option_price, name="Option price")
    spot = _positive(request.spot, name="Underlying price")
    found = gateway.options.at_price(option, price=price, spot=spot)
    session.send(market_answers.tick_option_computation(request.request_id, CUSTOM, _tick(found)))


def calculate_option_price(gateway: "Gateway", session: "Session", request: CalculateOptionPrice) -> None:
    """Answer once. Raises Refusal 200, 321."""
    option = _find_option(gateway, request.contract)
    volatility = _positive(request.volatility, name="Volatility")
    spot = _positive(request.spot, name="Underlying price")
    found = gateway.options.at_volatility(option, volatility=float(volatility), spot=float(spot))
    session.send(market_answers.tick_option_computation(request.request_id, CUSTOM, _tick(found)))


def cancel_calculation(_gateway: "Gateway", _session: "Session", _request_id: int) -> None:
    """A calculation is answered at once, so there is nothing to take back."""


def send_computations(
    gateway: "Gateway", session: "Session", request_id: int, subscription: QuoteSubscription, quote: Quote
) -> None:
    """Send the volatility and greeks behind each price that changed, or all when the stock moved."""
    option, known = subscription.instrument, subscription.sent
    spot = gateway.options.spot(option)
    moved = known is None or spot != subscription.spot_sent
    offset = DELAYED_OFFSET if subscription.delayed else 0
    for name, tick_type in COMPUTATIONS.items():
        price = getattr(quote, name)
        if moved or price != getattr(known, name):
            found = gateway.options.at_price(option, price=price, spot=spot)
            answer = market_answers.tick_option_computation(request_id, tick_type + offset, _tick(found))
            session.send(answer)
    if moved:
        model = _tick(gateway.options.model(option))
        session.send(market_answers.tick_option_computation(request_id, MODEL + offset, model))
    subscription.spot_sent = spot


def _find_option(gateway: "Gateway", query: ContractQuery) -> Instrument:
    option = find_instrument(gateway, query)
    if option.sec_type != "OPT":
        raise Refusal(code=200, text=NO_DEFINITION)
    return option


def _positive(number: Decimal | None, *, name: str) -> Decimal:
    if number is None or number <= 0:
        raise Refusal(code=321, text=f"Error validating request.-'b6' : cause - {name} must be positive")
    return number


def _tick(computation: Computation | None) -> OptionTick:
    if computation is None:
        return NOTHING_COMPUTED
    return OptionTick(**{item.name: getattr(computation, item.name) for item in fields(OptionTick)})


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqSecDefOptParams: request_option_chain,
    CalculateImpliedVolatility: calculate_implied_volatility,
    CalculateOptionPrice: calculate_option_price,
}
CANCELLERS: dict[Request, Canceller] = {
    Request.CANCEL_CALCULATE_IMPLIED_VOLATILITY: cancel_calculation,
    Request.CANCEL_CALCULATE_OPTION_PRICE: cancel_calculation,
}
