"""What waits to be recorded: lost orders first, and an execution's events in their order, whatever waits."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.broker_events import (
    AnyBrokerEvent,
    CommissionTold,
    FillTold,
    MessageMeaning,
    OrderMessageTold,
    OrderTold,
    ToldStatus,
)
from app.domain.order_ref import EXECUTION_KEY_LENGTH, OrderRef
from app.domain.terms import Action, Leg
from app.worker import event_queue, event_recorder
from app.worker.event_queue import Others, next_batch
from app.worker.event_recorder import BATCH_MAX, BUSY_EVENTS, OTHERS_BATCH_MAX, OURS_IN_A_ROW_MAX, EventRecorder
from tests.eventually import eventually

NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)
T = ToldStatus
# Named by the execution that they are about; the order ids follow from it.
EXECUTIONS = "abcd"


def ref(execution: str) -> str:
    return str(OrderRef(execution_key=execution * EXECUTION_KEY_LENGTH, tranche=1, leg=Leg.STOP_LOSS))


def state(execution: str, status: ToldStatus, *, number: int = 0, named: bool = True) -> OrderTold:
    return OrderTold(
        dedupe_key=f"status:{execution}:{number}",
        account="DU1",
        received_at=NOW,
        order_id=ord(execution),
        client_id=1,
        perm_id=0,
        order_ref=ref(execution) if named else "",
        status=status,
        raw_status=status.value,
        filled=Decimal(0),
        remaining=Decimal(1),
        average_price=Decimal(0),
    )


def deal(execution: str, *, number: int = 0) -> FillTold:
    return FillTold(
        dedupe_key=f"fill:{execution}:{number}",
        account="DU1",
        received_at=NOW,
        exec_id=f"{execution}{number}",
        order_id=ord(execution),
        client_id=1,
        perm_id=0,
        order_ref=ref(execution),
        symbol="AAPL",
        action=Action.SELL,
        quantity=Decimal(1),
        price=Decimal(1),
        executed_at=NOW,
    )


def cost(execution: str, *, number: int = 0) -> CommissionTold:
    return CommissionTold(
        dedupe_key=f"cost:{execution}:{number}",
        account="",
        received_at=NOW,
        exec_id=f"{execution}{number}",
        amount=Decimal(1),
        currency="USD",
        realized_pnl=None,
    )


def code(execution: str, *, number: int = 0) -> OrderMessageTold:
    return OrderMessageTold(
        dedupe_key=f"message:{execution}:{number}",
        account="DU1",
        received_at=NOW,
        order_id=ord(execution),
        client_id=1,
        code=202,
        text="Order Canceled",
        meaning=MessageMeaning.INFORMATION,
    )


def batches(waiting: list[AnyBrokerEvent], *, length_max: int) -> list[list[AnyBrokerEvent]]:
    found = []
    while waiting:
        batch, waiting = next_batch(waiting, length_max=length_max)
        assert 0 < len(batch) <= length_max
        found.append(batch)
    return found


def test_a_lost_order_overtakes_a_backlog_with_what_waits_of_its_execution() -> None:
    # Given a backlog, and in it a stop that was cancelled
    held, gone = state("c", T.PRE_SUBMITTED), state("c", T.CANCELLED, number=1)
    backlog = [*(state("a", T.SUBMITTED, number=number) for number in range(9)), held, cost("b"), code("c"), gone]
    # When the next batch is taken
    batch, rest = next_batch([*backlog, deal("c")], length_max=4)
    # Then it is all that was told of that execution until then, and the rest waits on in its order
    assert batch == [held, code("c"), gone]
    assert rest == [*backlog[:9], cost("b"), deal("c")]


def test_without_a_lost_order_what_came_first_is_first() -> None:
    waiting: list[AnyBrokerEvent] = [state("a", T.SUBMITTED, number=number) for number in range(9)]
    assert next_batch(waiting, length_max=4) == (waiting[:4], waiting[4:])


def test_nothing_overtakes_what_may_be_about_anything() -> None:
    # Given an order's state that does not say its name, before the news of a lost order
    unnamed = state("c", T.SUBMITTED, named=False)
    waiting = [*(state("a", T.SUBMITTED, number=number) for number in range(5)), unnamed, state("c", T.CANCELLED)]
    assert next_batch(waiting, length_max=4) == (waiting[:4], waiting[4:])


EVENTS = st.lists(
    st.one_of(
        st.builds(state, st.sampled_from(EXECUTIONS), st.sampled_from(list(T)), number=st.integers()),
        st.builds(state, st.sampled_from(EXECUTIONS), st.just(T.CANCELLED), number=st.integers()),
        st.builds(state, st.sampled_from(EXECUTIONS), st.just(T.FILLED), number=st.integers(), named=st.just(False)),
        st.builds(deal, st.sampled_from(EXECUTIONS), number=st.integers()),
        st.builds(code, st.sampled_from(EXECUTIONS), number=st.integers()),
        st.builds(cost, st.sampled_from(EXECUTIONS), number=st.integers()),
    ),
    max_size=40,
)


@given(EVENTS, st.integers(1, 12))
def test_every_execution_keeps_its_order_and_nothing_is_lost(waiting: list[AnyBrokerEvent], length_max: int) -> None:
    recorded = [event for batch in batches(waiting, length_max=length_max) for event in batch]
    assert sorted(map(id, recorded)) == sorted(map(id, waiting))
    for execution in EXECUTIONS:
        mine = [event for event in waiting if getattr(event, "order_id", 0) == ord(execution)]
        assert [event for event in recorded if getattr(event, "order_id", 0) == ord(execution)] == mine


def test_a_lost_order_overtakes_before_and_behind_a_drain() -> None:
    # Given a recorder with a backlog of many batches, and somebody who waits until it is recorded
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    recorded: list[str] = []
    recorder._record_all = lambda events: recorded.extend(event.dedupe_key for event in events)  # type: ignore[method-assign]
    backlog = [state("a", T.SUBMITTED, number=number) for number in range(BATCH_MAX * 3)]
    for event in backlog:
        recorder.put(event)
    drained = threading.Event()
    recorder._queue.put(drained)
    gone = state("c", T.CANCELLED)
    recorder.put(gone)
    recorder.start()
    # Then what comes behind them goes first all the same
    assert drained.wait(10)
    recorder.stop(seconds_max=10)
    assert recorded[0] == gone.dedupe_key
    assert recorded[1:] == [event.dedupe_key for event in backlog]


def test_news_is_gathered_where_it_comes_thick_and_fast_but_not_that_of_a_lost_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_recorder, "BATCH_EVERY_SECONDS", 3600.0)
    monkeypatch.setattr(event_recorder, "BUSY_EVENTS", 2)
    monkeypatch.setattr(event_recorder, "BUSY_SECONDS", 3600.0)
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    batches: list[list[str]] = []
    recorder._record_all = lambda events: batches.append([event.dedupe_key for event in events])  # type: ignore[method-assign]
    # Given a recorder that has nothing to do
    recorder.start()
    first, *then = (state("a", T.SUBMITTED, number=number) for number in range(3))
    # When news comes, then it is recorded at once
    recorder.put(first)
    eventually(lambda: batches == [[first.dedupe_key]])
    # And what follows within a moment waits for more
    for event in then:
        recorder.put(event)
    eventually(lambda: recorder._waiting == then)
    assert len(batches) == 1
    # Until an order is lost
    gone = state("c", T.CANCELLED)
    recorder.put(gone)
    eventually(lambda: batches[1:] == [[event.dedupe_key for event in [*then, gone]]])
    # Or somebody waits for it, or the end comes
    recorder.put(first)
    assert recorder.drain(seconds_max=10)
    recorder.put(first)
    recorder.stop(seconds_max=10)
    assert batches[2:] == [[first.dedupe_key]] * 2


def test_news_of_a_few_brackets_is_recorded_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_recorder, "BATCH_EVERY_SECONDS", 3600.0)
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    recorded: list[str] = []
    recorder._record_all = lambda events: recorded.extend(event.dedupe_key for event in events)  # type: ignore[method-assign]
    recorder.start()
    for number in range(BUSY_EVENTS - 1):
        recorder.put(state("a", T.SUBMITTED, number=number))
        eventually(lambda expected=number + 1: len(recorded) == expected)
    recorder.stop(seconds_max=10)


def test_a_drain_is_over_where_the_recorder_ends() -> None:
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    drained = threading.Event()
    recorder._queue.put(drained)
    recorder._queue.put(event_recorder._END)
    recorder.start()
    assert drained.wait(10)


def test_who_waits_until_it_keeps_up_waits_while_more_than_a_batch_does() -> None:
    # Given a recorder that stands in its first batch, and more than another behind it
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)

    def record_slowly(_events: object) -> None:
        began.release()
        assert go_on.acquire(timeout=10)

    recorder._record_all = record_slowly  # type: ignore[method-assign]
    for number in range(2 * BATCH_MAX + 1):
        recorder.put(state("a", T.SUBMITTED, number=number))
    recorder.start()
    assert began.acquire(timeout=10)
    passed = threading.Event()
    waiter = threading.Thread(target=lambda: (recorder.wait_until_it_keeps_up(seconds_max=60), passed.set()))
    waiter.start()
    # When the second batch is in hand, one more waits still; with the third in hand, none does
    go_on.release()
    assert began.acquire(timeout=10)
    assert not passed.is_set()
    go_on.release()
    assert passed.wait(10)
    go_on.release()
    waiter.join()
    recorder.stop(seconds_max=10)


def test_a_drain_of_nothing_is_over_at_once() -> None:
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    recorder.start()
    assert recorder.drain(seconds_max=10)
    recorder.stop(seconds_max=10)


# A day of what is not ours, as it is told after a connect


def order_of_others(number: int, *, status: ToldStatus = T.SUBMITTED, source: str = "open_order") -> OrderTold:
    named = replace(state("z", status, number=number), order_ref="", source=source, order_type="")
    return replace(named, dedupe_key=f"status:others:{number}:{status}", client_id=0, order_id=0, perm_id=9000 + number)


def deal_of_others(number: int) -> FillTold:
    return replace(deal("z", number=number), order_ref="somebody's", client_id=0, order_id=0)


@pytest.mark.case("T33")
@pytest.mark.parametrize(
    ("event", "theirs"),
    [
        (order_of_others(1), True),
        (order_of_others(1, source="completed_order", status=T.CANCELLED), True),
        (replace(order_of_others(1, source="status"), order_type="LIMIT"), True),
        (replace(order_of_others(1, source="status"), order_ref="somebody's"), True),
        # What was heard of it so far does not say whose it is.
        (order_of_others(1, source="status"), False),
        (state("a", T.SUBMITTED), False),
        (deal_of_others(1), True),
        (deal("a"), False),
        (cost("a"), False),
        (code("a"), False),
    ],
)
def test_what_is_certainly_not_ours(event: AnyBrokerEvent, theirs: bool) -> None:
    assert Others().take(event) == theirs


@pytest.mark.case("T33")
def test_a_cost_is_whose_its_deal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_queue, "DEALS_KEPT_MAX", 2)
    others = Others()
    told = [deal_of_others(1), deal("a", number=1), deal_of_others(2), deal_of_others(3)]
    assert [others.take(event) for event in told] == [True, False, True, True]
    # Each deal's cost is told once, and so many deals are remembered
    assert [others.take(cost("z", number=number)) for number in (3, 3, 2, 1)] == [True, False, True, False]
    assert not others.take(cost("a", number=1))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What a recorder recorded, batch by batch."""
    batches: list[list[str]] = []
    monkeypatch.setattr(
        EventRecorder, "_record_all", lambda _self, events: batches.append([event.dedupe_key for event in events])
    )
    return batches


@pytest.mark.case("T33")
def test_what_may_be_ours_overtakes_a_day_of_others(recorded: list[list[str]]) -> None:
    # Given a day of others in the queue, and behind it what is told of ours, with and without a name
    day = [
        told
        for number in range(OTHERS_BATCH_MAX)
        for told in (deal_of_others(number), order_of_others(number, status=T.CANCELLED), cost("z", number=number))
    ]
    ours = [state("b", T.SUBMITTED, named=False), code("c"), state("c", T.CANCELLED)]
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    for event in [*day, *ours]:
        recorder.put(event)
    recorder.start()
    # When all is recorded, then ours came first, and the day of others in its order and in large batches
    recorder.stop(seconds_max=10)
    assert recorded[0] == [event.dedupe_key for event in ours]
    assert [len(batch) for batch in recorded[1:]] == [OTHERS_BATCH_MAX] * 3
    assert list(chain(*recorded[1:])) == [event.dedupe_key for event in day]


@pytest.mark.case("T33")
def test_others_have_their_turn_in_a_burst_of_ours(recorded: list[list[str]]) -> None:
    of_others = order_of_others(1)
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    for number in range((OURS_IN_A_ROW_MAX + 2) * BATCH_MAX):
        recorder.put(state("a", T.SUBMITTED, number=number))
    recorder.put(of_others)
    recorder.start()
    recorder.stop(seconds_max=10)
    assert recorded[OURS_IN_A_ROW_MAX] == [of_others.dedupe_key]
    assert [len(batch) for batch in recorded] == [BATCH_MAX] * OURS_IN_A_ROW_MAX + [1] + [BATCH_MAX] * 2


@pytest.mark.case("T33")
def test_entries_do_not_wait_until_others_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)

    def record_slowly(_recorder: EventRecorder, _events: object) -> None:
        began.release()
        assert go_on.acquire(timeout=10)

    # Given a recorder in the first of several batches of others
    monkeypatch.setattr(EventRecorder, "_record_all", record_slowly)
    for number in range(2 * OTHERS_BATCH_MAX + 1):
        recorder.put(order_of_others(number))
    recorder.start()
    assert began.acquire(timeout=10)
    # Then who waits until it keeps up with ours waits for nothing
    assert recorder._keeps_up.is_set()
    assert recorder.waiting()[0] == 2 * OTHERS_BATCH_MAX + 1
    go_on.release(3)
    recorder.stop(seconds_max=10)
