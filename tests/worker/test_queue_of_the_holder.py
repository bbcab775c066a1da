"""Which tasks a worker takes: those of the broker queue while it holds the connection, whatever Celery does then."""

from collections.abc import Callable, Sequence

import pytest

from app.executions import dispatch
from app.worker import life


class Consumer:
    """A consumer of the test's own: it calls back when it is told to, in the order it is told."""

    def __init__(self) -> None:
        self.pending: list[Callable[[], None]] = []
        self.consumes: set[str] = set()

    def call_soon(self, callback: Callable[..., None], *arguments: str) -> None:
        self.pending.append(lambda: callback(*arguments))

    def add_task_queue(self, queue: str) -> None:
        self.consumes.add(queue)

    def cancel_task_queue(self, queue: str) -> None:
        self.consumes.discard(queue)

    def run(self, order: Sequence[int]) -> None:
        for index in order:
            self.pending[index]()
        self.pending.clear()


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    made = Consumer()
    monkeypatch.setattr(life._Held, "consumer", made)
    monkeypatch.setattr(life._Held, "is_holder", False)
    return made


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("is_holder", [True, False])
def test_the_last_word_counts_in_whatever_order_celery_calls_back(
    consumer: Consumer, is_holder: bool, order: Sequence[int]
) -> None:
    # Given a connection that was held, lost and held again, or lost, while Celery itself was away
    life._serve_queue(is_holder)
    life._serve_queue(not is_holder)
    life._serve_queue(is_holder)
    # When it calls back, as its set of callbacks has them
    consumer.run(order)
    # Then the queue is consumed where the connection is held, and nowhere else
    assert consumer.consumes == ({dispatch.BROKER_QUEUE} if is_holder else set())
