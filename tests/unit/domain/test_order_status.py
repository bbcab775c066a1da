"""The order life cycle: every (status, event) pair, stated twice and independently of the table's own code.

Once as the literal answers, by event, for a reviewer's eye; once as the rules the answers have to obey, so that a
change of a cell must be argued against the rule it breaks. Random histories then show that the rules hold over time.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.order_status import LIVE, TERMINAL, TRANSITIONS, UNANSWERED, OrderEvent, OrderStatus, transition
from app.domain.order_status import display_status as display

S = OrderStatus
E = OrderEvent

PAIRS = list(itertools.product(OrderStatus, OrderEvent))
CONCLUSIONS = {S.REJECTED, S.NOT_PLACED}
FILLS = {E.PARTLY_FILLED, E.FULLY_FILLED}
TOLD = {
    E.PENDING_SUBMIT_TOLD: S.PENDING_SUBMIT,
    E.HELD_TOLD: S.HELD,
    E.WORKING_TOLD: S.WORKING,
    E.PENDING_CANCEL_TOLD: S.PENDING_CANCEL,
    E.INACTIVE_TOLD: S.INACTIVE,
    E.CANCELLED_TOLD: S.CANCELLED,
}

# How far an order has come. HELD, WORKING, PENDING_CANCEL and INACTIVE are one rank: the broker moves an order between
# them both ways (parked outside hours, a cancel that was refused).
RANK = {S.CREATED: 0, S.SENT: 1, S.PENDING_SUBMIT: 2, S.HELD: 3, S.WORKING: 3, S.PENDING_CANCEL: 3, S.INACTIVE: 3}
RANK |= dict.fromkeys(TERMINAL, 4)

# One row per event: where it moves an order to, and what it does to an order that stood in each status. `→` moves it,
# `stay` and `late` don't; `!` flags.
# fmt: off
STOOD = (S.CREATED, S.SENT, S.PENDING_SUBMIT, S.HELD, S.WORKING, S.PENDING_CANCEL, S.INACTIVE,
         S.FILLED, S.CANCELLED, S.REJECTED, S.NOT_PLACED)
ANSWERS = {
    #                                          CREA SENT PEND HELD WORK PCAN INAC FILL CANC REJ  NOTP
    E.SENT:                (S.SENT,           "→    stay !    !    !    !    !    !    !    !    !   "),
    E.PENDING_SUBMIT_TOLD: (S.PENDING_SUBMIT, "!→   →    stay late late late late late late late !→  "),
    E.HELD_TOLD:           (S.HELD,           "!→   →    →    stay →    →    →    late late !→   !→  "),
    E.WORKING_TOLD:        (S.WORKING,        "!→   →    →    →    stay →    →    late late !→   !→  "),
    E.PENDING_CANCEL_TOLD: (S.PENDING_CANCEL, "!→   →    →    →    →    stay →    late late late !→  "),
    E.INACTIVE_TOLD:       (S.INACTIVE,       "!→   →    →    →    →    →    stay late late stay !→  "),
    E.CANCELLED_TOLD:      (S.CANCELLED,      "!→   →    →    →    →    →    →    !    stay stay stay"),
    E.FILLED_TOLD:         (S.WORKING,        "!→   →    stay stay stay stay stay stay !    !    !   "),
    E.PARTLY_FILLED:       (S.WORKING,        "!→   →    →    →    stay stay →    !    stay !→   !→  "),
    E.FULLY_FILLED:        (S.FILLED,         "!→   →    →    →    →    →    →    stay →    !→   !→  "),
    E.REFUSED:             (S.REJECTED,       "!→   →    →    →    →    →    →    !    →    stay stay"),
    E.PROVED_ABSENT:       (S.NOT_PLACED,     "→    →    !    !    !    !    !    !    stay stay stay"),
}
# fmt: on
ANSWER = {
    (status, event): (target, answer)
    for event, (target, row) in ANSWERS.items()
    for status, answer in zip(STOOD, row.split(), strict=True)
}


def _moves() -> list[tuple[OrderStatus, OrderEvent, OrderStatus]]:
    return [(status, event, transition(status, event).status) for status, event in PAIRS]


@pytest.mark.parametrize(("status", "event"), PAIRS)
def test_every_pair_answers_as_reviewed(status: OrderStatus, event: OrderEvent) -> None:
    # Given the reviewed answer
    target, answer = ANSWER[status, event]

    # When the event is heard of an order in that status
    result = transition(status, event)

    # Then it moves, stays or is ignored, and is flagged, as reviewed
    assert result.status is (target if answer.endswith("→") else status)
    assert result.late is (answer == "late")
    assert result.flag is answer.startswith("!")


def test_the_table_has_an_answer_for_every_pair_and_for_nothing_else() -> None:
    assert set(TRANSITIONS) == set(PAIRS)


@pytest.mark.parametrize(("status", "event"), PAIRS)
def test_hearing_the_same_twice_is_hearing_it_once(status: OrderStatus, event: OrderEvent) -> None:
    # The broker repeats its callbacks (IBKR Campus: "often there are duplicate orderStatus messages").
    once = transition(status, event).status
    assert transition(once, event).status is once


def test_a_late_message_changes_nothing_and_disturbs_nobody() -> None:
    late = [(pair, TRANSITIONS[pair]) for pair in PAIRS if TRANSITIONS[pair].late]
    assert late
    for (status, event), result in late:
        assert (result.status, result.flag) == (status, False), (status, event)


def test_nothing_moves_an_order_out_of_filled() -> None:
    assert {result for status, _, result in _moves() if status is S.FILLED} == {S.FILLED}


def test_only_the_completing_fill_makes_an_order_filled() -> None:
    # Filled quantities come from fills only: a status message alone is a claim.
    assert {event for status, event, result in _moves() if result is S.FILLED and status is not S.FILLED} == {
        E.FULLY_FILLED
    }


@pytest.mark.parametrize("status", OrderStatus)
def test_a_fill_is_never_lost(status: OrderStatus) -> None:
    completed, partly = transition(status, E.FULLY_FILLED), transition(status, E.PARTLY_FILLED)
    assert completed.status is S.FILLED
    assert not completed.late
    assert not partly.late
    # The rest of a partly filled order is at work, being cancelled, or gone; it is never unanswered or refused.
    assert partly.status in {S.WORKING, S.PENDING_CANCEL, S.CANCELLED, S.FILLED}


def test_a_cancelled_order_may_still_fill_without_alarm_and_changes_otherwise_only_by_its_refusal() -> None:
    moves = {event: result for status, event, result in _moves() if status is S.CANCELLED and result is not status}
    # A refusal told after the cancel it caused is still why the order ended.
    assert moves == {E.FULLY_FILLED: S.FILLED, E.REFUSED: S.REJECTED}
    assert not any(transition(S.CANCELLED, fill).flag for fill in FILLS)


def test_an_order_called_finished_is_never_quietly_filled_without_its_fills() -> None:
    # The broker says FILLED, we hold no fill of it: shares may be held that nobody protects.
    for status in TERMINAL - {S.FILLED}:
        assert transition(status, E.FILLED_TOLD).flag, status


def test_the_word_filled_proves_that_an_order_arrived() -> None:
    # Or the order could be sent again, or be called NOT_PLACED, while its fill is on the way.
    for status in UNANSWERED:
        assert transition(status, E.FILLED_TOLD).status in LIVE, status


def test_our_conclusions_are_corrected_loudly_and_only_by_an_order_at_work() -> None:
    corrections = [(status, event, result) for status, event, result in _moves() if status in CONCLUSIONS]
    moved = [(status, event, result) for status, event, result in corrections if status is not result]
    assert moved
    for status, event, result in moved:
        assert transition(status, event).flag, (status, event)
        assert result in LIVE | {S.INACTIVE, S.FILLED}, (status, event)


def test_rejected_means_that_the_broker_refused() -> None:
    assert {event for status, event, result in _moves() if result is S.REJECTED is not status} == {E.REFUSED}


def test_not_placed_means_proved_absent_before_any_news() -> None:
    causes = {(status, event) for status, event, result in _moves() if result is S.NOT_PLACED is not status}
    assert causes == {(S.CREATED, E.PROVED_ABSENT), (S.SENT, E.PROVED_ABSENT)}


def test_an_order_the_broker_told_us_of_cannot_be_proved_absent() -> None:
    for status in LIVE | {S.INACTIVE, S.FILLED}:
        result = transition(status, E.PROVED_ABSENT)
        assert (result.status, result.flag) == (status, True), status


def test_an_order_is_sent_once() -> None:
    # SENT is our own doing, before the first byte: after any news it means a second order under one name.
    for status in set(OrderStatus) - UNANSWERED:
        result = transition(status, E.SENT)
        assert (result.status, result.flag) == (status, True), status
    assert transition(S.CREATED, E.SENT).status is S.SENT
    assert not transition(S.SENT, E.SENT).flag


def test_news_of_an_order_that_was_never_sent_is_flagged() -> None:
    for event in set(OrderEvent) - {E.SENT, E.PROVED_ABSENT}:
        assert transition(S.CREATED, event).flag, event


@pytest.mark.parametrize("status", sorted({S.SENT, S.INACTIVE} | LIVE))
@pytest.mark.parametrize("event", list(TOLD))
def test_the_brokers_word_about_an_order_at_work_is_believed(status: OrderStatus, event: OrderEvent) -> None:
    result = transition(status, event)
    if event is E.PENDING_SUBMIT_TOLD and status is not S.SENT:
        assert result.status is status
    else:
        assert result.status is TOLD[event]
    assert not result.flag


def test_no_order_goes_backwards_without_a_flag() -> None:
    for status, event, result in _moves():
        if RANK[result] < RANK[status]:
            assert transition(status, event).flag, (status, event)


def test_nothing_returns_to_created_and_only_created_becomes_sent() -> None:
    assert [event for status, event, result in _moves() if result is S.CREATED is not status] == []
    assert [status for status, _, result in _moves() if result is S.SENT is not status] == [S.CREATED]


def test_the_named_sets_divide_the_statuses() -> None:
    # INACTIVE is in none: it is neither at work, nor finished, nor unheard of.
    assert set(OrderStatus) == LIVE | TERMINAL | UNANSWERED | {S.INACTIVE}
    assert len(OrderStatus) == len(LIVE) + len(TERMINAL) + len(UNANSWERED) + 1


# --- histories --------------------------------------------------------------------------------------------------------

HISTORIES = st.lists(st.sampled_from(OrderEvent), max_size=12)


def _lived(history: list[OrderEvent]) -> list[OrderStatus]:
    """Return where an order stood before the first event and after each."""
    stood = [S.CREATED]
    for event in history:
        stood.append(transition(stood[-1], event).status)
    return stood


@given(HISTORIES)
def test_a_filled_order_stays_filled_whatever_follows(history: list[OrderEvent]) -> None:
    stood = _lived(history)
    if E.FULLY_FILLED in history:
        assert set(stood[history.index(E.FULLY_FILLED) + 1 :]) == {S.FILLED}
    else:
        assert S.FILLED not in stood


@given(HISTORIES)
def test_a_conclusion_always_has_its_evidence(history: list[OrderEvent]) -> None:
    stood = _lived(history)
    if S.REJECTED in stood:
        assert E.REFUSED in history[: stood.index(S.REJECTED)]
    if S.CANCELLED in stood:
        assert E.CANCELLED_TOLD in history[: stood.index(S.CANCELLED)]
    if S.NOT_PLACED in stood:
        before = history[: stood.index(S.NOT_PLACED)]
        assert before[-1] is E.PROVED_ABSENT
        assert set(before) <= {E.SENT, E.PROVED_ABSENT}, "something was heard of it"


@given(HISTORIES)
def test_an_order_that_was_heard_of_is_never_unanswered_again(history: list[OrderEvent]) -> None:
    heard = [event not in {E.SENT, E.PROVED_ABSENT} for event in history]
    if True in heard:
        assert not set(_lived(history)[heard.index(True) + 1 :]) & UNANSWERED


@given(HISTORIES)
def test_what_was_called_finished_without_being_filled_never_lives_again_unflagged(history: list[OrderEvent]) -> None:
    stood = _lived(history)
    for before, event, after in zip(stood, history, stood[1:], strict=False):
        if before in TERMINAL and after not in TERMINAL:
            assert transition(before, event).flag, (before, event)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "filled_any", "shown"),
    [
        (S.HELD, False, "ACCEPTED"),
        (S.HELD, True, "PARTIALLY_FILLED"),
        (S.WORKING, False, "SUBMITTED"),
        (S.WORKING, True, "PARTIALLY_FILLED"),
        (S.PENDING_CANCEL, True, "PENDING_CANCEL"),
        (S.CANCELLED, True, "CANCELLED"),
        (S.FILLED, True, "FILLED"),
    ],
)
def test_the_shown_status(status: OrderStatus, *, filled_any: bool, shown: str) -> None:
    assert display(status, filled_any=filled_any) == shown


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {S.HELD, S.WORKING}))
def test_every_other_status_is_shown_as_it_is(status: OrderStatus) -> None:
    assert display(status, filled_any=False) == status.value
