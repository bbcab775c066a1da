"""All prices of the exchange: what moves them, what bounds them, and which of them changed.

A price moves by its process at every step, by a tick of the script at its time, or by a command at once. Halts, bands
and sessions hold it back. Options and other derived instruments have no path of their own: `pricers` quote them.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ib_simulator.market.depth import Level, book_levels
from ib_simulator.market.hours import TradingHours
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.market.path_state import path_state, restore_path
from ib_simulator.market.paths import DRIFT_MAX, News, PricePath, Quote, Tick
from ib_simulator.market.plans import PricePlan
from ib_simulator.market.price_files import TimedTick
from ib_simulator.market.sessions import Sessions

__all__ = ["DRIFT_MAX", "Level", "Market", "PricePath", "Quote", "Tick"]

Bands = tuple[Decimal | None, Decimal | None]


class Market:
    """All price paths; `step` moves each by one, `play` does what the script has for its time.

    `now` gives the time with its zone; it is looked at once, for scripts that count from the start.
    """

    def __init__(
        self,
        instruments: InstrumentList,
        *,
        seed: int,
        plan: PricePlan | None = None,
        hours: TradingHours | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Raises PriceFileError for a plan whose file cannot be used."""
        self.plan = plan or PricePlan()
        self._instruments = instruments
        self._seed = seed
        self._news = News()
        processes = self.plan.processes(instruments)
        self._paths = {
            listed.key: PricePath(listed, seed=seed, process=processes[listed.symbol], news=self._news)
            for listed in instruments
        }
        self._sessions = Sessions(hours)
        self._started = (now or _never)()
        self._sessions.clock_moved(self._started, self._paths.values())
        self._played: datetime | None = None
        self._script = self.plan.ticks(instruments, start=self._started)
        self._place = 0
        self.steps = 0
        # Whether a command changed something that a restart has to bring back.
        self.touched = False
        # By security type: what has no path of its own but follows from others.
        self.pricers: dict[str, Callable[[Instrument], Quote]] = {}

    # --- what is asked of it ---------------------------------------------------------------------------------

    def path(self, instrument: Instrument) -> PricePath:
        return self._paths[instrument.key]

    def quote(self, instrument: Instrument) -> Quote:
        pricer = self.pricers.get(instrument.sec_type)
        return self._paths[instrument.key].quote() if pricer is None else pricer(instrument)

    def prices(self) -> dict[str, Decimal]:
        return {symbol: path.last for symbol, path in self._paths.items()}

    def available(self, instrument: Instrument, *, is_buy: bool) -> Decimal | None:
        """Return how many shares a buyer (or seller) can get now; None without limit."""
        path = self._paths.get(instrument.key)
        return None if path is None else path.available(is_buy=is_buy)

    def take(self, instrument: Instrument, quantity: Decimal, *, is_buy: bool) -> None:
        """Use up what a deal took."""
        path = self._paths.get(instrument.key)
        if path is not None:
            path.take(quantity, is_buy=is_buy)

    def depth(self, instrument: Instrument, *, rows: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return bids and asks, best first, at most `rows` each."""
        return book_levels(instrument, self.quote(instrument), rows=rows, seed=self._seed)

    def is_halted(self, instrument: Instrument) -> bool:
        """Say whether trading is halted; a halted stock halts its options and combinations."""
        # Asked for every order at every step, so without a generator.
        for symbol in instrument.movers:
            path = self._paths.get(symbol)
            if path is not None and path.halted:
                return True
        return False

    def limits(self, instrument: Instrument) -> Bands:
        """Return limit down and limit up (USD), None where there is none."""
        path = self._paths.get(instrument.key)
        return (None, None) if path is None else path.bands

    def take_news(self) -> News:
        """Return the symbols that changed since this was asked last."""
        news = News(set(self._news.changed), set(self._news.moved))
        self.refresh(none=True)
        return news

    def refresh(self, *, none: bool = False) -> None:
        """Let everything count as changed (or nothing): the clock was led, which moves what derives from it."""
        self._news.changed.clear()
        self._news.moved.clear()
        if not none:
            symbols = [path.instrument.symbol for path in self._paths.values()]
            self._news.changed.update(symbols)
            self._news.moved.update(symbols)

    # --- what moves it ---------------------------------------------------------------------------------------

    def step(self) -> None:
        """Move every price by one step, unless the exchange is closed."""
        if self._sessions.is_closed:
            return
        self.steps += 1
        for path in self._paths.values():
            path.step()

    def clock_moved(self, now: datetime) -> None:
        """Follow the sessions of the day."""
        if self._sessions.clock_moved(now, self._paths.values()):
            self.touched = True

    def next_due(self, until: datetime) -> datetime | None:
        """Return the next moment up to `until` at which the script has something."""
        waiting = self._script[self._place : self._place + 1]
        return waiting[0].moment if waiting and waiting[0].moment <= until else None

    def play(self, moment: datetime) -> None:
        """Do what the script has up to the moment."""
        while self._place < len(self._script) and self._script[self._place].moment <= moment:
            self._apply(self._script[self._place])
            self._place += 1
        self._played = moment

    def _apply(self, timed: TimedTick) -> None:
        path = self._paths[timed.symbol]
        # As with any process: what stands does not move, and nothing trades while the exchange is closed.
        if not path.stands and not self._sessions.is_closed:
            path.tick(timed.tick)

    # --- restart ---------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a restart needs to go on: steps, prices that are pinned, paths the seed doesn't explain."""
        return {
            "steps": self.steps,
            "pinned": {symbol: str(path.last) for symbol, path in self._paths.items() if path.pinned},
            "bent": {symbol: path_state(path) for symbol, path in self._paths.items() if path.bent},
            "started": self._started.isoformat(),
            "played": None if self._played is None else self._played.isoformat(),
            "session": self._sessions.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. Raises KeyError, ValueError or TypeError for what is none."""
        self.steps = state["steps"]
        bent = state.get("bent", {})
        for symbol, path in self._paths.items():
            if symbol in bent:
                restore_path(path, bent[symbol], steps=self.steps)
                path.pinned = symbol in state["pinned"]
            else:
                path.fast_forward(self.steps)
                if symbol in state["pinned"]:
                    path.pin(Decimal(state["pinned"][symbol]))
        self._sessions.restore(state.get("session"))
        self._started = datetime.fromisoformat(state["started"]) if "started" in state else self._started
        self._script = self.plan.ticks(self._instruments, start=self._started)
        self._played = datetime.fromisoformat(state["played"]) if state.get("played") else None
        if self._played is not None:
            self._place = sum(timed.moment <= self._played for timed in self._script)


def _never() -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC)
