"""No entry is begun in a maintenance window or after repeated failures; what was requested waits."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import LazySettings

from app.accounts.entry_gate import circuit_of, failure_note
from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_ensure
from app.brokers.errors import NotConnected
from app.core.errors import RetryLater
from app.domain.broker_events import ToldStatus
from app.domain.circuit import COOL_DOWN, FAILURES_MAX, Circuit
from app.domain.maintenance import maintenance_read
from app.executions.models import Execution
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.guard import Watch, guard_look
from app.executions.services.submit import execution_submit
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
Close = Callable[[], None]
ALWAYS = "Mon-Sun 00:00-00:00 UTC"


@pytest.fixture(params=["gateway_maintenance", "circuit_open"])
def closed(request: pytest.FixtureRequest, settings: LazySettings, broker: FakeBroker) -> tuple[str, Close]:
    """A code, and what makes the gate refuse with it."""

    def maintenance() -> None:
        settings.GATEWAY_MAINTENANCE = maintenance_read(ALWAYS)

    def failures() -> None:
        for _ in range(FAILURES_MAX):
            failure_note(connection_id=broker.connection_id, code="connection_refused", now=at(0))

    return request.param, maintenance if request.param == "gateway_maintenance" else failures


def test_a_request_is_refused_and_leaves_no_row(requested: Requested, closed: tuple[str, Close]) -> None:
    code, close = closed
    close()
    with pytest.raises(RetryLater) as refused:
        requested()
    assert refused.value.code == code
    assert not Execution.objects.exists()


def test_what_was_requested_before_waits_untouched(
    requested: Requested, closed: tuple[str, Close], broker: FakeBroker
) -> None:
    code, close = closed
    execution = requested()
    close()
    with pytest.raises(NotConnected) as refused:
        execution_submit(execution_id=execution.pk, broker=broker, now=at(0))
    execution.refresh_from_db()
    assert (refused.value.code, execution.status, broker.sent) == (code, "REQUESTED", [])


def test_protection_and_cancels_go_on(submitted: Submitted, closed: tuple[str, Close], broker: FakeBroker) -> None:
    held, waiting = submitted(), submitted()
    held.hear(told(held.stop, ToldStatus.PRE_SUBMITTED), fill(held.entry, "10"), told(held.stop, ToldStatus.CANCELLED))
    waiting.hear(told(waiting.entry, ToldStatus.SUBMITTED))
    _code, close = closed
    close()

    guard_look(execution_ids=[held.execution_id], broker=broker, watch=Watch(), now=at(30))
    execution_cancel_request(execution_id=waiting.execution_id, reason="requested", now=at(30))
    execution_cancel_send(execution_id=waiting.execution_id, broker=broker, now=at(30))

    assert [ticket.quantity for ticket in broker.singles] == [10]
    assert broker.cancelled == [waiting.entry.order_id]


def test_the_circuit_heals_by_itself(requested: Requested, broker: FakeBroker) -> None:
    execution = requested()
    for _ in range(FAILURES_MAX + 3):
        failure_note(connection_id=broker.connection_id, code="broker_timeout", now=at(0))
    row = BrokerConnection.objects.get(pk=broker.connection_id)
    assert (len(row.failures), circuit_of(row, now=at(0))) == (FAILURES_MAX, Circuit.OPEN)

    execution_submit(execution_id=execution.pk, broker=broker, now=at(0) + COOL_DOWN)

    assert len(broker.sent) == 1
    assert circuit_of(row, now=at(0) + timedelta(hours=1)) is Circuit.CLOSED


def test_another_accounts_failures_close_nothing_here(requested: Requested, broker: FakeBroker) -> None:
    other = connection_ensure(account_id="DU7654321", client_id=1)
    for _ in range(FAILURES_MAX):
        failure_note(connection_id=other.pk, code="connection_refused", now=at(0))
    assert requested().status == "REQUESTED"
    assert Account.objects.count() == 2
    failure_note(connection_id=0, code="no such row", now=at(0))
