"""A stopped loop leaves no work behind that still writes rows."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from app.worker.loop_thread import LoopThread, in_database_thread


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread("loop of a test")
    thread.start()
    yield thread
    thread.stop(seconds_max=10)


def test_a_stopped_thread_has_ended_its_database_work(loop_thread: LoopThread) -> None:
    # Given database work that goes on after its task was cancelled
    cancelled, stopped, begun = threading.Event(), threading.Event(), threading.Event()
    outlived: list[bool] = []

    def work() -> None:
        begun.set()
        assert cancelled.wait(10)
        outlived.append(stopped.wait(0.5))

    async def task() -> None:
        try:
            await in_database_thread(work)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    loop_thread.submit(task())
    assert begun.wait(10)
    # When the thread is stopped
    loop_thread.stop(seconds_max=10)
    stopped.set()
    # Then the work had ended before the stop returned
    assert outlived == [False]


def test_work_that_hangs_does_not_hold_up_the_stop(loop_thread: LoopThread) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(20)

    loop_thread.submit(in_database_thread(work))
    assert begun.wait(10)

    loop_thread.stop(seconds_max=0.1)

    assert not may_end.is_set()  # It returned while the work still hung.
    may_end.set()
