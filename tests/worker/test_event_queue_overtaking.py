"""Who overtakes in a backlog: each way to lose an order, with what waits of its execution, and nothing else."""

import threading
from dataclasses import replace

import pytest

from app.domain.broker_events import AnyBrokerEvent, MessageMeaning, OrderMessageTold
from app.worker.event_queue import next_batch
from app.worker.event_recorder import EventRecorder
from tests.worker.test_event_queue import T, code, deal, order_of_others, state


def refusal(execution: str) -> OrderMessageTold:
    return replace(code(execution, number=1), code=201, text="Order rejected", meaning=MessageMeaning.REFUSAL)


@pytest.mark.parametrize(
    "gone",
    [state("c", T.CANCELLED, number=1), state("c", T.API_CANCELLED), state("c", T.INACTIVE), refusal("c")],
    ids=["cancelled", "cancelled by a client", "inactive", "refused"],
)
def test_each_way_to_lose_an_order_overtakes(gone: AnyBrokerEvent) -> None:
    held = state("c", T.PRE_SUBMITTED)
    backlog = [*(state("a", T.SUBMITTED, number=number) for number in range(9)), held, gone]
    assert next_batch(backlog, length_max=4) == ([held, gone], backlog[:9])


def test_lost_orders_of_several_executions_overtake_together() -> None:
    gone = [state("c", T.CANCELLED), state("d", T.CANCELLED)]
    backlog = [*(state("a", T.SUBMITTED, number=number) for number in range(9)), *gone]
    assert next_batch(backlog, length_max=4) == (gone, backlog[:9])


@pytest.mark.parametrize("event", [state("c", T.FILLED), deal("c"), code("c")], ids=["filled", "a deal", "a code"])
def test_what_loses_no_order_overtakes_nothing(event: AnyBrokerEvent) -> None:
    backlog = [*(state("a", T.SUBMITTED, number=number) for number in range(9)), state("c", T.SUBMITTED), event]
    assert next_batch(backlog, length_max=4) == (backlog[:4], backlog[4:])


def test_a_drain_waits_for_what_is_not_ours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = EventRecorder(on_changed=lambda _execution, _event: None)
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)

    def record_slowly(_recorder: EventRecorder, _events: object) -> None:
        began.release()
        assert go_on.acquire(timeout=10)

    # Given something of ours and something of others, and somebody who waits until both are recorded
    monkeypatch.setattr(EventRecorder, "_record_all", record_slowly)
    recorder.put(state("a", T.SUBMITTED))
    recorder.put(order_of_others(1))
    drained = threading.Event()
    recorder._queue.put(drained)
    recorder.start()
    assert began.acquire(timeout=10)
    # When ours is recorded and theirs is in hand, then it is not over yet
    go_on.release()
    assert began.acquire(timeout=10)
    assert not drained.is_set()
    go_on.release()
    assert drained.wait(10)
    recorder.stop(seconds_max=10)
