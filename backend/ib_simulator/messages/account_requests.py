"""Decode what clients ask about accounts."""

from dataclasses import dataclass

from ib_simulator.fields import FieldReader
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Decoder, RequestMessage, read_cancel


@dataclass(frozen=True)
class ReqAccountUpdates(RequestMessage):
    subscribe: bool
    account: str


@dataclass(frozen=True)
class ReqAccountUpdatesMulti(RequestMessage):
    request_id: int
    account: str
    model_code: str
    ledger_only: bool


@dataclass(frozen=True)
class ReqAccountSummary(RequestMessage):
    request_id: int
    group: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ReqPositionsMulti(RequestMessage):
    request_id: int
    account: str
    model_code: str


@dataclass(frozen=True)
class ReqPnl(RequestMessage):
    request_id: int
    account: str
    model_code: str


@dataclass(frozen=True)
class ReqPnlSingle(RequestMessage):
    request_id: int
    account: str
    model_code: str
    con_id: int


def _req_account_updates(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return ReqAccountUpdates(subscribe=reader.flag(), account=reader.text())


def _req_account_updates_multi(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return ReqAccountUpdatesMulti(
        reader.integer(), account=reader.text(), model_code=reader.text(), ledger_only=reader.flag()
    )


def _req_positions_multi(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return ReqPositionsMulti(reader.integer(), account=reader.text(), model_code=reader.text())


def _req_pnl(reader: FieldReader, _version: int) -> RequestMessage:
    return ReqPnl(reader.integer(), account=reader.text(), model_code=reader.text())


def _req_pnl_single(reader: FieldReader, _version: int) -> RequestMessage:
    request_id, account, model_code = reader.integer(), reader.text(), reader.text()
    return ReqPnlSingle(request_id, account, model_code, con_id=reader.integer())


def _req_account_summary(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id, group, tags = reader.integer(), reader.text(), reader.text()
    return ReqAccountSummary(request_id, group, tuple(tag.strip() for tag in tags.split(",") if tag.strip()))


DECODERS: dict[Request, Decoder] = {
    Request.REQ_ACCOUNT_UPDATES: _req_account_updates,
    Request.REQ_ACCOUNT_UPDATES_MULTI: _req_account_updates_multi,
    Request.REQ_ACCOUNT_SUMMARY: _req_account_summary,
    Request.REQ_POSITIONS_MULTI: _req_positions_multi,
    Request.CANCEL_POSITIONS_MULTI: read_cancel(Request.CANCEL_POSITIONS_MULTI),
    Request.REQ_PNL: _req_pnl,
    Request.CANCEL_PNL: read_cancel(Request.CANCEL_PNL, has_version=False),
    Request.REQ_PNL_SINGLE: _req_pnl_single,
    Request.CANCEL_PNL_SINGLE: read_cancel(Request.CANCEL_PNL_SINGLE, has_version=False),
    Request.CANCEL_ACCOUNT_SUMMARY: read_cancel(Request.CANCEL_ACCOUNT_SUMMARY),
    Request.CANCEL_ACCOUNT_UPDATES_MULTI: read_cancel(Request.CANCEL_ACCOUNT_UPDATES_MULTI),
}
