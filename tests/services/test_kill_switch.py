"""Stopping to trade: nothing new goes out, what works is cancelled, what is held keeps its stop or is closed."""

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.test import Client
from rest_framework.test import APIClient

from app.accounts.kill_switch import kill_switches_engaged, require_may_engage, require_may_release
from app.accounts.models import Account, KillSwitch
from app.accounts.services import account_ensure, order_id_floor_raise
from app.brokers.base import BracketTicket
from app.brokers.errors import NotConnected
from app.core.errors import Conflict, Forbidden
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.models import Actor, Decision, Execution
from app.executions.services.cancel import execution_cancel_send
from app.executions.services.flatten import execution_flatten_send
from app.executions.services.kill_switch import (
    kill_switch_enforce,
    kill_switch_engage,
    kill_switch_release,
    kill_switch_said_again,
)
from app.executions.services.request import execution_request
from app.executions.services.submit import execution_submit
from app.executions.services.sweep import execution_sweep
from app.setups.models import Setup
from tests.services.book import Book
from tests.services.fake_broker import FailAt, FakeBroker
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db
T = ToldStatus
Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
MakeSetup = Callable[..., Setup]
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}


def engage(account: Account | None = None, *, flatten: bool = False, seconds: float = 30) -> KillSwitch:
    return kill_switch_engage(account=account, user=None, reason="news", flatten=flatten, now=at(seconds))


def release(account: Account | None = None) -> KillSwitch:
    return kill_switch_release(account=account, user=None, reason="over", now=at(60))


def held(book: Book) -> Book:
    """Its entry is filled and its stop is live."""
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    return book


def flatten(book: Book, broker: FakeBroker, *, seconds: float) -> int:
    return execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(seconds))


# Nothing new


@pytest.mark.parametrize("everywhere", [True, False], ids=["all", "this account"])
def test_a_request_is_refused_while_it_is_engaged(
    make_setup: MakeSetup, analyst: User, account: Account, everywhere: bool
) -> None:
    setup = make_setup()
    switch = engage(None if everywhere else account)
    with pytest.raises(Conflict) as refused:
        execution_request(setup=setup, user=analyst, idempotency_key="k", body={}, now=at(31))
    assert refused.value.code == "kill_switch_engaged"
    assert "news" in refused.value.message
    assert not Execution.objects.exists()
    # Released, the same request is taken
    assert release(switch.account).released_at == at(60)
    execution, new = execution_request(setup=setup, user=analyst, idempotency_key="k", body={}, now=at(61))
    assert (execution.status, new) == ("REQUESTED", True)


def test_another_accounts_switch_stops_nothing_here(
    make_setup: MakeSetup, analyst: User, submitted: Submitted, broker: FakeBroker
) -> None:
    working = submitted(**LIMIT)
    engage(account_ensure("DU7654321"))
    execution, _ = execution_request(setup=make_setup(), user=analyst, idempotency_key="k", body={}, now=at(31))
    assert execution_submit(execution_id=execution.pk, broker=broker, now=at(31)) != ""
    assert working.execution.cancel_requested_at is None


def test_what_nobody_has_taken_ends_unsent_at_once(requested: Requested, broker: FakeBroker) -> None:
    book = Book(requested().pk)
    engage()
    assert (book.execution.status, book.execution.reason_code) == ("NOT_PLACED", "kill_switch")
    assert book.execution.reason == "The kill switch was engaged before anything was sent."
    assert execution_submit(execution_id=book.execution_id, broker=broker, now=at(31)) == ""
    assert broker.sent == []


def test_a_task_that_is_queued_already_does_not_slip_through(requested: Requested, broker: FakeBroker) -> None:
    # Given a switch of which this execution does not know yet: only the row is there
    book = Book(requested().pk)
    KillSwitch.objects.create(reason="news", engaged_at=at(1))
    # When the queued task runs
    assert execution_submit(execution_id=book.execution_id, broker=broker, now=at(2)) == ""
    # Then nothing is sent
    assert (broker.placements, broker.sent) == (0, [])
    assert (book.execution.status, book.execution.reason_code) == ("NOT_PLACED", "kill_switch")


def test_what_waits_for_its_turn_to_be_sent_is_stopped_before_the_first_byte(
    requested: Requested, broker: FakeBroker
) -> None:
    # Given a claimed execution that waits for its turn, and a switch that is only a row when the turn comes
    book = Book(requested().pk)

    def stop(_ticket: BracketTicket) -> None:
        KillSwitch.objects.create(reason="news", engaged_at=at(1))

    broker.before_write_ahead = stop
    assert execution_submit(execution_id=book.execution_id, broker=broker, now=at(1)) == ""
    assert (broker.placements, broker.sent) == (1, [])
    assert (book.execution.status, book.execution.reason_code) == ("NOT_PLACED", "kill_switch")


@pytest.mark.django_db(transaction=True)
def test_once_engaging_has_answered_nothing_that_was_not_written_down_is_sent(
    requested: Requested, broker: FakeBroker, in_thread: Callable[[Callable[[], None]], Callable[[], None]]
) -> None:
    # Given a bracket whose ids are being written down while somebody engages
    book = Book(requested().pk)
    engaged, engaging = threading.Event(), threading.Event()

    def press() -> None:
        engaging.set()
        engage(seconds=2)
        engaged.set()

    presser = threading.Thread(target=in_thread(press))

    def written(_ids: Mapping[str, int]) -> None:
        presser.start()
        assert engaging.wait(5)
        assert engaged.wait(10), "the rows are committed, so that engaging goes on"

    broker.after_write_ahead = written
    # When it is sent all the same: it was first
    assert execution_submit(execution_id=book.execution_id, broker=broker, now=at(1)) != ""
    presser.join(10)
    # Then its cancel is asked for
    assert (book.execution.cancel_reason, len(broker.sent)) == ("kill_switch", 1)


@pytest.mark.django_db(transaction=True)
def test_engaging_waits_for_a_write_ahead_that_is_under_way(
    broker: FakeBroker, in_thread: Callable[[Callable[[], None]], Callable[[], None]]
) -> None:
    # Given somebody who holds the lock under which order ids are written down
    engaged = threading.Event()

    def press() -> None:
        engage(seconds=2)
        engaged.set()

    presser = threading.Thread(target=in_thread(press))
    with transaction.atomic():
        order_id_floor_raise(connection_id=broker.connection_id, order_ids=[5])
        presser.start()
        # Then engaging does not answer before that is over
        assert not engaged.wait(0.3)
        assert not KillSwitch.objects.exists()
    presser.join(10)
    assert engaged.is_set()


# What works


def test_working_entries_are_cancelled_and_protection_stays(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a working entry of which 4 shares are filled, and a position
    working, position = submitted(**LIMIT), held(submitted())
    working.hear(told(working.entry, T.SUBMITTED), fill(working.entry, "4"), told(working.stop, T.PRE_SUBMITTED))
    # When
    engage()
    # Then the entry's rest is cancelled, and no stop is
    assert execution_cancel_send(execution_id=working.execution_id, broker=broker, now=at(31)) == 1
    assert execution_cancel_send(execution_id=position.execution_id, broker=broker, now=at(31)) == 0
    assert broker.cancelled == [working.entry.order_id]
    assert position.execution.cancel_requested_at is None
    decided = Decision.objects.get(execution=working.execution)
    assert (decided.actor, decided.action) == (Actor.KILL_SWITCH.value, "CANCEL_ENTRY")


def test_an_entry_cancelled_by_it_says_so(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(**LIMIT)
    engage()
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "kill_switch")
    assert book.execution.reason == "The kill switch was engaged, so the entry was cancelled."


def test_what_becomes_known_later_is_cancelled_by_the_sweep(submitted: Submitted, broker: FakeBroker) -> None:
    # Given an execution that was sent in the very moment, which the engaging did not see
    book = submitted(**LIMIT)
    KillSwitch.objects.create(reason="news", engaged_at=at(5))
    # When
    execution_sweep(now=at(6))
    # Then
    assert (book.execution.cancel_reason, book.execution.cancel_requested_at) == ("kill_switch", at(6))


def test_it_is_engaged_while_the_gateway_is_away_and_carried_out_once_it_is_back(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given a working entry and a Gateway that is away
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    broker.cancel_fails = NotConnected("away")
    # When
    engage()
    with pytest.raises(NotConnected):
        execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(31))
    # Then, back, the sweep has it sent
    broker.cancel_fails = None
    assert execution_sweep(now=at(40)).cancels == [book.execution_id]
    execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(41))
    assert broker.cancelled == [book.entry.order_id]


def test_enforcing_again_asks_for_nothing_twice(submitted: Submitted) -> None:
    book = submitted(**LIMIT)
    engage()
    again = kill_switch_enforce(now=at(50))
    assert (again.cancelled, again.closing) == ([], [])
    assert Decision.objects.filter(execution=book.execution).count() == 1


# Rows and roles


@pytest.mark.case("S45")
def test_a_reason_that_comes_second_is_kept_and_shown_once(account: Account, analyst: User, db: None) -> None:
    switch = kill_switch_engage(account=account, user=analyst, reason="news", now=at(1))
    for seconds in (2, 3):  # The second is a retry.
        kill_switch_engage(account=account, user=None, reason="wrong prices", now=at(seconds))
    kill_switch_engage(account=account, user=analyst, reason="all out", now=at(4), flatten=True)
    kill_switch_engage(account=account, user=analyst, reason="news", now=at(5))
    said = [(one.reason, one.user, one.decided_at) for one in kill_switch_said_again(switch)]
    assert said == [("wrong prices", None, at(2)), ("all out", analyst, at(4))]
    admin = User.objects.create_superuser("root")
    script, page = APIClient(), Client()
    script.force_authenticate(admin)
    page.force_login(admin)
    (told,) = script.get("/api/v1/kill-switch/").json()["switches"]
    assert [(one["reason"], one["engaged_by"]) for one in told["said_again"]] == [
        ("wrong prices", None),
        ("all out", analyst.username),
    ]
    html = page.get("/kill-switch/").content.decode()
    assert html.count("wrong prices") == 1
    assert html.count("all out") == 1
    release(account)
    other = kill_switch_engage(account=account, user=None, reason="anew", now=at(90))
    assert kill_switch_said_again(other) == []


def test_engaging_twice_is_one_switch_and_releasing_leaves_the_history(account: Account, analyst: User) -> None:
    first = kill_switch_engage(account=account, user=analyst, reason="news", now=at(1))
    again = kill_switch_engage(account=account, user=None, reason="other", now=at(2))
    assert (again.pk, again.reason, again.engaged_by) == (first.pk, "news", analyst)
    release(account)
    assert list(kill_switches_engaged(account)) == []
    second = engage(account, seconds=70)
    assert second.pk != first.pk
    assert KillSwitch.objects.count() == 2
    assert list(Decision.objects.values_list("action", "account_id")) == [
        ("ENGAGE", account.pk),
        ("ENGAGE_AGAIN", account.pk),
        ("RELEASE", account.pk),
        ("ENGAGE", account.pk),
    ]


def test_all_and_one_are_released_separately(account: Account) -> None:
    engage()
    with pytest.raises(Conflict) as refused:
        release(account)
    assert refused.value.code == "kill_switch_not_engaged"
    engage(account)
    release()
    assert [switch.account for switch in kill_switches_engaged(account)] == [account]


def test_the_database_keeps_one_engaged_switch_for_each() -> None:
    KillSwitch.objects.create(reason="news", engaged_at=at(0))
    with pytest.raises(IntegrityError), transaction.atomic():
        KillSwitch.objects.create(reason="again", engaged_at=at(0))


@pytest.mark.parametrize(
    ("role", "engages", "releases"), [("analyst", False, False), ("trader", True, False), ("reviewer", False, False)]
)
def test_who_may(db: None, role: str, engages: bool, releases: bool) -> None:
    user = User.objects.create_user("eve")
    user.groups.set(Group.objects.filter(name=role))
    for require, may in ((require_may_engage, engages), (require_may_release, releases)):
        if may:
            assert require(user) == user
        else:
            with pytest.raises(Forbidden):
                require(user)
    admin = User.objects.create_superuser("root")
    assert require_may_engage(admin) == require_may_release(admin) == admin


def test_a_second_tranche_whose_turn_comes_after_the_switch_is_not_sent(
    requested: Requested, broker: FakeBroker
) -> None:
    # Given two tranches, the first of which is on the wire when the switch is engaged
    half = Decimal("0.5")
    targets = [{"price": Decimal(200), "fraction": half}, {"price": Decimal(210), "fraction": half}]
    book = Book(requested(take_profits=targets, **LIMIT).pk)

    def stop_before_the_second(_ticket: BracketTicket) -> None:
        if broker.placements == 2:
            KillSwitch.objects.create(reason="news", engaged_at=at(1))

    broker.before_write_ahead = stop_before_the_second
    execution_submit(execution_id=book.execution_id, broker=broker, now=at(1))
    # Then the second is proved absent, and the first is cancelled
    assert len(broker.sent) == 1
    assert book.order(Leg.ENTRY, tranche=2).status == "NOT_PLACED"
    kill_switch_enforce(now=at(2))
    assert book.execution.cancel_reason == "kill_switch"


def test_a_connection_that_fails_before_the_write_ahead_leaves_nothing_to_be_sent_later(
    requested: Requested, broker: FakeBroker
) -> None:
    book = Book(requested().pk)
    broker.fail_at[1] = FailAt.BEFORE_WRITE_AHEAD
    with pytest.raises(NotConnected):
        execution_submit(execution_id=book.execution_id, broker=broker, now=at(1))
    assert book.execution.status == "REQUESTED"
    engage()
    assert book.execution.status == "NOT_PLACED"
