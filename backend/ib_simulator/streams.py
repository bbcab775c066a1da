"""What a connection hears of one contract as it happens, beside quotes: bars of seconds, single ticks, depth."""

from dataclasses import dataclass, field
from decimal import Decimal

from ib_simulator.market.depth import Level
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.prices import Quote
from ib_simulator.messages.stream_answers import ASK_SIDE, BID_SIDE, SecondsBar

BAR_SECONDS = 5
SHARES_PER_DEAL = 50


@dataclass
class RunningBar:
    """The bar that runs now; `volume` is the day's at its begin, `volume_now` the day's so far."""

    instrument: Instrument
    what_to_show: str
    use_rth: bool
    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    volume_now: int

    def take(self, quote: Quote) -> None:
        self.close = shown_price(quote, self.what_to_show)
        self.high, self.low = max(self.high, self.close), min(self.low, self.close)
        self.volume_now = quote.volume

    def end(self) -> SecondsBar:
        """Return the bar as it ended and begin the next."""
        volume = self.volume_now - self.volume
        weighted = ((self.high + self.low + self.close) / 3).quantize(Decimal("0.0001"))
        told = (volume, weighted, volume // SHARES_PER_DEAL) if self.what_to_show == "TRADES" else (-1, Decimal(-1), -1)
        bar = SecondsBar(self.start, self.open, self.high, self.low, self.close, *told)
        self.start += BAR_SECONDS
        self.open = self.high = self.low = self.close
        self.volume = self.volume_now
        return bar


def shown_price(quote: Quote, what_to_show: str) -> Decimal:
    if what_to_show == "MIDPOINT":
        return (quote.bid + quote.ask) / 2
    return {"BID": quote.bid, "ASK": quote.ask}.get(what_to_show, quote.last)


@dataclass
class TickSubscription:
    """A stream of ticks; `sent` is the quote the client knows."""

    instrument: Instrument
    kind: str
    ignore_size: bool
    sent: Quote


@dataclass
class DepthSubscription:
    """`sent` are the bids and asks the client knows."""

    instrument: Instrument
    rows: int
    smart: bool
    sent: dict[int, tuple[Level, ...]] = field(default_factory=lambda: {ASK_SIDE: (), BID_SIDE: ()})
