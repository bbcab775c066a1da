"""Decode what clients ask about prices, now and before."""

from dataclasses import dataclass

from ib_simulator.fields import FieldReader
from ib_simulator.messages.contract import ContractQuery, read_legs
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Decoder, RequestMessage, read_cancel


@dataclass(frozen=True)
class ReqMktData(RequestMessage):
    request_id: int
    contract: ContractQuery
    generic_ticks: str
    snapshot: bool
    regulatory: bool = False


@dataclass(frozen=True)
class ReqMarketDataType(RequestMessage):
    market_data_type: int


@dataclass(frozen=True)
class ReqHistoricalData(RequestMessage):
    request_id: int
    contract: ContractQuery
    end: str
    bar_size: str
    duration: str
    use_rth: bool
    what_to_show: str
    format_date: int
    keep_up_to_date: bool


def _req_mkt_data(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id = reader.integer()
    contract = read_legs(reader, ContractQuery.read(reader))
    if reader.flag():
        reader.skip(3)
    generic_ticks, snapshot, regulatory = reader.text(), reader.flag(), reader.flag()
    return ReqMktData(request_id, contract, generic_ticks, snapshot, regulatory)


def _req_market_data_type(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return ReqMarketDataType(reader.integer(default=1))


def _req_historical_data(reader: FieldReader, _version: int) -> RequestMessage:
    request_id = reader.integer()
    contract = ContractQuery.read(reader)
    reader.skip(1)  # includeExpired
    end, bar_size, duration = reader.group(3)
    use_rth, what_to_show, format_date = reader.flag(), reader.text().upper(), reader.integer(default=1)
    contract = read_legs(reader, contract)
    return ReqHistoricalData(
        request_id, contract, end, bar_size, duration, use_rth, what_to_show, format_date, keep_up_to_date=reader.flag()
    )


DECODERS: dict[Request, Decoder] = {
    Request.REQ_MKT_DATA: _req_mkt_data,
    Request.REQ_MARKET_DATA_TYPE: _req_market_data_type,
    Request.REQ_HISTORICAL_DATA: _req_historical_data,
    Request.CANCEL_MKT_DATA: read_cancel(Request.CANCEL_MKT_DATA),
    Request.CANCEL_HISTORICAL_DATA: read_cancel(Request.CANCEL_HISTORICAL_DATA),
}
