"""Messages to Redis by a thread of their own: nobody waits, the oldest are dropped, one fault keeps no other back."""

import threading

import pytest

from app.executions import dispatch, messenger
from app.executions.messenger import Messenger
from app.worker.local_tasks import LocalTasks
from tests.eventually import eventually

pytestmark = pytest.mark.case("T31")


def test_who_hands_a_message_over_does_not_wait_and_the_oldest_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a Redis that hangs over the first message
    answers, begun, sent = threading.Event(), threading.Event(), list[int]()

    def hang() -> None:
        begun.set()
        answers.wait()

    messages = Messenger("of-the-test")
    messages.hand(hang)
    assert begun.wait(5)
    # When more come than are kept
    for number in range(messenger.LENGTH_MAX + 3):
        messages.hand(lambda number=number: sent.append(number))
    assert (sent, messages.flush(seconds_max=0)) == ([], False)
    # Then the newest leave once it answers, in their order
    answers.set()
    assert messages.flush(seconds_max=10)
    assert sent == list(range(3, messenger.LENGTH_MAX + 3))


def test_a_message_that_fails_keeps_no_other_back() -> None:
    sent: list[str] = []
    messages = Messenger("of-the-test")
    messages.hand(lambda: 1 / 0)
    messages.hand(lambda: sent.append("after"))
    assert messages.flush(seconds_max=10)
    assert sent == ["after"]


def test_the_holders_own_tasks_are_run_in_its_process_each_once_while_it_waits() -> None:
    # Given a process whose one thread is busy
    goes_on, begun, done = threading.Event(), threading.Event(), list[tuple[str, int]]()

    def run(task: str, execution_id: int) -> None:
        begun.set()
        goes_on.wait()
        done.append((task, execution_id))

    tasks = LocalTasks(run, threads=1)
    dispatch.run_here(tasks.take)
    try:
        dispatch.cancel(1)
        assert begun.wait(5)
        # When every sweep asks for the same again
        for _ in range(3):
            dispatch.cancel(2)
            dispatch.flatten(2)
        goes_on.set()
        # Then each is done once
        eventually(lambda: len(done) == 3)
        assert done == [("executions.cancel", 1), ("executions.cancel", 2), ("executions.flatten", 2)]
        # And what is asked for after that, anew
        dispatch.cancel(2)
        eventually(lambda: len(done) == 4)
    finally:
        dispatch.run_here(None)
        tasks.stop()
