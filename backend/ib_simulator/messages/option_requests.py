"""Decode what clients ask about options: chains, and the volatility or the price that belongs to the other."""

from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.fields import FieldReader
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Decoder, RequestMessage, read_cancel


@dataclass(frozen=True)
class ReqSecDefOptParams(RequestMessage):
    request_id: int
    symbol: str
    exchange: str
    sec_type: str
    con_id: int


@dataclass(frozen=True)
class CalculateImpliedVolatility(RequestMessage):
    """Which volatility explains a price (USD) while the stock is at another?"""

    request_id: int
    contract: ContractQuery
    option_price: Decimal | None
    spot: Decimal | None


@dataclass(frozen=True)
class CalculateOptionPrice(RequestMessage):
    """What is it worth at a volatility (0.3 is 30 %) while the stock is at a price (USD)?"""

    request_id: int
    contract: ContractQuery
    volatility: Decimal | None
    spot: Decimal | None


def _req_sec_def_opt_params(reader: FieldReader, _version: int) -> RequestMessage:
    request_id = reader.integer()
    symbol, exchange, sec_type = reader.group(3)
    return ReqSecDefOptParams(request_id, symbol, exchange, sec_type, con_id=reader.integer())


def _calculate_implied_volatility(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    return CalculateImpliedVolatility(request_id, contract, option_price=reader.decimal(), spot=reader.decimal())


def _calculate_option_price(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    return CalculateOptionPrice(request_id, contract, volatility=reader.decimal(), spot=reader.decimal())


DECODERS: dict[Request, Decoder] = {
    Request.REQ_SEC_DEF_OPT_PARAMS: _req_sec_def_opt_params,
    Request.CALCULATE_IMPLIED_VOLATILITY: _calculate_implied_volatility,
    Request.CALCULATE_OPTION_PRICE: _calculate_option_price,
    Request.CANCEL_CALCULATE_IMPLIED_VOLATILITY: read_cancel(Request.CANCEL_CALCULATE_IMPLIED_VOLATILITY),
    Request.CANCEL_CALCULATE_OPTION_PRICE: read_cancel(Request.CANCEL_CALCULATE_OPTION_PRICE),
}
