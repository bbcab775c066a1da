"""What a client may ask for beside prices and sizes: option volumes, volatilities, statistics, RTVolume, ...

Figures that this market does not make (open interest, dividends, shortable shares) are invented once per instrument and
seed, and stay. Asking for a number that IB does not know is refused with IB's list.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.past import drawn
from ib_simulator.market.prices import Quote
from ib_simulator.messages import market_answers
from ib_simulator.messages.answer import Answer
from ib_simulator.subscriptions import QuoteSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

LEGAL: dict[int, str] = {
    100: "Option Volume",
    101: "Option Open Interest",
    104: "Historical Volatility",
    105: "Average Opt Volume",
    106: "impvolat",
    165: "Misc. Stats",
    220: "Creditman, Mark Price",
    221: "Mark Price",
    225: "Auction",
    232: "Pl Price",
    233: "RTVolume",
    236: "inventory",
    258: "Fundamentals",
    292: "Wide_news",
    293: "TradeCount",
    294: "TradeRate",
    295: "VolumeRate",
    318: "LastRTHTrade",
    375: "RTTrdVolume",
    411: "rthistvol",
    456: "IBDividends",
    460: "Bond Factor Multiplier",
    577: "EtfNavLast(navlast)",
    586: "IPOHLPRC",
    587: "Pl Price Delayed",
    588: "Futures Open Interest",
    595: "Short-Term Volume X Mins",
    614: "EtfNavMisc(high/low)",
    619: "Slow Mark Price",
    623: "EtfFrozenNavLast(fznavlast)",
}
MARK_PRICE_TYPE, LAST_RTH_TRADE_TYPE = 37, 57
CALL_OPTION_VOLUME, PUT_OPTION_VOLUME, AVERAGE_OPTION_VOLUME = 29, 30, 87
CALL_OPEN_INTEREST, PUT_OPEN_INTEREST = 27, 28
HISTORICAL_VOLATILITY_TYPE, IMPLIED_VOLATILITY_TYPE, REALTIME_VOLATILITY_TYPE = 23, 24, 58
AUCTION_VOLUME, AUCTION_PRICE, AUCTION_IMBALANCE = 34, 35, 36
TRADE_COUNT, TRADE_RATE, VOLUME_RATE = 54, 55, 56
SHORTABLE_TYPE, SHORTABLE_SHARES_TYPE = 46, 89
AVERAGE_VOLUME_TYPE = 21
# Lows and highs of 13, 26 and 52 weeks, and how far from the price they lie.
RANGE_TYPES = ((15, "-0.08"), (16, "0.08"), (17, "-0.14"), (18, "0.14"), (19, "-0.25"), (20, "0.25"))
FUNDAMENTALS_TYPE, DIVIDENDS_TYPE = 47, 59
SHORT_TERM_VOLUME_TYPES = (63, 64, 65)
# RTVolume is of all deals, RTTrdVolume of those that count; here they are the same.
TRADE_STRINGS = {233: 48, 375: 77}
MARK_PRICES = frozenset({220, 221, 232})
EASY_TO_BORROW = Decimal("3.0")
SHARES_PER_DEAL = 50


def read_generic_ticks(text: str) -> frozenset[int]:
    """Return the numbers asked for. Raises Refusal 321 for one IB doesn't know; news feeds (`mdoff`, `292:BZ`) pass."""
    wanted = set()
    for part in text.split(","):
        number = part.strip().partition(":")[0]
        if number in {"", "mdoff"}:
            continue
        if not number.isdecimal() or int(number) not in LEGAL:
            legal = ",".join(f"{code}({name})" for code, name in LEGAL.items())
            cause = f"Incorrect generic tick list of {text}.  Legal ones for (STK) are: {legal}"
            raise Refusal(code=321, text=f"Error validating request.-'bO' : cause - {cause}")
        wanted.add(int(number))
    return frozenset(wanted)


def send_generic_ticks(
    gateway: "Gateway", session: "Session", request_id: int, subscription: QuoteSubscription, quote: Quote
) -> None:
    """Send what was asked for: all of it first, later what a deal or a new price changes."""
    known, wanted = subscription.sent, subscription.generic_ticks
    if not wanted:
        return
    if known is None:
        figures = _Figures(gateway, request_id, subscription.instrument, quote)
        for number in sorted(wanted & figures.once.keys()):
            for answer in figures.once[number]():
                session.send(answer)
    if wanted & MARK_PRICES and (known is None or known.last != quote.last):
        session.send(market_answers.tick_price(request_id, MARK_PRICE_TYPE, quote.last, 0))
    traded = known is None or quote.volume != known.volume or quote.last != known.last
    for number, tick_type in TRADE_STRINGS.items():
        if number in wanted and traded:
            session.send(market_answers.tick_string(request_id, tick_type, _trade(gateway, quote)))
    if 293 in wanted and traded:
        count = Decimal(quote.volume // SHARES_PER_DEAL)
        session.send(market_answers.tick_generic(request_id, TRADE_COUNT, count))


def _trade(gateway: "Gateway", quote: Quote) -> str:
    """Write a deal: price, size, time (ms), volume of the day, its average price, and whether one order filled it."""
    time_ms = int(gateway.clock.now().timestamp() * 1000)
    average = ((quote.high + quote.low + quote.last) / 3).quantize(Decimal("0.0001"))
    return f"{quote.last};{quote.size};{time_ms};{quote.volume};{average};true"


class _Figures:
    """The figures told once, for one request."""

    def __init__(self, gateway: "Gateway", request_id: int, instrument: Instrument, quote: Quote) -> None:
        self._seed = gateway.config.seed
        self._request_id = request_id
        self._instrument = instrument
        self._quote = quote
        self.once: dict[int, Callable[[], list[Answer]]] = {
            100: lambda: [self._size(CALL_OPTION_VOLUME, 90_000), self._size(PUT_OPTION_VOLUME, 70_000)],
            101: lambda: [self._size(CALL_OPEN_INTEREST, 900_000), self._size(PUT_OPEN_INTEREST, 700_000)],
            104: lambda: [self._share(HISTORICAL_VOLATILITY_TYPE)],
            105: lambda: [self._size(AVERAGE_OPTION_VOLUME, 150_000)],
            106: lambda: [self._share(IMPLIED_VOLATILITY_TYPE)],
            165: self._statistics,
            225: lambda: [
                self._size(AUCTION_VOLUME, 0),
                self._price(AUCTION_PRICE, quote.last),
                self._size(AUCTION_IMBALANCE, 0),
            ],
            236: lambda: [
                market_answers.tick_generic(request_id, SHORTABLE_TYPE, EASY_TO_BORROW),
                self._size(SHORTABLE_SHARES_TYPE, 20_000_000),
            ],
            258: lambda: [market_answers.tick_string(request_id, FUNDAMENTALS_TYPE, self._ratios())],
            294: lambda: [market_answers.tick_generic(request_id, TRADE_RATE, Decimal(60))],
            295: lambda: [market_answers.tick_generic(request_id, VOLUME_RATE, Decimal(60 * SHARES_PER_DEAL))],
            318: lambda: [self._price(LAST_RTH_TRADE_TYPE, quote.last)],
            411: lambda: [self._share(REALTIME_VOLATILITY_TYPE)],
            456: lambda: [market_answers.tick_string(request_id, DIVIDENDS_TYPE, ",,,")],
            595: lambda: [self._size(kind, 5000 * (number + 1)) for number, kind in enumerate(SHORT_TERM_VOLUME_TYPES)],
        }

    def _drawn(self, tick_type: int) -> float:
        return drawn(seed=self._seed, name=f"{self._instrument.key}:generic", number=tick_type)

    def _size(self, tick_type: int, most: int) -> Answer:
        size = int(most * (0.5 + self._drawn(tick_type) / 2))
        return market_answers.tick_size(self._request_id, tick_type, size)

    def _share(self, tick_type: int) -> Answer:
        share = Decimal(str(0.2 + 0.2 * self._drawn(tick_type))).quantize(Decimal("0.0001"))
        return market_answers.tick_generic(self._request_id, tick_type, share)

    def _price(self, tick_type: int, price: Decimal) -> Answer:
        return market_answers.tick_price(self._request_id, tick_type, price, 0)

    def _statistics(self) -> list[Answer]:
        tick = self._instrument.tick
        prices = [(kind, (self._quote.last * (1 + Decimal(away))).quantize(tick)) for kind, away in RANGE_TYPES]
        return [*(self._price(kind, price) for kind, price in prices), self._size(AVERAGE_VOLUME_TYPE, 500_000)]

    def _ratios(self) -> str:
        return f"TTMNPMGN=20;NLOW={self._quote.low};NHIG={self._quote.high};CURRENCY={self._instrument.currency};"
