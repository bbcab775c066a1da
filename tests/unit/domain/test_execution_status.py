"""An execution's status from its orders: fills decide, and what is unknown is never called finished."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.execution_status import FINISHED, ExecutionStatus, OrderFacts, execution_outcome
from app.domain.order_status import TERMINAL, UNANSWERED, OrderStatus
from app.domain.terms import Leg

S = OrderStatus
X = ExecutionStatus


def order(leg: Leg, status: OrderStatus, filled: int = 0) -> OrderFacts:
    return OrderFacts(leg=leg, status=status, filled_quantity=Decimal(filled))


def bracket(entry: OrderStatus, stop: OrderStatus, *, entered: int = 0, stopped: int = 0) -> list[OrderFacts]:
    return [order(Leg.ENTRY, entry, entered), order(Leg.STOP_LOSS, stop, stopped)]


@pytest.mark.parametrize(
    ("orders", "claimed", "expected"),
    [
        # Before the broker has answered.
        ([], False, X.REQUESTED),
        ([], True, X.SUBMITTING),
        (bracket(S.CREATED, S.CREATED), False, X.REQUESTED),
        (bracket(S.CREATED, S.CREATED), True, X.SUBMITTING),
        (bracket(S.SENT, S.CREATED), True, X.SUBMITTING),
        (bracket(S.SENT, S.SENT), True, X.SUBMITTING),
        (bracket(S.NOT_PLACED, S.SENT), True, X.SUBMITTING),
        # The broker has answered, nothing is filled.
        (bracket(S.PENDING_SUBMIT, S.SENT), True, X.WORKING),
        (bracket(S.WORKING, S.HELD), True, X.WORKING),
        (bracket(S.PENDING_CANCEL, S.CANCELLED), True, X.WORKING),
        (bracket(S.INACTIVE, S.INACTIVE), True, X.WORKING),
        (bracket(S.REJECTED, S.SENT), True, X.WORKING),
        (bracket(S.CANCELLED, S.HELD), True, X.WORKING),
        # Finished without a share.
        (bracket(S.CANCELLED, S.CANCELLED), True, X.CANCELLED),
        (bracket(S.CANCELLED, S.NOT_PLACED), True, X.CANCELLED),
        (bracket(S.REJECTED, S.CANCELLED), True, X.REJECTED),
        (bracket(S.CANCELLED, S.REJECTED), True, X.REJECTED),
        (bracket(S.NOT_PLACED, S.NOT_PLACED), True, X.NOT_PLACED),
        (bracket(S.NOT_PLACED, S.NOT_PLACED), False, X.NOT_PLACED),
        # Shares are held.
        (bracket(S.WORKING, S.HELD, entered=3), True, X.OPEN),
        (bracket(S.FILLED, S.WORKING, entered=10), True, X.OPEN),
        (bracket(S.CANCELLED, S.WORKING, entered=3), True, X.OPEN),
        (bracket(S.FILLED, S.WORKING, entered=10, stopped=10), True, X.OPEN),
        # All out.
        (bracket(S.FILLED, S.FILLED, entered=10, stopped=10), True, X.CLOSED),
        (bracket(S.CANCELLED, S.FILLED, entered=3, stopped=3), True, X.CLOSED),
    ],
)
def test_the_status_follows_the_orders(*, orders: list[OrderFacts], claimed: bool, expected: ExecutionStatus) -> None:
    assert execution_outcome(orders, claimed=claimed).status is expected


def test_an_order_on_the_wire_outweighs_a_lost_claim() -> None:
    # Given orders that were sent, by an execution whose claim is not recorded
    outcome = execution_outcome(bracket(S.SENT, S.SENT), claimed=False)
    # Then it does not look like one that anybody may submit
    assert outcome.status is X.SUBMITTING


def test_held_shares_without_any_order_are_open_and_never_closed() -> None:
    # The naked position: the entry filled, every exit is gone.
    outcome = execution_outcome(bracket(S.FILLED, S.CANCELLED, entered=10), claimed=True)
    assert (outcome.status, outcome.open_quantity, outcome.exit_reason) == (X.OPEN, Decimal(10), "")


def test_more_exited_than_entered_is_open_with_a_negative_quantity() -> None:
    outcome = execution_outcome(bracket(S.FILLED, S.FILLED, entered=10, stopped=20), claimed=True)
    assert (outcome.status, outcome.open_quantity) == (X.OPEN, Decimal(-10))


def test_an_exit_that_filled_before_its_entry_was_heard_of_is_open() -> None:
    outcome = execution_outcome(bracket(S.SENT, S.FILLED, stopped=10), claimed=True)
    assert (outcome.status, outcome.open_quantity) == (X.OPEN, Decimal(-10))


def test_a_late_fill_reopens_what_was_cancelled() -> None:
    # Given a cancelled execution
    assert execution_outcome(bracket(S.CANCELLED, S.CANCELLED), claimed=True).status is X.CANCELLED
    # When the cancelled entry turns out to have bought three shares
    outcome = execution_outcome(bracket(S.CANCELLED, S.CANCELLED, entered=3), claimed=True)
    # Then the execution is open again
    assert (outcome.status, outcome.open_quantity) == (X.OPEN, Decimal(3))


@pytest.mark.parametrize(
    ("exits", "reason"),
    [
        ([order(Leg.STOP_LOSS, S.FILLED, 10), order(Leg.TAKE_PROFIT, S.CANCELLED)], "STOP_LOSS"),
        ([order(Leg.STOP_LOSS, S.CANCELLED), order(Leg.TAKE_PROFIT, S.FILLED, 10)], "TAKE_PROFIT"),
        ([order(Leg.TAKE_PROFIT, S.FILLED, 5), order(Leg.STOP_LOSS, S.FILLED, 5)], "STOP_LOSS+TAKE_PROFIT"),
        ([order(Leg.STOP_LOSS, S.CANCELLED), order(Leg.CLOSE, S.FILLED, 10)], "CLOSE"),
        ([order(Leg.STOP_LOSS, S.CANCELLED, 4), order(Leg.PROTECT, S.FILLED, 6)], "PROTECT+STOP_LOSS"),
    ],
)
def test_the_exit_reason_names_the_legs_that_closed_it(exits: list[OrderFacts], reason: str) -> None:
    outcome = execution_outcome([order(Leg.ENTRY, S.FILLED, 10), *exits], claimed=True)
    assert (outcome.status, outcome.exit_reason) == (X.CLOSED, reason)


FACTS = st.builds(
    OrderFacts,
    leg=st.sampled_from(Leg),
    status=st.sampled_from(OrderStatus),
    filled_quantity=st.integers(min_value=0, max_value=3).map(Decimal),
)


@given(orders=st.lists(FACTS, max_size=6), claimed=st.booleans())
def test_finished_means_that_no_order_is_left_and_no_share_is_held(*, orders: list[OrderFacts], claimed: bool) -> None:
    outcome = execution_outcome(orders, claimed=claimed)
    if outcome.status in FINISHED:
        assert {fact.status for fact in orders} <= TERMINAL
        assert outcome.open_quantity == 0
    else:
        assert not orders or outcome.open_quantity != 0 or {fact.status for fact in orders} - TERMINAL


@given(orders=st.lists(FACTS, max_size=6), claimed=st.booleans())
def test_open_or_closed_is_the_same_as_a_share_was_filled(*, orders: list[OrderFacts], claimed: bool) -> None:
    outcome = execution_outcome(orders, claimed=claimed)
    assert (outcome.status in {X.OPEN, X.CLOSED}) is any(fact.filled_quantity for fact in orders)
    assert bool(outcome.exit_reason) is (outcome.status is X.CLOSED)


@given(orders=st.lists(FACTS, min_size=1, max_size=6), claimed=st.booleans())
def test_only_untouched_orders_leave_an_execution_free_to_be_taken(*, orders: list[OrderFacts], claimed: bool) -> None:
    outcome = execution_outcome(orders, claimed=claimed)
    if outcome.status is X.REQUESTED:
        assert {fact.status for fact in orders} == {S.CREATED}
    if outcome.status is X.SUBMITTING:
        assert {fact.status for fact in orders} <= UNANSWERED | {S.NOT_PLACED}


@given(st.lists(FACTS, max_size=6).flatmap(lambda facts: st.tuples(st.just(facts), st.permutations(facts))))
def test_the_order_of_the_legs_does_not_matter(both: tuple[list[OrderFacts], list[OrderFacts]]) -> None:
    assert execution_outcome(both[0], claimed=True) == execution_outcome(both[1], claimed=True)
