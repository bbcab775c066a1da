"""What waits to be recorded: lost orders first, and an execution's events in their order, whatever waits."""

import threading
from datetime import UTC, datetime
from decimal import Decimal

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
from app.worker import event_recorder
from app.worker.event_queue import next_batch, others_first
from app.worker.event_recorder import BATCH_MAX, BUSY_EVENTS, EventRecorder
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


@pytest.mark.case("T33")
def test_what_is_not_ours_is_counted_up_to_what_is_and_to_news_of_a_loss() -> None:
    others = [state("a", T.SUBMITTED, number=number, named=False) for number in range(5)]
    ours, lost = state("b", T.SUBMITTED), state("c", T.CANCELLED, named=False)
    assert others_first(others, length_max=100) == 5
    assert others_first(others, length_max=3) == 3
    assert others_first([*others, ours, *others], length_max=100) == 5
    assert others_first([*others[:2], lost, *others], length_max=100) == 2
    assert others_first([], length_max=100) == 0
