"""The circuit breaker on the real processes: after repeated failures one entry goes out, and the others wait for it."""

import json
from datetime import timedelta

import pytest

from app.core import clock
from app.domain.circuit import COOL_DOWN, FAILURES_MAX
from tests.eventually import eventually
from tests.worker.desk import WORKER, Desk

pytestmark = pytest.mark.slow


def test_while_the_circuit_is_half_open_one_entry_is_sent_and_the_others_wait_for_its_answer(desk: Desk) -> None:
    # Given a broker that failed until a moment ago, and answers nothing yet
    failed_at = clock.now() - COOL_DOWN - timedelta(seconds=1)
    failures = [{"at": failed_at.isoformat(), "code": "broker_timeout"}] * FAILURES_MAX
    desk.stack.execute("UPDATE accounts_brokerconnection SET failures = %s", json.dumps(failures))
    # What other tests had sent was sent before that.
    desk.stack.execute("UPDATE executions_execution SET claimed_at = claimed_at - interval '1 hour'")
    desk.broker.control.hold_answers(client_id=1)
    # When several are requested
    requested = [desk.request() for _ in range(3)]
    # Then one is on the wire, whichever was claimed first
    eventually(lambda: sum(len(desk.placed(execution_id)) for execution_id in requested) == 2)
    (tried,) = [execution_id for execution_id in requested if desk.placed(execution_id)]
    waiting = [execution_id for execution_id in requested if execution_id != tried]
    for execution_id in waiting:
        refusal = f"submit_waits execution={execution_id} reason=circuit_open"
        eventually(lambda refusal=refusal: refusal in desk.stack.log(WORKER))
        assert desk.read(execution_id)["status"] == "REQUESTED"
        assert desk.placed(execution_id) == []
    # And the others follow once the broker has answered
    desk.broker.control.release_answers()
    for execution_id in (tried, *waiting):
        desk.becomes(execution_id, "OPEN")
        assert [order["order_type"] for order in desk.placed(execution_id)] == ["MKT", "STP"]
    assert desk.connection("failures") == []
