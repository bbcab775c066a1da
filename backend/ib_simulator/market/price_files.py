"""Prices from text: bars to replay and ticks to play at their time, as CSV with a line of names first.

    bars      time,open,high,low,close,volume[,symbol]                  without symbol they are everybody's
    ticks     time,symbol,last[,bid,ask,bid_size,ask_size,volume]       time: ISO 8601, or seconds from the start

Nothing is read from disk here: whoever has the text gives its name along, so that errors can say where.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from ib_simulator.market.paths import Tick

BAR_COLUMNS = ("time", "open", "high", "low", "close", "volume")
TICK_COLUMNS = ("time", "symbol", "last")
ROWS_MAX = 1_000_000
EVERYBODY = ""
_PRICES_PER_BAR = 4


class PriceFileError(ValueError):
    """A row or the line of names cannot be used; the message names file and line."""


@dataclass(frozen=True)
class PlayedBar:
    """One bar: its begin, its four prices (USD) in the order they are played, and its volume (shares)."""

    start: datetime
    prices: tuple[Decimal, Decimal, Decimal, Decimal]
    volume: int


@dataclass(frozen=True)
class TimedTick:
    """A tick of a symbol at a moment with its time zone."""

    moment: datetime
    symbol: str
    tick: Tick


def read_bars(text: str, *, name: str) -> dict[str, list[PlayedBar]]:
    """Return the bars by symbol (`EVERYBODY` without one) in order of time. Raises PriceFileError."""
    found: dict[str, list[PlayedBar]] = {}
    for row in _rows(text, name=name, columns=BAR_COLUMNS):
        bar, bars = _bar(row), found.setdefault(row.text("symbol").upper(), [])
        if bars and bar.start <= bars[-1].start:
            raise row.wrong("time", "is not after the bar before")
        bars.append(bar)
    return found


def read_ticks(text: str, *, name: str, start: datetime, symbols: Callable[[str], bool]) -> list[TimedTick]:
    """Return the ticks in order of time; `symbols` says which are known. Raises PriceFileError."""
    found = []
    for row in _rows(text, name=name, columns=TICK_COLUMNS):
        symbol = row.text("symbol").upper()
        if not symbols(symbol):
            raise row.wrong("symbol", "is not known")
        found.append(TimedTick(row.moment("time", start=start), symbol, _tick(row)))
    return sorted(found, key=lambda timed: timed.moment)


def prices_by_step(bars: Iterable[PlayedBar]) -> list[tuple[Decimal, int]]:
    """Return each bar's prices one by one, with a quarter of its volume each."""
    return [(price, share) for bar in bars for price, share in zip(bar.prices, _shares(bar.volume), strict=True)]


def ticks_by_time(bars: list[PlayedBar], *, symbol: str) -> Iterator[TimedTick]:
    """Yield each bar's prices at its quarters; the last bar is as long as the one before, or a minute."""
    lengths = [after.start - before.start for before, after in pairwise(bars)]
    lengths.append(lengths[-1] if lengths else timedelta(minutes=1))
    for bar, length in zip(bars, lengths, strict=True):
        for quarter, (price, share) in enumerate(zip(bar.prices, _shares(bar.volume), strict=True)):
            yield TimedTick(bar.start + length * quarter / _PRICES_PER_BAR, symbol, Tick(price, traded=share))


def _shares(volume: int) -> list[int]:
    quarter = volume // _PRICES_PER_BAR
    return [quarter] * (_PRICES_PER_BAR - 1) + [volume - quarter * (_PRICES_PER_BAR - 1)]


def _bar(row: "_Row") -> PlayedBar:
    opened, high, low, close = (row.price(name) for name in ("open", "high", "low", "close"))
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise row.wrong("high", "and low do not enclose open and close")
    # A bar that rises is taken to have seen its low first, one that falls its high.
    turns = (low, high) if close >= opened else (high, low)
    return PlayedBar(row.moment("time", start=None), (opened, *turns, close), row.count("volume") or 0)


def _tick(row: "_Row") -> Tick:
    bid, ask = (row.price(name) if row.text(name) else None for name in ("bid", "ask"))
    if bid is not None and ask is not None and bid > ask:
        raise row.wrong("bid", "is above ask")
    return Tick(row.price("last"), bid, ask, row.count("bid_size"), row.count("ask_size"), row.count("volume"))


@dataclass(frozen=True)
class _Row:
    file: str
    line: int
    values: dict[str, str]

    def text(self, column: str) -> str:
        return self.values.get(column, "").strip()

    def wrong(self, column: str, why: str) -> PriceFileError:
        return PriceFileError(f"{self.file} line {self.line}: {column} {why}: {self.text(column)!r}")

    def price(self, column: str) -> Decimal:
        try:
            value = Decimal(self.text(column))
        except InvalidOperation:
            raise self.wrong(column, "is not a price") from None
        if not value.is_finite() or value <= 0:
            raise self.wrong(column, "is not a price")
        return value

    def count(self, column: str) -> int | None:
        if not self.text(column):
            return None
        try:
            value = Decimal(self.text(column))
        except InvalidOperation:
            raise self.wrong(column, "is not a whole number") from None
        if not value.is_finite() or value < 0 or value % 1:
            raise self.wrong(column, "is not a whole number")
        return int(value)

    def moment(self, column: str, *, start: datetime | None) -> datetime:
        text = self.text(column)
        try:
            if start is not None and text.replace(".", "", 1).isdecimal():
                return start + timedelta(seconds=float(text))
            moment = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            raise self.wrong(column, "is not a time") from None
        if moment.tzinfo is None:
            raise self.wrong(column, "has no offset from UTC")
        return moment.astimezone(UTC)


def _rows(text: str, *, name: str, columns: tuple[str, ...]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        missing = [column for column in columns if column not in header]
        if missing:
            raise PriceFileError(f"{name} line 1: missing columns: {', '.join(missing)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) > len(header) or reader.line_num > ROWS_MAX:
                raise PriceFileError(f"{name} line {reader.line_num}: more cells than names, or too many rows")
            yield _Row(name, reader.line_num, dict(zip(header, cells, strict=False)))
    except csv.Error as error:
        raise PriceFileError(f"{name} line {reader.line_num}: {error}") from error
