"""Alerts are raised once while they last, and arrive once: by mail and by webhook."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connections, transaction
from pytest_django import Settings

from app.alerts import delivery, notify
from app.alerts.delivery import ATTEMPTS_MAX, DeliveryReport, alerts_deliver, backoff_seconds
from app.alerts.kinds import NATURE, AlertKind
from app.alerts.models import Alert, AlertDelivery
from app.alerts.notify import Channel, NotDelivered, send
from app.alerts.services import alert_acknowledge, alert_raise, alert_resolve
from app.core.errors import NotFound
from tests.services.fake_broker import ProcessDied
from tests.services.heard import at
from tests.services.mail_and_hook import SECRET, Hook, Mailbox, mail_server, web_hook

pytestmark = pytest.mark.django_db
K = AlertKind


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_hook() as served:
        yield served


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What reaches the process's own log, at its most talkative."""
    texts: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    root, keeper = logging.getLogger(), Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    yield texts
    root.removeHandler(keeper)
    root.setLevel(level)


def raised(kind: AlertKind = K.WORKER_SILENT, *, subject: str = "DU1/1", seconds: float = 0) -> Alert:
    return alert_raise(kind=kind, subject=subject, text="No sign of it.", now=at(seconds))


def states(**filters: object) -> list[str]:
    return list(AlertDelivery.objects.filter(**filters).order_by("id").values_list("state", flat=True))


class FakeChannel:
    """Takes, refuses, or kills the process that sends, before or after the message is out."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refuses = False
        self.dies = False

    def send(self, channel: Channel, **message: object) -> None:
        if self.refuses:
            raise NotDelivered("not now")
        self.taken.append(channel.name)
        if self.dies:
            raise ProcessDied


ONE, TWO = Channel("json://one.example"), Channel("json://two.example")


def deliver(fake: FakeChannel, seconds: float, *channels: Channel) -> DeliveryReport:
    return alerts_deliver(now=at(seconds), channels=channels or (ONE,), send=fake.send)


# Rows


def test_while_it_lasts_it_is_one_alert() -> None:
    first, again = raised(), raised(seconds=5)
    assert first.pk == again.pk
    first.refresh_from_db()
    assert (first.times, first.raised_at, first.last_seen_at) == (2, at(0), at(5))
    assert (first.severity, first.title) == ("CRITICAL", "The broker worker is silent")
    # Another subject is another alert, and so is the same one after it was over
    assert raised(subject="DU2/1").pk != first.pk
    assert alert_resolve(kind=K.WORKER_SILENT, subject="DU1/1", now=at(6))
    assert not alert_resolve(kind=K.WORKER_SILENT, subject="DU1/1", now=at(7))
    assert raised(seconds=8).pk != first.pk
    first.refresh_from_db()
    assert first.resolved_at == at(6)


def test_the_database_keeps_one_open_alert_for_each_subject() -> None:
    alert = raised()
    alert.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        alert.save(force_insert=True)


@pytest.mark.parametrize(("kind", "ends"), [(K.ATTENTION, True), (K.WORKER_SILENT, False)])
def test_a_person_acknowledges_once(analyst: User, kind: AlertKind, ends: bool) -> None:
    alert = alert_acknowledge(alert_id=raised(kind).pk, user=analyst, now=at(1))
    assert (alert.acknowledged_at, alert.acknowledged_by, not alert.is_open) == (at(1), analyst, ends)
    other = User.objects.create_user("bob")
    again = alert_acknowledge(alert_id=alert.pk, user=other, now=at(2))
    assert (again.acknowledged_at, again.acknowledged_by) == (at(1), analyst)
    with pytest.raises(NotFound):
        alert_acknowledge(alert_id=0, user=analyst, now=at(3))


def test_every_kind_can_be_told() -> None:
    assert set(NATURE) == set(AlertKind)


# Real servers


def test_an_alert_arrives_by_mail_and_by_webhook_once(mailbox: Mailbox, hook: Hook, settings: Settings) -> None:
    settings.ALERT_URLS = [mailbox.address, hook.address]
    alert = raised()
    assert alerts_deliver(now=at(1)).sent == 2
    # Asked again and again, while it lasts
    for seconds in (2, 60, 3000):
        raised(seconds=seconds)
        assert alerts_deliver(now=at(seconds)) == DeliveryReport(sent=0, failed=0)
    (mail,) = mailbox.mails
    assert mail["Subject"] == "[CRITICAL] The broker worker is silent"
    assert mail["To"] == "ada@example.com"
    body = mail.get_body()
    assert body is not None
    assert "No sign of it." in body.get_content()
    (post,) = hook.posts
    assert post["title"] == "[CRITICAL] The broker worker is silent"
    assert f"Alert {alert.pk}, worker_silent" in post["message"]
    assert states() == ["SENT", "SENT"]


def test_a_refusal_is_seen_and_tried_again_until_it_arrives(mailbox: Mailbox, hook: Hook, settings: Settings) -> None:
    settings.ALERT_URLS = [mailbox.address, hook.address]
    raised()
    mailbox.refuses, hook.status = True, 500
    assert alerts_deliver(now=at(1)).failed == 2
    assert alerts_deliver(now=at(5)).failed == 0, "not before its time"
    assert [bool(row.error) for row in AlertDelivery.objects.all()] == [True, True]
    mailbox.refuses, hook.status = False, 200
    assert alerts_deliver(now=at(12)).sent == 2
    assert (len(mailbox.mails), len(hook.posts)) == (1, 1)


@pytest.mark.case("S81")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_webhook_that_leads_elsewhere_has_not_taken_it(hook: Hook, settings: Settings, status: int) -> None:
    settings.ALERT_URLS = [hook.address]
    raised()
    hook.status = status
    assert alerts_deliver(now=at(1)) == DeliveryReport(sent=0, failed=1)
    assert AlertDelivery.objects.get().state == "PENDING"
    assert hook.followed == 0


@pytest.mark.case("S80")
def test_a_channel_that_hangs_holds_back_no_other_and_new_alerts_go_first() -> None:
    # Given a channel that hangs, and alerts that were refused before a new one was raised
    order: list[tuple[str, str]] = []
    two_has_all = threading.Event()

    def send_slowly(channel: Channel, *, title: str, body: str, severity: object) -> None:
        if channel is ONE:
            assert two_has_all.wait(20), "the other channel waits for this one"
            raise NotDelivered("it hung")
        order.append((channel.address, body.splitlines()[0]))
        if len(order) == 3:
            two_has_all.set()

    for number in range(2):
        alert_raise(kind=K.WORKER_SILENT, subject=f"DU1/{number}", text=f"old {number}", now=at(0))
    refused = FakeChannel()
    refused.refuses = True
    for seconds in (0, 5):
        deliver(refused, seconds, ONE, TWO)
    alert_raise(kind=K.WORKER_SILENT, subject="DU1/9", text="new", now=at(30))
    # When all of it is due
    report = alerts_deliver(now=at(60), channels=[ONE, TWO], send=send_slowly)
    # Then the other channel has everything before the first one's only try has ended
    assert order == [(TWO.address, "new"), (TWO.address, "old 0"), (TWO.address, "old 1")]
    assert report == DeliveryReport(sent=3, failed=1)


def test_what_is_secret_in_an_address_is_neither_stored_nor_logged(
    hook: Hook, settings: Settings, logged: list[str]
) -> None:
    hook.status = 403
    settings.ALERT_URLS = [hook.address, f"json://user:{SECRET}@127.0.0.1:9/x", f"nonsense://{SECRET}", SECRET]
    raised()
    assert alerts_deliver(now=at(1)).failed == 4
    rows = list(AlertDelivery.objects.order_by("id"))
    assert [row.channel.partition(":")[0] for row in rows] == ["json", "json", "nonsense", "unreadable"]
    stored = " ".join(f"{row.channel} {row.error}" for row in rows)
    assert "error=403" in stored, "why it failed is told"
    assert any("alert_not_sent" in text for text in logged)
    for text in (stored, *logged, repr(Channel(hook.address))):
        assert SECRET not in text
        assert "s3cr3t" not in text


def test_an_address_that_cannot_be_read_is_a_failed_delivery() -> None:
    with pytest.raises(NotDelivered, match="cannot be read"):
        send(Channel("nonsense"), title="t", body="b", severity=NATURE[K.ATTENTION].severity)


@pytest.mark.parametrize(
    "address",
    [
        "mailtos://user:password@smtp.example?from=desk@example.com&to=ada@example.com",
        "jsons://hooks.example/trading",
        "tgram://123456789:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQR/12345",
    ],
)
def test_the_addresses_of_the_docs_can_be_read(address: str) -> None:
    assert notify._library().Apprise.instantiate(address) is not None


# Once


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_send_it_once() -> None:
    # Given two alerts, which the first process has read as due
    raised()
    raised(subject="DU2/1")
    second = FakeChannel()

    class First(FakeChannel):
        def send(self, channel: Channel, **message: object) -> None:
            # When a second process runs while the first is sending
            deliver(second, 1)
            connections.close_all()
            super().send(channel, **message)

    first = First()
    deliver(first, 1)
    # Then each alert was sent by one of them
    assert (len(first.taken), len(second.taken)) == (1, 1)
    assert states() == ["SENT", "SENT"]


@pytest.mark.django_db(transaction=True)
def test_many_threads_send_it_once(in_thread: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
    raised()
    fake, start = FakeChannel(), threading.Barrier(6)

    def work() -> None:
        start.wait(5)
        deliver(fake, 1)

    threads = [threading.Thread(target=in_thread(work)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert fake.taken == [ONE.name]
    assert states() == ["SENT"]


def test_a_process_that_dies_after_sending_does_not_send_it_twice_and_it_is_told() -> None:
    raised()
    fake = FakeChannel()
    fake.dies = True
    with pytest.raises(ProcessDied):
        deliver(fake, 1)
    fake.dies = False
    # While it may still be at it nothing happens
    deliver(fake, 60)
    assert (fake.taken, states()) == ([ONE.name], ["SENDING"])
    # Later it is known that nobody knows: it is not sent again, but the other channel hears of it
    deliver(fake, 130, ONE, TWO)
    deliver(fake, 140, ONE, TWO)
    assert states(channel=ONE.name) == ["UNKNOWN"]
    assert fake.taken.count(ONE.name) == 1
    told = Alert.objects.get(kind=K.DELIVERY_FAILED)
    assert "it may have arrived" in told.text
    assert AlertDelivery.objects.get(alert=told).channel == TWO.name


def test_it_is_given_up_loudly_after_so_many_attempts() -> None:
    raised()
    fake = FakeChannel()
    fake.refuses = True
    now = 1.0
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert deliver(fake, now).failed == 1
        assert deliver(fake, now + backoff_seconds(attempt) - 1).failed == 0
        now += backoff_seconds(attempt)
    assert deliver(fake, now + 3600).failed == 0
    assert states() == ["GIVEN_UP"]
    assert "after 10 attempts: not now" in Alert.objects.get(kind=K.DELIVERY_FAILED).text


def test_that_telling_fails_is_not_told_without_end() -> None:
    alert_raise(kind=K.DELIVERY_FAILED, subject=TWO.name, text="x", now=at(0))
    fake = FakeChannel()
    fake.refuses = True
    now = 1.0
    for attempt in range(1, ATTEMPTS_MAX + 1):
        deliver(fake, now)
        now += backoff_seconds(attempt)
    assert (states(), Alert.objects.count()) == (["GIVEN_UP"], 1)


def test_a_channel_that_is_added_later_is_not_told_old_news() -> None:
    raised()
    fake = FakeChannel()
    deliver(fake, 1)
    assert deliver(fake, 100, ONE, TWO).sent == 1, "news of the last hour"
    late = timedelta(hours=1).total_seconds() + 1
    assert deliver(fake, late, ONE, Channel("json://three.example")).sent == 0


def test_without_channels_nothing_is_sent_and_nothing_is_kept_waiting(settings: Settings) -> None:
    settings.ALERT_URLS = []
    raised()
    assert alerts_deliver(now=at(1)) == DeliveryReport(sent=0, failed=0)
    assert not AlertDelivery.objects.exists()


def test_back_off_grows_and_has_an_end() -> None:
    waits = [backoff_seconds(attempt) for attempt in range(1, ATTEMPTS_MAX + 1)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (delivery.BACKOFF_SECONDS_MIN, delivery.BACKOFF_SECONDS_MAX)


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_late_in_a_long_round_is_not_taken_for_lost(
    in_thread: Callable[[Callable[[], None]], Callable[[], None]],
) -> None:
    # Given a round that began minutes ago: a channel was slow
    raised(seconds=-600)
    fake = FakeChannel()

    def while_another_process_looks(channel: Channel, **message: object) -> None:
        in_thread(lambda: void(alerts_deliver(now=at(0), channels=(TWO,), send=fake.send)))()
        fake.send(channel, **message)

    alerts_deliver(now=at(-599), channels=(ONE,), send=while_another_process_looks)
    # Then what it is just sending is its own still
    assert states(channel=ONE.name) == ["SENT"]
    assert not Alert.objects.filter(kind=K.DELIVERY_FAILED).exists()


def void(_report: DeliveryReport) -> None:
    """Return nothing, as a thread's work does."""
