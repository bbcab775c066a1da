"""No entry is begun in a maintenance window or after repeated failures; what was requested waits."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings

from app.accounts.entry_gate import circuit_of, failure_note
from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_ensure
from app.brokers.errors import NotConnected
from app.core.errors import RetryLater
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.circuit import COOL_DOWN, FAILURES_MAX, Circuit
from app.domain.maintenance import maintenance_read
from app.executions.models import Execution
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.submit import execution_submit
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import absence, at, fill, message, told

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
Close = Callable[[], None]
ALWAYS = "Mon-Sun 00:00-12:00 UTC; Mon-Sun 12:00-00:00 UTC"


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


@pytest.fixture
def half_open(requested: Requested, broker: FakeBroker) -> tuple[Execution, Execution, datetime]:
    """Two requested executions, and the moment at which the circuit has cooled down."""
    first, second = requested(entry_timeout_seconds=600), requested(entry_timeout_seconds=600)
    for _ in range(FAILURES_MAX):
        failure_note(connection_id=broker.connection_id, code="broker_timeout", now=at(0))
    return first, second, at(0) + COOL_DOWN


def test_half_open_lets_one_entry_through_until_it_is_answered(
    half_open: tuple[Execution, Execution, datetime], broker: FakeBroker
) -> None:
    first, second, now = half_open
    execution_submit(execution_id=first.pk, broker=broker, now=now)
    # While the broker has not answered, nothing else is sent
    for _ in range(2):
        with pytest.raises(NotConnected) as refused:
            execution_submit(execution_id=second.pk, broker=broker, now=now)
        assert refused.value.code == "circuit_open"
    second.refresh_from_db()
    assert (second.status, len(broker.sent)) == ("REQUESTED", 1)
    # Once it has, everybody passes
    tried = Book(first.pk)
    tried.hear(told(tried.entry, ToldStatus.SUBMITTED))
    execution_submit(execution_id=second.pk, broker=broker, now=now)
    assert len(broker.sent) == 2
    assert BrokerConnection.objects.get(pk=broker.connection_id).failures == []


def test_half_open_a_refused_try_lets_nothing_through_and_opens_it_again(
    half_open: tuple[Execution, Execution, datetime], broker: FakeBroker
) -> None:
    first, second, now = half_open
    execution_submit(execution_id=first.pk, broker=broker, now=now)
    tried = Book(first.pk)
    tried.hear(*(message(leg, 201, "Order rejected", MessageMeaning.REFUSAL) for leg in (tried.entry, tried.stop)))
    assert tried.execution.status == "REJECTED"
    # Neither before nor after the refusal is noted as a failure
    with pytest.raises(NotConnected, match="One entry tries"):
        execution_submit(execution_id=second.pk, broker=broker, now=now)
    failure_note(connection_id=broker.connection_id, code="refused_201", now=now + timedelta(seconds=1))
    with pytest.raises(NotConnected, match="refused_201"):
        execution_submit(execution_id=second.pk, broker=broker, now=now + timedelta(seconds=2))
    # And after another pause it is the next one's turn
    execution_submit(execution_id=second.pk, broker=broker, now=now + timedelta(seconds=2) + COOL_DOWN)
    assert len(broker.sent) == 2


def test_half_open_a_refusal_that_nobody_noted_as_a_failure_holds_for_a_moment_only(
    half_open: tuple[Execution, Execution, datetime], broker: FakeBroker
) -> None:
    # Given a try that was refused while nobody listened, found in the list of finished orders
    first, second, now = half_open
    execution_submit(execution_id=first.pk, broker=broker, now=now)
    tried = Book(first.pk)
    refused = [told(leg, ToldStatus.INACTIVE, source="completed_order") for leg in (tried.entry, tried.stop)]
    tried.hear(*refused, seconds=40)
    assert tried.execution.status == "REJECTED"
    with pytest.raises(NotConnected, match="One entry tries"):
        execution_submit(execution_id=second.pk, broker=broker, now=at(41))
    execution_submit(execution_id=second.pk, broker=broker, now=at(41) + COOL_DOWN)
    assert len(broker.sent) == 2


def test_half_open_a_try_that_never_arrived_makes_room_for_the_next(
    half_open: tuple[Execution, Execution, datetime], broker: FakeBroker
) -> None:
    first, second, now = half_open
    execution_submit(execution_id=first.pk, broker=broker, now=now)
    tried = Book(first.pk)
    tried.hear(absence(tried.entry), absence(tried.stop))
    execution_submit(execution_id=second.pk, broker=broker, now=now)
    assert len(broker.sent) == 2
    assert len(BrokerConnection.objects.get(pk=broker.connection_id).failures) == FAILURES_MAX


def test_another_accounts_failures_close_nothing_here(requested: Requested, broker: FakeBroker) -> None:
    other = connection_ensure(account_id="DU7654321", client_id=1)
    for _ in range(FAILURES_MAX):
        failure_note(connection_id=other.pk, code="connection_refused", now=at(0))
    assert requested().status == "REQUESTED"
    assert Account.objects.count() == 2
    failure_note(connection_id=0, code="no such row", now=at(0))
