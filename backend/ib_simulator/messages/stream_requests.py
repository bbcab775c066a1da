"""Decode what clients ask about single ticks, depth, bars of seconds, and what there is of a contract's past."""

from dataclasses import dataclass

from ib_simulator.fields import FieldReader
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Decoder, RequestMessage, read_cancel, read_plain


@dataclass(frozen=True)
class ReqRealTimeBars(RequestMessage):
    request_id: int
    contract: ContractQuery
    bar_seconds: int
    what_to_show: str
    use_rth: bool


@dataclass(frozen=True)
class ReqTickByTick(RequestMessage):
    """`kind` is Last, AllLast, BidAsk or MidPoint; `count` ticks of before come first."""

    request_id: int
    contract: ContractQuery
    kind: str
    count: int
    ignore_size: bool


@dataclass(frozen=True)
class ReqHistoricalTicks(RequestMessage):
    request_id: int
    contract: ContractQuery
    start: str
    end: str
    count: int
    what_to_show: str
    use_rth: bool


@dataclass(frozen=True)
class ReqMktDepth(RequestMessage):
    request_id: int
    contract: ContractQuery
    rows: int
    smart: bool


@dataclass(frozen=True)
class ReqHeadTimestamp(RequestMessage):
    request_id: int
    contract: ContractQuery
    what_to_show: str
    format_date: int


@dataclass(frozen=True)
class ReqHistogram(RequestMessage):
    request_id: int
    contract: ContractQuery
    use_rth: bool
    period: str


@dataclass(frozen=True)
class ReqSmartComponents(RequestMessage):
    request_id: int
    exchange: str


def _req_real_time_bars(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    bar_seconds, what_to_show = reader.integer(default=5), reader.text().upper()
    return ReqRealTimeBars(request_id, contract, bar_seconds, what_to_show, use_rth=reader.flag())


def _req_tick_by_tick(reader: FieldReader, _version: int) -> RequestMessage:
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    return ReqTickByTick(request_id, contract, kind=reader.text(), count=reader.integer(), ignore_size=reader.flag())


def _req_historical_ticks(reader: FieldReader, _version: int) -> RequestMessage:
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    reader.skip(1)  # includeExpired
    start, end = reader.group(2)
    count, what_to_show = reader.integer(), reader.text().upper()
    return ReqHistoricalTicks(request_id, contract, start, end, count, what_to_show, use_rth=reader.flag())


def _req_mkt_depth(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    return ReqMktDepth(request_id, contract, rows=reader.integer(), smart=reader.flag())


def _req_head_timestamp(reader: FieldReader, _version: int) -> RequestMessage:
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    reader.skip(2)  # includeExpired, useRTH
    return ReqHeadTimestamp(
        request_id, contract, what_to_show=reader.text().upper(), format_date=reader.integer(default=1)
    )


def _req_histogram(reader: FieldReader, _version: int) -> RequestMessage:
    request_id, contract = reader.integer(), ContractQuery.read(reader)
    reader.skip(1)  # includeExpired
    return ReqHistogram(request_id, contract, use_rth=reader.flag(), period=reader.text())


def _req_smart_components(reader: FieldReader, _version: int) -> RequestMessage:
    return ReqSmartComponents(reader.integer(), exchange=reader.text())


DECODERS: dict[Request, Decoder] = {
    Request.REQ_REAL_TIME_BARS: _req_real_time_bars,
    Request.CANCEL_REAL_TIME_BARS: read_cancel(Request.CANCEL_REAL_TIME_BARS),
    Request.REQ_TICK_BY_TICK: _req_tick_by_tick,
    Request.CANCEL_TICK_BY_TICK: read_cancel(Request.CANCEL_TICK_BY_TICK, has_version=False),
    Request.REQ_HISTORICAL_TICKS: _req_historical_ticks,
    Request.REQ_MKT_DEPTH: _req_mkt_depth,
    Request.CANCEL_MKT_DEPTH: read_cancel(Request.CANCEL_MKT_DEPTH),
    Request.REQ_MKT_DEPTH_EXCHANGES: read_plain(Request.REQ_MKT_DEPTH_EXCHANGES),
    Request.REQ_SMART_COMPONENTS: _req_smart_components,
    Request.REQ_HEAD_TIMESTAMP: _req_head_timestamp,
    Request.CANCEL_HEAD_TIMESTAMP: read_cancel(Request.CANCEL_HEAD_TIMESTAMP, has_version=False),
    Request.REQ_HISTOGRAM: _req_histogram,
    Request.CANCEL_HISTOGRAM: read_cancel(Request.CANCEL_HISTOGRAM, has_version=False),
}
