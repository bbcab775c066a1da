"""The contract as clients send it: twelve fields, the same in every request that names one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from ib_simulator.fields import FieldReader, parse_decimal, parse_integer

LEGS_MAX = 100
CONTRACT_FIELDS = (
    "conId",
    "symbol",
    "secType",
    "lastTradeDateOrContractMonth",
    "strike",
    "right",
    "multiplier",
    "exchange",
    "primaryExchange",
    "currency",
    "localSymbol",
    "tradingClass",
)


@dataclass(frozen=True)
class LegQuery:
    """One leg of a combination as sent."""

    con_id: int
    ratio: int
    action: str
    exchange: str

    @classmethod
    def from_fields(cls, fields: Sequence[str]) -> "LegQuery":
        """Read the first four fields of a leg."""
        con_id, ratio = parse_integer(fields[0], default=0) or 0, parse_integer(fields[1], default=0) or 0
        return cls(con_id, ratio, fields[2].upper(), fields[3])


@dataclass(frozen=True)
class ContractQuery:
    """What a client wants looked up; empty fields are open."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    expiry: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    include_expired: bool = False
    legs: tuple[LegQuery, ...] = ()

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> "ContractQuery":
        return cls(
            con_id=parse_integer(fields["conId"], default=0) or 0,
            symbol=fields["symbol"],
            sec_type=fields["secType"],
            exchange=fields["exchange"],
            primary_exchange=fields["primaryExchange"],
            currency=fields["currency"],
            local_symbol=fields["localSymbol"],
            trading_class=fields["tradingClass"],
            expiry=fields["lastTradeDateOrContractMonth"],
            strike=parse_decimal(fields["strike"]),
            right=fields["right"].upper(),
            multiplier=fields["multiplier"],
        )

    @classmethod
    def read(cls, reader: FieldReader) -> "ContractQuery":
        return cls.from_fields(reader.named(CONTRACT_FIELDS))

    def with_legs(self, groups: Iterable[Sequence[str]]) -> "ContractQuery":
        """Return the combination (secType BAG) of these legs."""
        return replace(self, legs=tuple(LegQuery.from_fields(group) for group in groups))


def read_legs(reader: FieldReader, contract: ContractQuery) -> ContractQuery:
    """Read the legs that follow where the contract is a combination: four fields each."""
    if contract.sec_type != "BAG":
        return contract
    return contract.with_legs([reader.group(4) for _ in range(reader.count(most=LEGS_MAX))])
