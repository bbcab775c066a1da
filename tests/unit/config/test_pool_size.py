"""A worker's threads do not wait for each other's database connections."""

from app.config.checks import POOL_SIZE_OF_A_BURST
from app.config.variables import VARIABLES
from app.worker import local_tasks
from local_stack.stack import QUEUES

# Write-ahead, the holder's sign of life, recorder, guard, close, reconcile.
WAITED_FOR = 6


def test_the_pool_has_one_for_each_task_and_for_what_the_tasks_wait_for() -> None:
    (_, tasks), (_, others) = QUEUES["broker-worker"], QUEUES["worker"]
    assert max(tasks + local_tasks.THREADS + WAITED_FOR, others) == POOL_SIZE_OF_A_BURST
    (size,) = [one.default for one in VARIABLES if one.name == "DATABASE_POOL_SIZE"]
    assert size is not None
    assert int(size) >= POOL_SIZE_OF_A_BURST
