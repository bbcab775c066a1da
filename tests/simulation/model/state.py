"""What the model is made of: one bracket of three shares, at the broker and in our rows, and what is on its way.

    World ── orders      each order twice: as it truly stands at the broker, and as our row of it stands
          ── up, down    the line: what we sent and the broker has not, what the broker told and we have not, in order.
                         What one act of the broker tells is heard in one breath, unless the adversary parts it
          ── late        one message that overtook nothing: it is delivered at some later time
          ── account     what is truly held, what the position reports do not show yet, what others' deals changed
          ── books       what our rows say of the account: claims, others', a difference that is in doubt
          ── left        how many more acts of the adversary this way through the graph may have

All of it is tuples of numbers and words: a state is its own key. Shares are whole numbers here, `Decimal` for the
rules.
The shares that an order has dealt are numbered, and our row knows a set of them (bits): a deal that is told twice is
known once, one that is lost leaves a hole.
"""

from typing import NamedTuple

from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg

SIZE = 3  # shares of the bracket
PROTECTS_MAX = 2  # Beyond that a person is asked; the product counts repairs a minute.
CLOSES_MAX = 2

# Where an order truly is.
UNSENT, ASLEEP, LIVE, OVER = "unsent", "asleep", "live", "over"


class Order(NamedTuple):
    """One order: the truth at the broker first, then our row."""

    leg: Leg
    at: str = UNSENT
    size: int = SIZE
    done: int = 0  # shares that it has filled
    linked: bool = False  # in the group of the bracket's exits
    is_market: bool = False  # a target that was made a market order
    # Our row of it.
    status: OrderStatus = OrderStatus.CREATED
    quantity: int = SIZE
    deals: int = 0  # a bit for each share whose deal is known
    told: int = 0  # shares that a status message said are filled
    waits: bool = False
    proved: bool = False  # its refusal
    suspected: bool = False  # its refusal
    grouped: bool = False  # the group was echoed
    as_market: bool = False  # so was the change of its type
    asked: str = ""  # what we sent of it and is not settled: "C" a cancel, "M" a change

    @property
    def rest(self) -> int:
        """What it may truly still fill."""
        return max(self.size - self.done, 0)

    @property
    def filled(self) -> int:
        """What our row says that it has filled."""
        return self.deals.bit_count()

    @property
    def is_over(self) -> bool:
        """Whether our row says that it is finished."""
        return self.status in TERMINAL

    @property
    def is_exit(self) -> bool:
        """Whether it closes."""
        return self.leg is not Leg.ENTRY


class Doubt(NamedTuple):
    """What a comparison with the account left open."""

    difference: int
    is_old: bool = False  # noted longer ago than a report lags
    is_left: bool = False  # judged, and a person was asked


class World(NamedTuple):
    """Everything, at one moment."""

    orders: tuple[Order, ...]
    up: tuple[tuple, ...] = ()
    down: tuple[tuple, ...] = ()
    late: tuple[tuple, ...] = ()
    fresh: tuple[tuple, ...] = ()  # what the broker's act that is going on has told so far
    # The account, in truth.
    account: int = 0
    unreported: tuple[int, ...] = ()  # the newest changes, which position reports do not show yet
    untold: tuple[int, ...] = ()  # others' deals that we have not heard of
    theirs: int = 0  # what others held at first, and all their deals
    sold: int = 0  # by others, in all
    gone: int = 0  # of the bracket's shares, closed by others
    is_split: bool = False
    oca_due: int = 0  # shares that were filled in a group, and its other member is not cut by them yet
    never_wakes: bool = False
    # Our books.
    elsewhere: int = 0
    others: int = 0
    recent: tuple[int, ...] = ()  # our deals that were heard a moment ago
    foreign: tuple[tuple[int, bool], ...] = ()  # others' deals that were heard and not judged; whether a moment ago
    doubt: Doubt | None = None
    is_cancelling: bool = False
    keep: int | None = None  # to how many shares it is being closed
    acted: bool = False  # The guard did something and waits for the answers.
    answered: bool = False  # Everything was answered since the entry ended.
    flags: frozenset[str] = frozenset()
    # What may still happen.
    left: int = 0  # acts of people and of the adversary
    persons: frozenset[str] = frozenset()  # what people asked for already
    fault: str = ""  # An invariant that was broken on the way here.

    @property
    def entry(self) -> Order:
        """The entry."""
        return self.orders[0]

    @property
    def claim(self) -> int:
        """What our rows say is open."""
        open_now = self.orders[0].deals.bit_count() - self.elsewhere
        for order in self.orders[1:]:
            open_now -= order.deals.bit_count()
        return open_now

    @property
    def true_claim(self) -> int:
        """What is truly open of the bracket."""
        return self.orders[0].done - sum(order.done for order in self.orders[1:]) - self.gone

    @property
    def may_be_closed(self) -> int:
        """How many shares the bracket's exits may close. A split counts them anew: what the account holds, then."""
        return max(self.account if self.is_split else 0, self.true_claim, 0)


def with_order(world: World, index: int, **changes: object) -> World:
    """Return the world with one order changed."""
    orders = world.orders
    changed = orders[index]._replace(**changes)  # type: ignore[arg-type]
    return world._replace(orders=(*orders[:index], changed, *orders[index + 1 :]))


def flag(world: World, code: str) -> World:
    """Return the world with a person asked to look."""
    return world if code in world.flags else world._replace(flags=world.flags | {code})
