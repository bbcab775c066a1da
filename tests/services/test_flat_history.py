"""What protects reads what is open, however long the history is and whatever the planner knows of it."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection

from app.accounts.services import account_ensure
from app.brokers.base import Position
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.contract import Contract
from app.executions.services.aftermath import cancel_rest_of_broken, ended_without_a_word, is_over_unheard
from app.executions.services.bare_shares import bare_shares_tell
from app.executions.services.commands_send import left_behind_send
from app.executions.services.exposure import pushed_positions_look
from app.executions.services.guard import execution_ids_to_guard, guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.record import broker_events_record
from app.executions.services.sweep import execution_sweep, requested_resend
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, commission, fill, message, told
from tests.services.long_history import HISTORY, Reading, history_make, reading

pytestmark = [pytest.mark.django_db, pytest.mark.case("T34")]

Submitted = Callable[..., Book]
T = ToldStatus
# Enough that a table which is read whole stands out from what is open.
LENGTH = 700
READ_MAX = 60
ROWS_PER_PAGE = 10_000


@pytest.fixture(
    params=[
        ("never analysed", "force_custom_plan"),
        ("never analysed", "force_generic_plan"),
        ("analysed", "force_generic_plan"),
        # As if each table were hundreds of times as long as it is.
        ("taken for long", "force_custom_plan"),
        ("taken for long", "force_generic_plan"),
    ],
    ids=" ".join,
)
def plan(request: pytest.FixtureRequest, submitted: Submitted) -> str:
    """Thousands of executions that were stopped out long ago; return how the database plans."""
    statistics, plan_cache_mode = request.param
    book = submitted(take_profits=[{"price": Decimal(210), "fraction": Decimal(1)}])
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.entry, T.FILLED))
    book.hear(told(book.target, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    book.hear(fill(book.stop, "10", "185"), told(book.stop, T.FILLED), told(book.target, T.CANCELLED))
    assert book.execution.status == "CLOSED"
    history_make(book.execution_id, length=LENGTH)
    with connection.cursor() as cursor:
        if statistics == "analysed":
            cursor.execute("ANALYZE")
        else:
            if statistics == "taken for long":
                # The planner multiplies the pages that there are by the rows that a page is said to have.
                cursor.execute(
                    "UPDATE pg_class SET relpages = 1, reltuples = %s WHERE relname = ANY(%s)",
                    [ROWS_PER_PAGE, list(HISTORY)],
                )
            cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'executions_order'")
            assert cursor.fetchone() == (0,)
    return str(plan_cache_mode)


@pytest.fixture
def held(plan: str, submitted: Submitted, broker: FakeBroker) -> Book:
    """Ten shares whose stop was cancelled a moment ago."""
    broker.positions_book = [
        Position(
            account=broker.account_id,
            contract=Contract(symbol="AAPL", con_id=265598),
            quantity=Decimal(10),
            average_cost=Decimal(190),
        )
    ]
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.entry, T.FILLED))
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.stop, T.CANCELLED))
    return book


def assert_reads_what_is_open(seen: Reading) -> None:
    assert seen.statements
    assert seen.whole == []
    assert seen.most[0] <= READ_MAX, seen.most


def test_the_guard(held: Book, broker: FakeBroker, plan: str) -> None:
    with reading(plan=plan) as seen:
        ids = execution_ids_to_guard(broker.account_id)
        guard_look(execution_ids=ids, broker=broker, watch=Watch(), now=at(40))
    assert [ticket.quantity for ticket in broker.singles] == [Decimal(10)]
    assert_reads_what_is_open(seen)


def test_the_sweep(held: Book, broker: FakeBroker, plan: str) -> None:
    with reading(plan=plan) as seen:
        execution_sweep(now=at(60))
        requested_resend()
        left_behind_send(broker=broker, now=at(60))
    assert_reads_what_is_open(seen)


def test_a_reconcile(held: Book, broker: FakeBroker, plan: str) -> None:
    with reading(plan=plan) as seen:
        execution_reconcile(broker=broker, now=at(60), settle_seconds=0)
        execution_reconcile(broker=broker, now=at(80), settle_seconds=0)
    assert_reads_what_is_open(seen)


def test_a_position_that_is_pushed(held: Book, broker: FakeBroker, plan: str) -> None:
    execution_reconcile(broker=broker, now=at(60), settle_seconds=0)
    with reading(plan=plan) as seen:
        pushed_positions_look(account_id=broker.account_id, pushed={265598: Decimal(10)}, now=at(80))
    assert_reads_what_is_open(seen)


def test_the_kill_switch(held: Book, broker: FakeBroker, plan: str) -> None:
    with reading(plan=plan) as seen:
        kill_switch_engage(
            account=account_ensure(broker.account_id), user=None, reason="enough", now=at(60), flatten=True
        )
    assert held.execution.flatten_requested_at is not None
    assert_reads_what_is_open(seen)


def test_what_tells_of_bare_shares(held: Book, plan: str) -> None:
    with reading(plan=plan) as seen:
        assert bare_shares_tell(now=at(90)) == [held.execution_id]
    assert_reads_what_is_open(seen)


def test_what_an_event_makes_due(held: Book, plan: str) -> None:
    gone = told(held.stop, T.CANCELLED)
    refused = message(held.stop, 10148, "Cancelled", MessageMeaning.REQUEST_REFUSED)
    with reading(plan=plan) as seen:
        assert not cancel_rest_of_broken(held.execution_id, gone)
        assert not is_over_unheard(refused)
        assert not ended_without_a_word(gone)
    assert_reads_what_is_open(seen)


def test_a_costs_deal(held: Book, plan: str) -> None:
    costs = [commission(deal.exec_id) for deal in held.entry.fills.all()]
    with reading(plan=plan) as seen:
        broker_events_record(costs, now=at(60))
    assert held.entry.fills.get().commission.amount
    assert_reads_what_is_open(seen)


def test_recording_what_is_told(held: Book, plan: str) -> None:
    heard = [told(held.entry, T.FILLED), told(held.stop, T.PRE_SUBMITTED)]
    with reading(plan=plan) as seen:
        held.hear(*heard)
    assert_reads_what_is_open(seen)
