"""Decode what clients ask about contracts."""

from dataclasses import dataclass, replace

from ib_simulator.fields import FieldReader
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.ids import Request, Version
from ib_simulator.messages.request import Decoder, RequestMessage


@dataclass(frozen=True)
class ReqContractDetails(RequestMessage):
    request_id: int
    contract: ContractQuery


@dataclass(frozen=True)
class ReqMatchingSymbols(RequestMessage):
    request_id: int
    pattern: str


@dataclass(frozen=True)
class ReqMarketRule(RequestMessage):
    rule_id: int


def _req_contract_details(reader: FieldReader, version: int) -> RequestMessage:
    reader.skip(1)
    request_id = reader.integer()
    contract = ContractQuery.read(reader)
    contract = replace(contract, include_expired=reader.flag())
    reader.skip(2)  # secIdType, secId
    if version >= Version.BOND_ISSUER:
        reader.skip(1)
    return ReqContractDetails(request_id, contract)


def _req_matching_symbols(reader: FieldReader, _version: int) -> RequestMessage:
    return ReqMatchingSymbols(reader.integer(), pattern=reader.text())


def _req_market_rule(reader: FieldReader, _version: int) -> RequestMessage:
    return ReqMarketRule(reader.integer())


DECODERS: dict[Request, Decoder] = {
    Request.REQ_CONTRACT_DETAILS: _req_contract_details,
    Request.REQ_MATCHING_SYMBOLS: _req_matching_symbols,
    Request.REQ_MARKET_RULE: _req_market_rule,
}
