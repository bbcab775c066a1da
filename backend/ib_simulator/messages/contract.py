"""The contract as clients send it: twelve fields, the same in every request that names one."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.fields import FieldReader, parse_decimal, parse_integer

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


def skip_legs(reader: FieldReader, *, fields_per_leg: int) -> None:
    """Pass over the legs of a combination (secType BAG)."""
    for _ in range(reader.count(most=100)):
        reader.skip(fields_per_leg)
