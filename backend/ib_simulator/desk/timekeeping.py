"""What the clock does to orders: the open wakes them, auctions fill them, the close parks or ends them."""

from datetime import datetime

from ib_simulator.desk.endings import CANCELLED, Endings
from ib_simulator.desk.fills import Fills
from ib_simulator.desk.floor import Floor
from ib_simulator.desk.orders import Order, Stage, Status
from ib_simulator.desk.timing import goes_outside


class Timekeeper:
    """Carries out what is due, in the order it fell due, however far the clock jumped."""

    def __init__(self, floor: Floor, *, fills: Fills, endings: Endings) -> None:
        self._floor = floor
        self._fills = fills
        self._endings = endings
        for order in floor.book.active():
            floor.agenda.note(order)

    def clock_moved(self, now: datetime) -> None:
        """Do what is due by `now`. Looks at one entry when nothing is."""
        for moment, order in self._floor.agenda.due(now):
            self._act(order, moment)
            self._floor.book.touch(order)
            self._floor.agenda.note(order)
        self._fills.tell_late_commissions(now=now)

    def _act(self, order: Order, moment: datetime) -> None:
        if order.due_at == moment:
            self._fills.auction(order)
        elif order.expires_at == moment:
            self._endings.finish(order, Status.CANCELLED, text=CANCELLED)
        elif order.wakes_at == moment:
            self._wake(order, moment)
        elif order.closes_at == moment:
            self._park(order, moment)

    def _wake(self, order: Order, moment: datetime) -> None:
        order.wakes_at = None
        if order.cancelling and not self._floor.scenario.cancels_held:
            self._endings.complete_cancel(order)
            return
        if order.expires_at is None or order.tif == "GTD":
            order.closes_at = self._floor.hours.next_close(moment, outside_rth=goes_outside(order))
        self._floor.book.touch(order)
        self._floor.announce(order)
        self._fills.arrive(order)

    def _park(self, order: Order, moment: datetime) -> None:
        """Take an order that outlives the session off the exchange. Nothing is told: its status shows when asked."""
        order.closes_at = None
        if order.stage is Stage.WORKING:
            order.wakes_at = self._floor.hours.next_open(moment, outside_rth=goes_outside(order))
