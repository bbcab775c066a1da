"""The gateway: who is connected, who hears what, and the order desk behind it.

It implements `Notices`: news of the desk become messages to the client that owns the order (and to client 0 for manual
orders). `commit` writes the journal; the server calls it before any output leaves.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from ib_simulator.clock import Clock, SimulatedClock
from ib_simulator.desk.book import Book
from ib_simulator.desk.desk import Desk
from ib_simulator.desk.orders import Order, Status
from ib_simulator.faults import resets
from ib_simulator.faults.faults import Agenda, ConnectFault
from ib_simulator.faults.pacing import HistoryMeter
from ib_simulator.faults.scenario import Scenario
from ib_simulator.handlers import accounts, connection, pnl, positions, quotes, real_time_bars
from ib_simulator.handlers.position_reports import PositionReports
from ib_simulator.journal import Journal
from ib_simulator.market.combos import ComboMarket, Combos
from ib_simulator.market.hours import HOURS, TradingHours
from ib_simulator.market.indices import Indices
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.market.option_market import OptionMarket
from ib_simulator.market.options import OptionChains
from ib_simulator.market.past import PriceHistory
from ib_simulator.market.plans import PricePlan
from ib_simulator.market.prices import Market
from ib_simulator.messages import answers
from ib_simulator.messages.answer import Answer, error
from ib_simulator.messages.open_order import open_order
from ib_simulator.money.ledger import Execution, Ledger
from ib_simulator.records import changed_records, forget_changes, record_key, restore
from ib_simulator.session import ReceivedMessage, Session

logger = logging.getLogger(__name__)

CLIENTS_MAX = 32  # IB's documented limit of API clients per Gateway.
RECEIVED_MESSAGES_MAX = 20_000
ZONE = ZoneInfo("US/Eastern")
NO_REQUEST = -1
CLIENT_ID_IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."


@dataclass(frozen=True)
class GatewayConfig:
    """What the gateway plays: its accounts, the seed, when the exchange trades, and what moves its prices."""

    accounts: tuple[str, ...]
    seed: int = 0
    hours: str = "always"
    prices: PricePlan = field(default_factory=PricePlan)


@dataclass
class Traffic:
    """How many messages came and went since the start."""

    received: int = 0
    sent: int = 0


class Gateway:
    """Everything behind the sockets. Not thread-safe: one caller at a time."""

    def __init__(self, config: GatewayConfig, *, clock: Clock, journal: Journal | None = None) -> None:
        self.config = config
        self.clock = clock
        self.zone = ZONE
        self._journal = journal
        self._last_session = 0
        self.traffic = Traffic()
        self._begin()

    def reset(self) -> None:
        """Begin anew as if just started without a journal: everybody is dropped, everything is forgotten.

        A simulated clock begins anew too. A journal is emptied.
        """
        for session in list(self.sessions.values()):
            session.drop()
        if self._journal is not None:
            self._journal.clear()
        if isinstance(self.clock, SimulatedClock):
            self.clock.begin()
        self._begin()

    def _begin(self) -> None:
        config, clock, journal = self.config, self.clock, self._journal
        self.hours: TradingHours = HOURS[config.hours]()
        self.instruments = InstrumentList()
        self.market = Market(self.instruments, seed=config.seed, plan=config.prices, hours=self.hours, now=clock.now)
        self.options = self._option_market()
        self.history = PriceHistory(seed=config.seed, quote_of=self.market.quote, now=clock.now, options=self.options)
        self.scenario = Scenario()
        self.ledger = Ledger(accounts=config.accounts, seed=config.seed, scenario=self.scenario)
        self.book = Book(seed=config.seed)
        if journal is not None:
            records = journal.records()
            restore(records, gateway=self)
            journal.compact(records, key=record_key)
        self.position_reports = PositionReports(ledger=self.ledger, tell=partial(positions.tell_position, self))
        self.desk = Desk(
            book=self.book,
            ledger=self.ledger,
            market=self.market,
            instruments=self.instruments,
            hours=self.hours,
            scenario=self.scenario,
            notices=self,
            clock=clock.now,
        )
        self.desk.checks.append(partial(accounts.margin_refusal, self))
        self.sessions: dict[int, Session] = {}
        self.agenda = Agenda()
        self.message_watchers: list[Callable[[str, int | None], None]] = []
        self.execution_watchers: list[Callable[[Execution], None]] = []
        self.history_meter = HistoryMeter()
        self._clients: dict[int, Session] = {}
        self.received: deque[ReceivedMessage] = deque(maxlen=RECEIVED_MESSAGES_MAX)
        self.accounts_due: set[str] = set()
        self.accounts_pushed_ms: float | None = None

    def _option_market(self) -> OptionMarket:
        chains = OptionChains(list(self.instruments), now=self.clock.now)
        options = OptionMarket(chains, quote_of=self.market.quote, now=self.clock.now, seed=self.config.seed)
        self.instruments.sources.append(chains)
        self.market.pricers["OPT"] = options.quote
        self.instruments.sources.append(Combos(self.instruments))
        self.market.pricers["BAG"] = ComboMarket(self.market.quote).quote
        self._add_indices()
        return options

    def _add_indices(self) -> None:
        spy = self.instruments.by_symbol("SPY")
        if spy is None:
            return
        found = Indices(spy=lambda: self.market.quote(spy), steps=lambda: self.market.steps, seed=self.config.seed)
        self.instruments.sources.append(found)
        self.market.pricers |= {"IND": found.index_quote, "CASH": found.cash_quote}

    # --- connections -----------------------------------------------------------------------------------------

    def open_session(self) -> Session:
        """A client has connected."""
        self._last_session += 1
        session = Session(gateway=self, number=self._last_session)
        self.sessions[session.number] = session
        if self.scenario.faults.take_connect(ConnectFault.CLOSE_AT_ONCE):
            session.close()
        return session

    def forget(self, session: Session) -> None:
        """A client is gone. Its orders stay."""
        self.sessions.pop(session.number, None)
        if session.client_id is not None and self._clients.get(session.client_id) is session:
            del self._clients[session.client_id]

    def start_session(self, session: Session, client_id: int) -> None:
        """Carry out startApi: 326 and the end on a busy client id; else open orders, accounts, next id, notices."""
        busy = client_id in self._clients or client_id in self.scenario.faults.held_ids
        if busy or len(self._clients) >= CLIENTS_MAX:
            session.send_error(request_id=NO_REQUEST, code=326, text=CLIENT_ID_IN_USE)
            session.close()
            return
        session.client_id = client_id
        self._clients[client_id] = session
        connection.greet(self, session)

    def client(self, client_id: int) -> Session | None:
        return self._clients.get(client_id)

    def connected(self) -> list[Session]:
        """Return the sessions that have completed startApi, in order of connecting."""
        return sorted(self._clients.values(), key=lambda session: session.number)

    # --- faults ----------------------------------------------------------------------------------------------

    def after(self, seconds: float, action: Callable[[], None], *, key: str = "") -> None:
        """Do `action` in some seconds of real time; a later one with the same key takes its place."""
        self.agenda.at(self.clock.monotonic_ms() + seconds * 1000, action, key=key)

    def wake(self) -> None:
        """Do what is due by now: the ends of faults, steps of a scenario, messages read late."""
        self.agenda.run(self.clock.monotonic_ms())
        for session in list(self.sessions.values()):
            session.wake()

    # --- time and prices -------------------------------------------------------------------------------------

    def step(self) -> None:
        """Move all prices by one step and let the book meet them."""
        self.time_passed()
        self.market.step()
        self.prices_changed()

    @property
    def clock_speed(self) -> float:
        """Simulated seconds per real second."""
        return self.clock.speed if isinstance(self.clock, SimulatedClock) else 1.0

    def time_passed(self) -> None:
        """Do what is due by the simulated time. Called at least once a second, and whenever the clock was led."""
        now = self.clock.now()
        while (due := self.market.next_due(now)) is not None:
            self._play(due)
        self.market.clock_moved(now)
        self.desk.clock_moved(now)
        resets.restart_if_due(self)
        real_time_bars.push_real_time_bars(self)

    def go_to(self, moment: datetime, *, clock: SimulatedClock) -> None:
        """Lead the clock to a later moment (with its time zone), halting at whatever the script has on the way.

        Raises ValueError when the moment has passed.
        """
        if moment < clock.now():
            raise ValueError(f"the clock does not go back: it is {clock.now().isoformat()}")
        while (due := self.market.next_due(moment)) is not None:
            clock.set(max(due, clock.now()))
            self._play(due)
        clock.set(moment)
        self.time_passed()
        self.market.refresh()
        self.prices_changed()

    def _play(self, due: datetime) -> None:
        self.market.clock_moved(due)
        self.desk.clock_moved(due)
        self.market.play(due)
        self.prices_changed()

    def set_price(self, instrument: Instrument, price: Decimal) -> None:
        """Pin a price (USD) and let the book meet it."""
        self.market.path(instrument).pin(price)
        self.market.touched = True
        self.prices_changed()

    def prices_changed(self) -> None:
        """Tell and try what the market has news of."""
        real_time_bars.push_real_time_bars(self)
        news = self.market.take_news()
        quotes.push_quotes(self, news.changed)
        self.desk.fills.market_moved(news.moved)
        self.push_due_values()

    def push_due_values(self) -> None:
        """Send the values of accounts that traded. Called now and then: IB doesn't send them with each deal either."""
        due, self.accounts_due = self.accounts_due, set()
        for account in sorted(due):
            accounts.push_values(self, account)
        accounts.push_regularly(self)
        pnl.push_pnl(self)

    def commit(self) -> None:
        """Write what changed to the journal, before anybody hears of it."""
        if self._journal is not None:
            self._journal.write(changed_records(self))
        forget_changes(self)

    def handshake_time(self) -> str:
        return self.clock.now().astimezone(ZONE).strftime("%Y%m%d %H:%M:%S %Z")

    def wire_time(self, moment: datetime) -> str:
        """Write a time as executions carry it, with the zone of the exchange."""
        return moment.astimezone(ZONE).strftime(f"%Y%m%d %H:%M:%S {ZONE.key}")

    # --- notices ---------------------------------------------------------------------------------------------

    def open_order(self, order: Order) -> None:
        self._tell_with_master(order.client_id, open_order(order))

    def order_status(self, order: Order, *, status: str = "") -> None:
        self._tell_with_master(order.client_id, answers.order_status(order, status=status))

    def order_error(self, *, client_id: int, order_id: int, code: int, text: str) -> None:
        self._tell(client_id, error(order_id, code, text))

    def execution(self, execution: Execution) -> None:
        for watch in self.execution_watchers:
            watch(execution)
        time = self.wire_time(execution.time)
        details = answers.execution_details(execution, request_id=NO_REQUEST, time=time)
        self._tell_with_master(execution.client_id, details)

    def commission(self, execution: Execution) -> None:
        self._tell_with_master(execution.client_id, answers.commission_report(execution))

    def position_changed(self, *, account: str, instrument: Instrument) -> None:
        positions.push_position(self, account=account, instrument=instrument)

    def what_if(self, order: Order) -> None:
        values = accounts.what_if_values(self, order)
        # A paper Gateway shows a preview as PreSubmitted [CAPTURE api_whatif_margin_aapl].
        self._tell(order.client_id, open_order(replace(order, final_status=Status.PRE_SUBMITTED), what_if=values))
        refusal = accounts.margin_refusal(self, order)
        if refusal is not None:
            self._tell(order.client_id, error(order.order_id, refusal.code, refusal.text))

    def _tell_with_master(self, client_id: int, answer: Answer) -> None:
        """Tell the owner, and the master client, who hears of everybody's orders [B4 DOC]."""
        self._tell(client_id, answer)
        master = self.scenario.master_client_id
        if master is not None and master != client_id:
            self._tell(master, answer)

    def _tell(self, client_id: int, answer: Answer) -> None:
        session = self._clients.get(client_id)
        if session is not None:
            session.send(answer)
