"""What a connection asked to be kept informed of."""

from dataclasses import dataclass, field
from decimal import Decimal

from ib_simulator.market.bars import BarRequest
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.prices import Quote
from ib_simulator.money.profit import Profit
from ib_simulator.streams import DepthSubscription, RunningBar, TickSubscription

REAL_TIME, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4


@dataclass
class QuoteSubscription:
    """Streaming market data; `sent` is what the client knows, so that only changes go out."""

    instrument: Instrument
    delayed: bool
    sent: Quote | None = None
    spot_sent: Decimal | None = None
    generic_ticks: frozenset[int] = frozenset()


@dataclass(frozen=True)
class BarSubscription:
    """Historical bars that are kept up to date."""

    request: BarRequest
    format_date: int


@dataclass(frozen=True)
class ValuesSubscription:
    """Values of accounts under a model's name (echoed), all of them or only those by currency."""

    accounts: tuple[str, ...]
    model: str
    ledger_only: bool


@dataclass
class PnlSubscription:
    """Profit and loss of accounts, or of one contract in them; `sent` is what the client knows, and since when."""

    accounts: tuple[str, ...]
    model: str
    con_id: int | None
    sent: Profit | None = None
    sent_ms: float = 0.0


@dataclass
class Subscriptions:
    """Per connection; keys are the client's request ids."""

    positions: bool = False
    auto_bind: bool = False
    market_data_type: int = REAL_TIME
    account: str = ""
    accounts_multi: dict[int, ValuesSubscription] = field(default_factory=dict)
    positions_multi: dict[int, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    pnls: dict[int, PnlSubscription] = field(default_factory=dict)
    summaries: dict[int, tuple[str, ...]] = field(default_factory=dict)
    quotes: dict[int, QuoteSubscription] = field(default_factory=dict)
    bars: dict[int, BarSubscription] = field(default_factory=dict)
    real_time_bars: dict[int, RunningBar] = field(default_factory=dict)
    ticks: dict[int, TickSubscription] = field(default_factory=dict)
    depths: dict[int, DepthSubscription] = field(default_factory=dict)

    def forget_market_data(self) -> None:
        """Drop every stream of market data, as 1101 says: the client has to ask again."""
        self.quotes.clear()
        self.bars.clear()
        self.real_time_bars.clear()
        self.ticks.clear()
        self.depths.clear()
