"""Every invariant, planted broken in the rows one at a time, is found; in a clean book nothing is."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from app.accounts.models import Account
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.domain.command import CommandReason
from app.executions.decisions import decision_record
from app.executions.models import Actor, Commission, Execution, Fill, Order, ReconcileRun
from app.executions.services.audit import Invariant, audit_findings
from app.executions.services.commands_write import cancels_write
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, commission, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
LATER = at(0) + timedelta(hours=1)  # When everything that had to settle has.


@pytest.fixture
def held(submitted: Submitted, account: Account) -> Book:
    """Ten shares held and stopped, one execution stopped out, and a reconcile that saw it so, an hour later."""
    over = submitted()
    over.hear(told(over.entry, T.SUBMITTED), told(over.stop, T.PRE_SUBMITTED))
    entered, exited = fill(over.entry, "10"), fill(over.stop, "10", "185")
    over.hear(entered, exited, commission(entered.exec_id), commission(exited.exec_id))
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    ReconcileRun.objects.create(
        account=account,
        client_id=1,
        started_at=LATER - timedelta(minutes=1),
        finished_at=LATER,
        is_complete=True,
        answered={"open_refs": [book.stop.order_ref]},
    )
    return book


def found() -> set[Invariant]:
    return {finding.code for finding in audit_findings(now=LATER, with_replay=True, with_broker=True)}


def change(order: Order, **values: object) -> None:
    Order.objects.filter(pk=order.pk).update(**values)


def tell_it_under_another_order_id(book: Book) -> None:
    book.hear(told(book.stop, T.PRE_SUBMITTED, order_id=9001))


def deal_it_under_another_permanent_id(book: Book) -> None:
    book.hear(fill(book.entry, "1", perm_id=555), fill(book.entry, "1"))


def fill_more_than_was_ordered(book: Book) -> None:
    book.hear(fill(book.entry, "1"))


def exit_more_than_was_entered(book: Book) -> None:
    Fill.objects.filter(order=book.entry).delete()
    Fill.objects.create(order=book.stop, exec_id="sold", quantity=1, price=1, executed_at=at(0))


def lose_the_stop(book: Book) -> None:
    book.hear(told(book.stop, T.CANCELLED))


def shrink_the_stop(book: Book) -> None:
    change(book.stop, quantity=Decimal(4))


def leave_the_stop_behind(book: Book) -> None:
    change(book.entry, status="REJECTED", filled_quantity=Decimal(0))


def count_a_deal_twice(book: Book) -> None:
    change(book.entry, filled_quantity=Decimal(20))


def change_a_price(book: Book) -> None:
    Fill.objects.filter(order=book.entry).update(price=Decimal(1))


def finish_an_order_that_is_open_there(book: Book) -> None:
    change(book.stop, status="CANCELLED", finished_at=at(30))


def forget_an_order_there(book: Book) -> None:
    ReconcileRun.objects.update(answered={"open_refs": []})


def stop_reconciling(book: Book) -> None:
    ReconcileRun.objects.update(started_at=LATER - timedelta(minutes=10))


def only_fail_to_reconcile(book: Book) -> None:
    ReconcileRun.objects.update(is_complete=False)


def never_answer(book: Book) -> None:
    change(book.stop, status="PENDING_CANCEL")


def take_it_and_die(book: Book) -> None:
    Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING")


def pass_the_deadline_untaken(book: Book) -> None:
    Execution.objects.filter(pk=book.execution_id).update(status="REQUESTED", claimed_at=None, deadline_at=at(30))


def pass_the_deadline_working(book: Book) -> None:
    change(book.entry, status="WORKING")
    Execution.objects.filter(pk=book.execution_id).update(deadline_at=at(30), on_timeout="CANCEL")


def cancel_the_stop_without_an_answer(book: Book) -> None:
    cancels_write(
        orders=[book.stop],
        execution_id=book.execution_id,
        actor=Actor.GUARD,
        reason=CommandReason.EXIT_LEFT,
        now=LATER - timedelta(minutes=3),
    )


def forget_to_settle(book: Book) -> None:
    cancels_write(
        orders=[book.entry],
        execution_id=book.execution_id,
        actor=Actor.PERSON,
        reason=CommandReason.REQUESTED,
        now=LATER - timedelta(seconds=30),
    )


PLANTED = [
    (cancel_the_stop_without_an_answer, Invariant.COMMAND_UNSETTLED),
    (forget_to_settle, Invariant.COMMAND_UNSETTLED),
    (tell_it_under_another_order_id, Invariant.PLACED_TWICE),
    (deal_it_under_another_permanent_id, Invariant.PLACED_TWICE),
    (fill_more_than_was_ordered, Invariant.OVERFILLED),
    (exit_more_than_was_entered, Invariant.OVERSOLD),
    (lose_the_stop, Invariant.UNPROTECTED),
    (shrink_the_stop, Invariant.UNPROTECTED),
    (leave_the_stop_behind, Invariant.ORPHANED),
    (count_a_deal_twice, Invariant.FILLS_DIFFER),
    (change_a_price, Invariant.REPLAY_DIFFERS),
    (finish_an_order_that_is_open_there, Invariant.BROKER_DIFFERS),
    (forget_an_order_there, Invariant.BROKER_DIFFERS),
    (stop_reconciling, Invariant.NOT_RECONCILED),
    (only_fail_to_reconcile, Invariant.NOT_RECONCILED),
    (never_answer, Invariant.OVERDUE),
    (take_it_and_die, Invariant.OVERDUE),
    (pass_the_deadline_untaken, Invariant.OVERDUE),
    (pass_the_deadline_working, Invariant.OVERDUE),
]


def test_a_clean_book_has_no_findings(held: Book) -> None:
    assert audit_findings(now=LATER, with_replay=True, with_broker=True) == []


@pytest.mark.parametrize(("plant", "code"), PLANTED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_what_does_not_hold_is_found(held: Book, plant: Callable[[Book], None], code: Invariant) -> None:
    assert found() == set()
    plant(held)
    assert code in found()


def test_orders_written_ahead_faster_than_the_broker_takes_them_are_found(held: Book) -> None:
    Order.objects.bulk_create(
        Order(
            account=held.entry.account,
            bracket=held.brackets[0],
            leg="PROTECT",
            order_ref=f"fast{number}",
            client_id=held.entry.client_id,
            order_id=5000 + number,
            action="SELL",
            order_type="STP",
            quantity=1,
            stop_price=1,
            time_in_force="GTC",
            status="CANCELLED",
            sent_at=at(0) + timedelta(minutes=5, milliseconds=10 * number),
        )
        for number in range(51)
    )
    findings = audit_findings(now=LATER, with_broker=True)
    assert [finding.code for finding in findings] == [Invariant.SENT_TOO_FAST]
    Order.objects.filter(order_ref="fast7").delete()  # Fifty in a second are allowed.
    assert audit_findings(now=LATER, with_broker=True) == []


def test_a_naked_position_that_is_flagged_and_being_seen_to_is_no_finding(held: Book) -> None:
    lose_the_stop(held)
    Execution.objects.filter(pk=held.execution_id).update(attention="its stop is gone")
    decision_record(
        actor=Actor.GUARD,
        action="PLACE_STOP",
        reason="10 shares have no stop",
        execution=held.execution,
        now=LATER - timedelta(seconds=5),
    )
    assert Invariant.UNPROTECTED not in found()
    later = LATER + timedelta(minutes=5)
    assert Invariant.UNPROTECTED in {finding.code for finding in audit_findings(now=later)}


def test_what_the_broker_has_just_told_may_still_settle(held: Book) -> None:
    lose_the_stop(held)
    assert Invariant.UNPROTECTED not in {finding.code for finding in audit_findings(now=at(25))}


@pytest.mark.case("A8")
@pytest.mark.parametrize("attention", ["", "a person looks"])
def test_what_is_overdue_is_found_whether_it_is_flagged_or_not(held: Book, attention: str) -> None:
    never_answer(held)
    Execution.objects.filter(pk=held.execution_id).update(attention=attention)
    overdue = [finding for finding in audit_findings(now=LATER) if finding.code is Invariant.OVERDUE]
    assert {finding.is_flagged for finding in overdue} == {bool(attention)}


def test_the_number_of_queries_does_not_grow_with_the_book(
    submitted: Submitted, django_assert_max_num_queries: Callable[..., object]
) -> None:
    books = [submitted() for _ in range(12)]
    for book in books:
        book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    with django_assert_max_num_queries(13):
        audit_findings(now=LATER)


def test_the_command_lists_the_findings_of_an_account_and_ends_with_1(held: Book, broker: FakeBroker) -> None:
    call_command("audit_executions", replay=True, stdout=StringIO())
    count_a_deal_twice(held)
    Commission.objects.all().delete()
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("audit_executions", account=broker.account_id, stdout=out, stderr=StringIO())

    assert ended.value.code == 1
    lines = out.getvalue().splitlines()
    expected = f"fills_differ {held.execution_id} {held.entry.order_ref} its filled quantity is 20.0000, "
    assert any(line.startswith(expected) for line in lines), lines
    Account.objects.create(account_id="DU7654321")
    call_command("audit_executions", account="DU7654321", stdout=StringIO())
    with pytest.raises(CommandError, match="No account"):
        call_command("audit_executions", account="DU9", stdout=StringIO())
    assert clock.now() < LATER
