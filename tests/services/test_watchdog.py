"""Silence is loud, and ends by itself; what needs a person ends with a person."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries, Settings

from app.accounts.models import BrokerConnection
from app.accounts.services import (
    STOPPED_ON_PURPOSE,
    connection_ensure,
    connection_gateway_heard,
    connection_heartbeat,
    connection_state_record,
    worker_sign,
    worker_sign_remove,
)
from app.alerts.delivery import alerts_deliver
from app.alerts.kinds import AlertKind
from app.alerts.models import Alert
from app.alerts.notify import Channel
from app.alerts.selectors import somebody_watches
from app.alerts.services import alert_acknowledge
from app.brokers.base import ConnectionState
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.maintenance import maintenance_read
from app.domain.reasons import FlagCode
from app.executions.models import Execution, ReconcileRun
from app.executions.services.attention import attention_add
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from app.worker.event_recorder import EventRecorder
from app.worker.watchdog import watchdog_look
from tests.eventually import eventually
from tests.services.book import Book
from tests.services.conftest import PAPER, Submitted
from tests.services.heard import at, message, told

pytestmark = pytest.mark.django_db
K, S = AlertKind, ConnectionState


@pytest.fixture(autouse=True)
def _served(settings: Settings) -> None:
    settings.IB_ACCOUNT, settings.IB_CLIENT_ID = PAPER, 1


def be(connection: BrokerConnection, state: ConnectionState, reason: str = "", *, seconds: float = 0) -> None:
    connection_state_record(connection_id=connection.pk, state=state, reason=reason, now=at(seconds))


def alive(connection: BrokerConnection, *, seconds: float, gateway: bool = True, **queue: object) -> None:
    connection_heartbeat(connection_id=connection.pk, now=at(seconds), **queue)  # type: ignore[arg-type]
    if gateway:
        connection_gateway_heard(connection_id=connection.pk, now=at(seconds))


def look(seconds: float) -> set[str]:
    """Look, and return the kinds of the open alerts."""
    watchdog_look(now=at(seconds))
    return set(Alert.objects.filter(resolved_at=None).values_list("kind", flat=True))


def test_while_all_is_well_nothing_is_raised(connection: BrokerConnection) -> None:
    be(connection, S.READY)
    for seconds in (0, 5, 9):
        assert look(seconds) == set()
    assert not Alert.objects.exists()


def test_a_silent_worker_is_told_once_and_ends_when_it_is_back(connection: BrokerConnection) -> None:
    be(connection, S.READY)
    assert look(10) == set()
    assert look(11) == {K.WORKER_SILENT}, "the Gateway's silence is not known while nobody listens"
    assert look(16) == {K.WORKER_SILENT}
    alert = Alert.objects.get()
    assert (alert.subject, alert.account, alert.times) == (f"{PAPER}/1", connection.account, 2)
    assert alert.text.startswith("No sign of the broker worker for 11 s")
    alive(connection, seconds=20)
    assert look(21) == set()
    alert.refresh_from_db()
    assert alert.resolved_at == at(21)


def test_a_worker_that_was_stopped_on_purpose_is_missed_only_while_there_is_work(
    connection: BrokerConnection, requested: Callable[..., Execution]
) -> None:
    be(connection, S.DISCONNECTED, STOPPED_ON_PURPOSE)
    assert look(100) == set()
    requested()
    assert look(5) == set(), "it has just been requested"
    assert look(100) == {K.WORKER_SILENT}
    assert "1 executions are unfinished" in Alert.objects.get().text


def test_a_worker_that_never_came_is_missed_once_there_is_work(
    settings: Settings, requested: Callable[..., Execution]
) -> None:
    settings.IB_CLIENT_ID = 7
    assert look(100) == set()
    requested()
    assert look(100) == {K.WORKER_SILENT}


@pytest.mark.parametrize("state", [S.READY, S.DEGRADED, S.CONNECTING])
def test_a_silent_gateway_is_told_while_the_worker_lives(connection: BrokerConnection, state: ConnectionState) -> None:
    be(connection, S.READY)
    if state is not S.READY:
        be(connection, state, "1100", seconds=5)
    alive(connection, seconds=9, gateway=False)
    assert look(10) == set()
    alive(connection, seconds=14, gateway=False)
    assert look(15) == {K.GATEWAY_SILENT}
    assert state.value in Alert.objects.get().text
    be(connection, S.READY, seconds=20)
    assert look(21) == set()


def test_a_gateway_that_restarts_as_planned_is_told_only_when_it_stays_away(
    connection: BrokerConnection, settings: Settings
) -> None:
    # Given a Gateway that falls silent in a maintenance window of a minute
    begins = at(60).replace(second=0, microsecond=0)
    ends = begins + timedelta(minutes=1)
    settings.GATEWAY_MAINTENANCE = maintenance_read(f"Mon-Sun {begins:%H:%M}-{ends:%H:%M} UTC")
    into = (begins - at(0)).total_seconds()
    be(connection, S.READY, seconds=into)
    be(connection, S.DISCONNECTED, "connection lost", seconds=into + 1)
    alive(connection, seconds=into + 50, gateway=False)
    # Then that is nobody's trouble, until the window is over
    assert look(into + 59) == set()
    alive(connection, seconds=into + 60, gateway=False)
    assert look(into + 60) == {K.GATEWAY_SILENT}
    be(connection, S.READY, seconds=into + 61)
    assert look(into + 62) == set()


def test_what_was_told_before_a_maintenance_window_lasts_through_it(
    connection: BrokerConnection, settings: Settings
) -> None:
    be(connection, S.READY)
    alive(connection, seconds=14, gateway=False)
    assert look(15) == {K.GATEWAY_SILENT}
    settings.GATEWAY_MAINTENANCE = maintenance_read("Mon-Sun 00:00-12:00 UTC; Mon-Sun 12:00-00:00 UTC")
    assert look(16) == {K.GATEWAY_SILENT}
    assert Alert.objects.count() == 1


@pytest.mark.parametrize(("waiting", "age"), [(3, 11), (1001, 1)])
def test_news_that_is_recorded_late_is_told(connection: BrokerConnection, waiting: int, age: int) -> None:
    be(connection, S.READY)
    alive(connection, seconds=5, events_waiting=3, oldest_event_at=at(4))
    assert look(6) == set()
    alive(connection, seconds=12, events_waiting=waiting, oldest_event_at=at(13 - age))
    assert look(13) == {K.QUEUE_LAG}
    alive(connection, seconds=14)
    assert look(15) == set()


def test_a_live_account_is_told_while_it_is_connected(settings: Settings) -> None:
    settings.IB_ACCOUNT = "U1234567"
    connection = connection_ensure(account_id="U1234567", client_id=1)
    be(connection, S.READY)
    assert look(1) == {K.LIVE_CONNECTED}
    be(connection, S.DISCONNECTED, STOPPED_ON_PURPOSE, seconds=2)
    assert look(3) == set()


def test_an_answer_that_was_not_complete_is_told_until_one_is(connection: BrokerConnection) -> None:
    be(connection, S.READY)
    run = ReconcileRun(account=connection.account, client_id=1, started_at=at(0), finished_at=at(0))
    run.error_code, run.error = "incomplete_answer", "no end came"
    run.save()
    assert look(1) == {K.RECONCILE_FAILED}
    ReconcileRun.objects.create(account=connection.account, client_id=1, started_at=at(2))
    assert look(3) == {K.RECONCILE_FAILED}, "the next one has not been answered yet"
    ReconcileRun.objects.update(finished_at=at(4), is_complete=True)
    assert look(5) == set()


def test_the_kill_switch_is_told_from_its_engaging_to_its_release(connection: BrokerConnection) -> None:
    be(connection, S.READY)
    kill_switch_engage(account=None, user=None, reason="news", now=at(1))
    assert Alert.objects.get().kind == K.KILL_SWITCH, "at once, not at the next look"
    assert look(2) == {K.KILL_SWITCH}
    assert Alert.objects.count() == 1
    kill_switch_release(account=None, user=None, reason="over", now=at(3))
    assert look(4) == set()


@pytest.mark.case("T26")
def test_the_reasons_of_one_execution_are_one_alert_that_is_told_once_and_ends_with_a_person(
    connection: BrokerConnection, submitted: Submitted, analyst: User
) -> None:
    # Given two reasons on one execution
    be(connection, S.READY)
    book = submitted()
    book.hear(message(book.stop, 99998, "Odd", MessageMeaning.UNKNOWN))
    assert look(1) == {K.ATTENTION}
    book.hear(message(book.stop, 99999, "Odder", MessageMeaning.UNKNOWN))
    assert look(2) == look(3) == {K.ATTENTION}
    alert = Alert.objects.get()
    assert "2 reasons to look, the newest first\nSTOP_LOSS: unknown code 99999: Odder" in alert.text
    assert alert.text.endswith("STOP_LOSS: unknown code 99998: Odd")
    assert (alert.execution_id, alert.times, alert.raised_at, alert.last_seen_at) == (
        book.execution_id,
        2,
        at(1),
        at(2),
    )
    # When a person has seen it
    alert_acknowledge(alert_id=alert.pk, user=analyst, now=at(4))
    # Then it is over, and not raised again for the same reasons
    assert look(5) == set()
    assert Alert.objects.count() == 1
    # But for another one
    book.hear(message(book.stop, 99997, "Odd too", MessageMeaning.UNKNOWN))
    assert look(6) == {K.ATTENTION}


@pytest.mark.case("T26")
def test_who_was_told_of_an_execution_is_told_again_only_of_what_is_worse(
    connection: BrokerConnection, submitted: Submitted
) -> None:
    # Given an execution with a reason to look, which every channel was told
    be(connection, S.READY)
    book = submitted()
    sent: list[str] = []

    def see_and_deliver(seconds: float) -> None:
        look(seconds)
        alerts_deliver(now=at(seconds), channels=[Channel("json://one.example")], send=taken)

    def taken(_channel: Channel, *, title: str, **_more: object) -> None:
        sent.extend([title] if "silent" not in title else [])  # Of a worker that this test has not.

    def reason(text: str) -> None:
        book.hear(message(book.stop, 99990 + len(text), text, MessageMeaning.UNKNOWN))

    reason("a")
    see_and_deliver(1)
    # When more comes up within minutes, nobody is told anew
    for number, text in enumerate(["bb", "ccc", "dddd"]):
        reason(text)
        see_and_deliver(2 + number)
    assert sent == ["[CRITICAL] An execution needs a person"]
    assert Alert.objects.get(execution=book.execution_id).times == 4
    # When the guard gives up, everybody is, at once
    flag(book, "tranche 1: 10 shares have no stop", code=FlagCode.GUARD_ASKS)
    see_and_deliver(7)
    assert sent[1:] == ["[CRITICAL] Shares could not be protected"]
    # And of more of it once in ten minutes
    reason("eeeee")
    see_and_deliver(8)
    reason("ffffff")
    see_and_deliver(700)
    see_and_deliver(701)
    assert sent[2:] == ["[CRITICAL] Shares could not be protected"]
    assert Alert.objects.filter(execution=book.execution_id).count() == 1


def flag(book: Book, text: str, *, code: FlagCode) -> None:
    execution = book.execution
    attention_add(execution, text, code=code)
    execution.save(update_fields=["attention"])


def test_what_the_guard_left_to_a_person_is_told_as_such(connection: BrokerConnection, submitted: Submitted) -> None:
    be(connection, S.READY)
    book = submitted()
    reason = "tranche 1: 10 shares have no stop; 5 repairs in a minute did not help"
    flag(book, reason, code=FlagCode.GUARD_ASKS)
    assert look(2) == {K.GUARD_GAVE_UP}
    assert reason in Alert.objects.get().text


def test_what_was_finished_long_ago_is_not_told_anew(connection: BrokerConnection, submitted: Submitted) -> None:
    be(connection, S.READY)
    flag(submitted(), "odd", code=FlagCode.UNEXPECTED)
    Execution.objects.update(status="CANCELLED", finished_at=at(0) - timedelta(days=2))
    assert look(1) == set()


def test_each_look_leaves_a_sign_of_life() -> None:
    assert not somebody_watches(now=at(0))
    look(0)
    assert somebody_watches(now=at(15))
    assert not somebody_watches(now=at(16))


def test_looking_takes_as_many_queries_for_many_flagged_executions_as_for_one(
    connection: BrokerConnection, submitted: Submitted, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    be(connection, S.READY)
    for _ in range(3):
        book: Book = submitted()
        book.hear(message(book.stop, 99999, "Odd", MessageMeaning.UNKNOWN))
    look(1)
    with django_assert_max_num_queries(23):
        watchdog_look(now=at(2))


@pytest.mark.django_db(transaction=True)
def test_the_recorder_says_what_waits_and_since_when(submitted: Submitted) -> None:
    # Given two events that are recorded together
    book = submitted()
    seen: list[tuple[int, datetime | None]] = []
    recorder = EventRecorder(on_changed=lambda _id, _event: seen.append(recorder.waiting()))
    assert recorder.waiting() == (0, None)
    states = (ToldStatus.PRE_SUBMITTED, ToldStatus.SUBMITTED)
    events = [told(book.entry, status, received_at=at(second)) for second, status in enumerate(states, start=1)]
    for event in events:
        recorder.put(event)
    recorder.start()
    eventually(lambda: len(seen) == 2)
    recorder.stop(seconds_max=5)
    # Then both wait until they are, since the first of them came
    assert seen == [(2, at(1)), (2, at(1))]
    assert recorder.waiting() == (0, None)


@pytest.mark.case("S76")
def test_a_silent_data_worker_is_told_once_and_ends_when_it_is_back(connection: BrokerConnection) -> None:
    def shown(seconds: float) -> None:
        about = {"client_id": django_settings.IB_DATA_CLIENT_ID, "state": S.READY, "reason": "", "started_at": at(0)}
        worker_sign(**about, now=at(seconds))  # type: ignore[arg-type]

    be(connection, S.READY, STOPPED_ON_PURPOSE)
    assert look(1) == set(), "none was ever started here"
    shown(2)
    assert look(17) == set()
    assert look(18) == {K.MARKET_DATA_SILENT}
    assert look(23) == {K.MARKET_DATA_SILENT}
    assert Alert.objects.get().text.startswith("No sign of the data worker for 16 s")
    shown(24)
    assert look(25) == set()
    # One that is stopped on purpose is not waited for
    worker_sign_remove(client_id=django_settings.IB_DATA_CLIENT_ID)
    assert look(60) == set()
