"""A Redis that hangs or refuses, on the real processes: what protects does not wait for it, and no worker ends."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.eventually import eventually
from tests.worker.desk import SETUP, WORKER, Desk
from tests.worker.test_operations_stack import kill_switch

pytestmark = [pytest.mark.slow, pytest.mark.case("T31")]

WORKERS = (WORKER, "data-worker", "worker", "beat")
# Of each kind: how Valkey is made to refuse, how that ends, and what it says meanwhile.
REFUSALS = {
    "READONLY": ("REPLICAOF 127.0.0.1 9", "REPLICAOF NO ONE", "read only replica"),
    "OOM": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"),
    "NOREPLICAS": (
        "CONFIG SET min-replicas-to-write 3",
        "CONFIG SET min-replicas-to-write 0",
        "Not enough good replicas",
    ),
}


@contextmanager
def hanging(desk: Desk) -> Iterator[None]:
    """Valkey takes connections and answers nothing, until the block ends."""
    pid = desk.stack.up["pids"]["valkey"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def refusing(desk: Desk, kind: str) -> Iterator[str]:
    """Valkey answers, and refuses to change anything, until the block ends; yields its words."""
    begin, end, words = REFUSALS[kind]
    with redis.Redis.from_url(desk.stack.up["redis_url"]) as client:
        client.execute_command(*begin.split())
        try:
            with pytest.raises(redis.RedisError, match=words):
                client.lpush("of-the-test", "1")
            yield words
        finally:
            client.execute_command(*end.split())


def lose_stop(desk: Desk, execution_id: int) -> None:
    desk.broker.control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"))


def pids(desk: Desk) -> dict[str, int]:
    told = desk.stack.up["pids"]
    return {name: told[name] for name in WORKERS}


def test_what_protects_does_not_wait_for_a_redis_that_hangs(desk: Desk) -> None:
    execution_id, closing = desk.held(), desk.held()
    before = pids(desk)
    with hanging(desk):
        lose_stop(desk, execution_id)
        eventually(lambda: desk.live_stops(execution_id), seconds_max=20)
        # A setup is refused for now, or taken: never an error of ours.
        answer = desk.stack.api.post("/api/v1/setups/", {**SETUP, "symbol": "MSFT"})
        assert answer.status == 201 or (answer.status == 503 and answer.body["code"] != "internal_error"), answer
        # And what a person wants closed is closed, by the broker worker's own sweep.
        assert kill_switch(desk.stack, "engage", "--reason", "out", "--flatten")["engaged"] is True
        eventually(lambda: desk.read(closing)["status"] == "CLOSED", seconds_max=60)
    eventually(lambda: desk.read(execution_id)["status"] == "CLOSED", seconds_max=60)
    kill_switch(desk.stack, "release", "--reason", "back")
    assert pids(desk) == before


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_redis_that_refuses_ends_no_worker(desk: Desk, kind: str) -> None:
    execution_id = desk.held()
    before = pids(desk)
    with refusing(desk, kind) as words:
        eventually(lambda: any(words in desk.stack.log(name) for name in WORKERS), seconds_max=60)
        lose_stop(desk, execution_id)
        eventually(lambda: desk.live_stops(execution_id), seconds_max=20)
    assert desk.held()
    assert pids(desk) == before
