"""One case per answer: what is sent, and where a client's decoder must show it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_simulator.market.instruments import Instrument
from ib_simulator.messages.answer import Answer
from ib_simulator.messages.ids import SERVER_VERSION_MIN

Paths = dict[str, Any]


VERSIONS = (157, 163, 170, 176, 178)
D = Decimal
OPTION = Instrument(
    con_id=9001,
    symbol="SYM",
    name="LONG NAME",
    primary_exchange="PEX",
    trading_class="TRC",
    base_price=D("50"),
    industry="Industry",
    stock_type="STT",
    currency="CUR",
    sec_type="OPT",
    expiry="20270115",
    strike=D("123.5"),
    right="C",
    multiplier="250",
    listed_symbol="LOCAL",
)
STOCK = Instrument(7001, "STK1", "STOCK NAME", "NYSE", "STC", D("60"), industry="Works", stock_type="ETF")
OPTION_PATHS: Paths = {
    "conId": 9001,
    "symbol": "SYM",
    "secType": "OPT",
    "lastTradeDateOrContractMonth": "20270115",
    "strike": 123.5,
    "right": "C",
    "multiplier": "250",
    "currency": "CUR",
    "localSymbol": "LOCAL",
    "tradingClass": "TRC",
}


@dataclass(frozen=True)
class AnswerCase:
    """One answer; `paths` may depend on the server version."""

    makes: Callable[..., Answer]
    answer: Answer
    paths: Paths | Callable[[int], Paths]
    since: int = SERVER_VERSION_MIN
    known_to_ib_async: bool = True

    @property
    def id(self) -> str:
        return self.makes.__name__

    def expected(self, version: int) -> Paths:
        return self.paths(version) if callable(self.paths) else self.paths


def under(prefix: str, paths: Paths) -> Paths:
    """Put an object's name before its attributes."""
    return {f"{prefix}.{name}": value for name, value in paths.items()}
