"""What every part of the order desk works with: the book, the market, the hours, the clock, and a voice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from ib_simulator.desk.book import Book
from ib_simulator.desk.notices import Notices
from ib_simulator.desk.orders import Order
from ib_simulator.desk.timing import set_moments
from ib_simulator.desk.trailing import follow
from ib_simulator.faults.scenario import Scenario
from ib_simulator.market.hours import Phase, TradingHours
from ib_simulator.market.prices import Market
from ib_simulator.money.ledger import Ledger


class Agenda:
    """Which order has something to do when. Stale entries stay until their time and are then passed over."""

    def __init__(self) -> None:
        # By seconds since the epoch: moments of different zones are slow to compare.
        self._entries: list[tuple[float, int, datetime, Order]] = []
        self._count = 0

    def note(self, order: Order) -> None:
        """Remember the next moment of an order; call it whenever one of its moments may have changed."""
        moment = order.next_moment
        if moment is not None:
            self._count += 1
            heappush(self._entries, (moment.timestamp(), self._count, moment, order))

    def due(self, now: datetime) -> Iterator[tuple[datetime, Order]]:
        """Yield what is due by `now`, earliest first, also what is noted meanwhile."""
        reached = now.timestamp()
        while self._entries and self._entries[0][0] <= reached:
            _seconds, _count, moment, order = heappop(self._entries)
            if order.next_moment == moment:
                yield moment, order


@dataclass(frozen=True)
class Floor:
    """Shared by the parts of the desk; what they say about an order goes through here."""

    book: Book
    ledger: Ledger
    market: Market
    hours: TradingHours
    scenario: Scenario
    notices: Notices
    clock: Callable[[], datetime]
    agenda: Agenda = field(default_factory=Agenda)

    def phase(self) -> Phase:
        return self.hours.phase(self.clock())

    def schedule(self, order: Order) -> None:
        """Work out the order's moments anew, from now on, and begin to trail when it is at the exchange."""
        set_moments(order, self.hours, self.clock())
        if order.may_meet_market:
            follow(order, self.market.quote(order.instrument).last)
        self.agenda.note(order)
        self.book.touch(order)

    def announce(self, order: Order) -> None:
        """Tell the pair clients know: the order, then how far it got."""
        self.notices.open_order(order)
        self.notices.order_status(order)

    def tell(self, order: Order, *, code: int, text: str) -> None:
        """Send an error or a remark about an order."""
        self.notices.order_error(client_id=order.client_id, order_id=order.order_id, code=code, text=text)
