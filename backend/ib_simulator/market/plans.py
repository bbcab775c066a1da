"""Which process moves the prices, as chosen when the simulator starts or for one instrument later."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ib_simulator.market.instruments import InstrumentList
from ib_simulator.market.paths import Fixed, Process, Replay, Walk
from ib_simulator.market.price_files import (
    EVERYBODY,
    PlayedBar,
    PriceFileError,
    TimedTick,
    prices_by_step,
    read_bars,
    read_ticks,
    ticks_by_time,
)

WALK, FIXED, BARS, TIMED_BARS, SCRIPT = "walk", "fixed", "csv", "timed-csv", "script"
PLAIN = (WALK, FIXED)
FROM_FILE = (BARS, TIMED_BARS, SCRIPT)


@dataclass(frozen=True)
class PricePlan:
    """What moves all prices; `text` and `name` are those of the file, where there is one."""

    process: str = WALK
    text: str = ""
    name: str = ""

    def bars(self, instruments: InstrumentList) -> dict[str, list[PlayedBar]]:
        """Return the bars each symbol plays; symbols without any stand. Raises PriceFileError."""
        if self.process not in {BARS, TIMED_BARS}:
            return {}
        found = read_bars(self.text, name=self.name)
        everybody = found.pop(EVERYBODY, None)
        known = {instrument.symbol for instrument in instruments}
        unknown = sorted(found.keys() - known)
        if unknown:
            raise PriceFileError(f"{self.name}: unknown symbols: {', '.join(unknown)}")
        return found if everybody is None else dict.fromkeys(known, everybody) | found

    def processes(self, instruments: InstrumentList) -> dict[str, Process]:
        """Return what moves each symbol. Raises PriceFileError."""
        bars = self.bars(instruments) if self.process == BARS else {}
        played = {symbol: prices_by_step(found) for symbol, found in bars.items()}
        return {instrument.symbol: self._process(played.get(instrument.symbol)) for instrument in instruments}

    def _process(self, played: list[tuple[Decimal, int]] | None) -> Process:
        if played is not None:
            return Replay(played)
        return Walk() if self.process == WALK else Fixed()

    def ticks(self, instruments: InstrumentList, *, start: datetime) -> list[TimedTick]:
        """Return what happens at its time, in order. Raises PriceFileError."""
        if self.process == SCRIPT:
            known = {instrument.symbol for instrument in instruments}
            return read_ticks(self.text, name=self.name, start=start, symbols=known.__contains__)
        bars = self.bars(instruments) if self.process == TIMED_BARS else {}
        ticks = [timed for symbol in sorted(bars) for timed in ticks_by_time(bars[symbol], symbol=symbol)]
        return sorted(ticks, key=lambda timed: timed.moment)
