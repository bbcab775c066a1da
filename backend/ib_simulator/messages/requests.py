"""Decode everything else a client sends. One frozen class per request; `decode` chooses by the message number."""

from collections.abc import Callable
from dataclasses import dataclass

from ib_simulator.errors import NO_REQUEST_ID, MalformedMessage, UnsupportedMessage
from ib_simulator.fields import FieldReader, parse_integer
from ib_simulator.messages.contract import ContractQuery, skip_legs
from ib_simulator.messages.ids import REQUEST_ID_POSITION, UNSERVED, Request, Version
from ib_simulator.messages.place_order import PlaceOrder, read_place_order


@dataclass(frozen=True)
class StartApi:
    client_id: int


@dataclass(frozen=True)
class ReqMktData:
    request_id: int
    contract: ContractQuery
    generic_ticks: str
    snapshot: bool


@dataclass(frozen=True)
class CancelRequest:
    """Ends a subscription: market data, historical data, account summary, account updates multi."""

    kind: Request
    request_id: int


@dataclass(frozen=True)
class CancelOrder:
    order_id: int


@dataclass(frozen=True)
class Plain:
    """A request without anything to say but its number."""

    kind: Request


@dataclass(frozen=True)
class ReqAccountUpdates:
    subscribe: bool
    account: str


@dataclass(frozen=True)
class ReqAccountUpdatesMulti:
    request_id: int
    account: str
    model_code: str


@dataclass(frozen=True)
class ReqAccountSummary:
    request_id: int
    group: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ReqExecutions:
    """Filters as sent; an empty text and client id 0 are open."""

    request_id: int
    client_id: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str


@dataclass(frozen=True)
class ReqContractDetails:
    request_id: int
    contract: ContractQuery


@dataclass(frozen=True)
class ReqHistoricalData:
    request_id: int
    contract: ContractQuery
    end: str
    bar_size: str
    duration: str
    use_rth: bool
    what_to_show: str
    format_date: int
    keep_up_to_date: bool


@dataclass(frozen=True)
class ReqMarketDataType:
    market_data_type: int


@dataclass(frozen=True)
class ReqAutoOpenOrders:
    bind: bool


@dataclass(frozen=True)
class ReqMatchingSymbols:
    request_id: int
    pattern: str


@dataclass(frozen=True)
class ReqMarketRule:
    rule_id: int


@dataclass(frozen=True)
class ReqCompletedOrders:
    api_only: bool


Decoded = (
    StartApi
    | ReqMktData
    | CancelRequest
    | PlaceOrder
    | CancelOrder
    | Plain
    | ReqAccountUpdates
    | ReqAccountUpdatesMulti
    | ReqAccountSummary
    | ReqExecutions
    | ReqContractDetails
    | ReqHistoricalData
    | ReqMarketDataType
    | ReqAutoOpenOrders
    | ReqMatchingSymbols
    | ReqMarketRule
    | ReqCompletedOrders
)


def decode(fields: list[str], version: int) -> Decoded:
    """Decode one frame's fields.

    Raises UnsupportedMessage for a message that is not served and MalformedMessage for one that cannot be read; both
    carry the request id when the frame still shows it.
    """
    number = _message_number(fields)
    reader = FieldReader(fields[1:])
    if number in _PLAIN:
        return Plain(Request(number))
    if number in _CANCELS:
        return _decode_named(fields, number, version, _cancel(Request(number)), reader)
    if number in _DECODERS:
        return _decode_named(fields, number, version, _DECODERS[Request(number)], reader)
    if number in UNSERVED:
        name, position = UNSERVED[number]
        raise UnsupportedMessage(
            code=321,
            text=f"Error validating request.-'{name}' : cause - This request is not supported by the simulator.",
            request_id=_request_id(fields, position),
        )
    raise UnsupportedMessage(code=505, text=f"Fatal Error: Unknown message id.{number}")


def _decode_named(fields: list[str], number: int, version: int, decoder: "Decoder", reader: FieldReader) -> Decoded:
    try:
        return decoder(reader, version)
    except MalformedMessage as error:
        error.request_id = _request_id(fields, REQUEST_ID_POSITION.get(number))
        raise


def _message_number(fields: list[str]) -> int:
    try:
        number = parse_integer(fields[0]) if fields else None
    except MalformedMessage:
        number = None
    if number is None:
        raise MalformedMessage("the message has no number")
    return number


def _request_id(fields: list[str], position: int | None) -> int:
    if position is None or position >= len(fields):
        return NO_REQUEST_ID
    try:
        number = parse_integer(fields[position])
    except MalformedMessage:
        return NO_REQUEST_ID
    return NO_REQUEST_ID if number is None else number


Decoder = Callable[[FieldReader, int], Decoded]

_PLAIN = frozenset(
    {
        Request.REQ_OPEN_ORDERS,
        Request.REQ_IDS,
        Request.SET_SERVER_LOG_LEVEL,
        Request.REQ_ALL_OPEN_ORDERS,
        Request.REQ_MANAGED_ACCOUNTS,
        Request.REQ_CURRENT_TIME,
        Request.REQ_GLOBAL_CANCEL,
        Request.REQ_POSITIONS,
        Request.CANCEL_POSITIONS,
    }
)
_CANCELS = frozenset(
    {
        Request.CANCEL_MKT_DATA,
        Request.CANCEL_HISTORICAL_DATA,
        Request.CANCEL_ACCOUNT_SUMMARY,
        Request.CANCEL_ACCOUNT_UPDATES_MULTI,
    }
)


def _cancel(kind: Request) -> Decoder:
    def read(reader: FieldReader, _version: int) -> Decoded:
        reader.skip(1)
        return CancelRequest(kind=kind, request_id=reader.integer())

    return read


def _start_api(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    return StartApi(client_id=reader.integer())


def _req_mkt_data(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    request_id = reader.integer()
    contract = ContractQuery.read(reader)
    if contract.sec_type == "BAG":
        skip_legs(reader, fields_per_leg=4)
    if reader.flag():
        reader.skip(3)
    return ReqMktData(request_id, contract, generic_ticks=reader.text(), snapshot=reader.flag())


def _cancel_order(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    return CancelOrder(order_id=reader.integer())


def _req_account_updates(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    return ReqAccountUpdates(subscribe=reader.flag(), account=reader.text())


def _req_account_updates_multi(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    return ReqAccountUpdatesMulti(reader.integer(), account=reader.text(), model_code=reader.text())


def _req_account_summary(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    request_id, group, tags = reader.integer(), reader.text(), reader.text()
    return ReqAccountSummary(request_id, group, tuple(tag.strip() for tag in tags.split(",") if tag.strip()))


def _req_executions(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    request_id, client_id = reader.integer(), reader.integer()
    account, time, symbol, sec_type, exchange, side = reader.group(6)
    return ReqExecutions(request_id, client_id, account, time, symbol, sec_type, exchange, side.upper())


def _req_contract_details(reader: FieldReader, version: int) -> Decoded:
    reader.skip(1)
    request_id = reader.integer()
    contract = ContractQuery.read(reader)
    reader.skip(3)  # includeExpired, secIdType, secId
    if version >= Version.BOND_ISSUER:
        reader.skip(1)
    return ReqContractDetails(request_id, contract)


def _req_historical_data(reader: FieldReader, _version: int) -> Decoded:
    request_id = reader.integer()
    contract = ContractQuery.read(reader)
    reader.skip(1)  # includeExpired
    end, bar_size, duration = reader.group(3)
    use_rth, what_to_show, format_date = reader.flag(), reader.text().upper(), reader.integer(default=1)
    if contract.sec_type == "BAG":
        skip_legs(reader, fields_per_leg=4)
    return ReqHistoricalData(
        request_id, contract, end, bar_size, duration, use_rth, what_to_show, format_date, keep_up_to_date=reader.flag()
    )


def _req_market_data_type(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    return ReqMarketDataType(reader.integer(default=1))


def _req_auto_open_orders(reader: FieldReader, _version: int) -> Decoded:
    reader.skip(1)
    return ReqAutoOpenOrders(bind=reader.flag())


def _req_matching_symbols(reader: FieldReader, _version: int) -> Decoded:
    return ReqMatchingSymbols(reader.integer(), pattern=reader.text())


def _req_market_rule(reader: FieldReader, _version: int) -> Decoded:
    return ReqMarketRule(reader.integer())


def _req_completed_orders(reader: FieldReader, _version: int) -> Decoded:
    return ReqCompletedOrders(api_only=reader.flag())


_DECODERS: dict[Request, Decoder] = {
    Request.REQ_MKT_DATA: _req_mkt_data,
    Request.PLACE_ORDER: read_place_order,
    Request.CANCEL_ORDER: _cancel_order,
    Request.REQ_ACCOUNT_UPDATES: _req_account_updates,
    Request.REQ_EXECUTIONS: _req_executions,
    Request.REQ_CONTRACT_DETAILS: _req_contract_details,
    Request.REQ_AUTO_OPEN_ORDERS: _req_auto_open_orders,
    Request.REQ_HISTORICAL_DATA: _req_historical_data,
    Request.REQ_MARKET_DATA_TYPE: _req_market_data_type,
    Request.REQ_ACCOUNT_SUMMARY: _req_account_summary,
    Request.START_API: _start_api,
    Request.REQ_ACCOUNT_UPDATES_MULTI: _req_account_updates_multi,
    Request.REQ_MATCHING_SYMBOLS: _req_matching_symbols,
    Request.REQ_MARKET_RULE: _req_market_rule,
    Request.REQ_COMPLETED_ORDERS: _req_completed_orders,
}
