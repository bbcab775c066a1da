"""A busy account: what is not ours is taken in bulk, and a second look records only what it did not know."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from app.accounts.fencing import Fenced
from app.accounts.models import BrokerConnection
from app.brokers.base import OpenOrder, Position
from app.domain.broker_events import CommissionTold, DealUnreadable, FillTold, OrderTold, ToldStatus
from app.domain.contract import Contract
from app.domain.reasons import FlagCode
from app.domain.terms import Action
from app.executions.models import BrokerEvent, Commission, ReconcileRun
from app.executions.services.event_store import events_store, others_store
from app.executions.services.exposure import picture_of
from app.executions.services.match import order_match, orders_match, recorded_at
from app.executions.services.reconcile import EXTERNAL_NAMED_MAX, OTHERS_BATCH_MAX, execution_reconcile
from app.executions.services.record import broker_events_record
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, commission, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
# What the database takes in one statement.
PARAMETERS_MAX = 65_535


def order_of_others(account: str, number: int) -> OrderTold:
    return OrderTold(
        dedupe_key=f"status:others:{number}",
        account=account,
        received_at=at(5),
        order_id=0,
        client_id=0,
        perm_id=900_000 + number,
        order_ref="",
        status=T.SUBMITTED,
        raw_status="Submitted",
        filled=Decimal(0),
        remaining=Decimal(100),
        average_price=Decimal(0),
    )


def deal_of_others(account: str, number: int) -> FillTold:
    return FillTold(
        dedupe_key=f"fill:others:{number}",
        account=account,
        received_at=at(5),
        exec_id=f"others:{number}",
        order_id=0,
        client_id=0,
        perm_id=800_000 + number,
        order_ref="",
        symbol="KO",
        action=Action.BUY,
        quantity=Decimal(1),
        price=Decimal(60),
        executed_at=at(5),
        con_id=8894,
    )


def make_busy(broker: FakeBroker, *, count: int) -> None:
    account = broker.account_id
    broker.open_book += [
        OpenOrder(
            told=order_of_others(account, number),
            contract=Contract(symbol="KO", con_id=8894),
            action=Action.BUY,
            order_type="LMT",
            quantity=Decimal(100),
            limit_price=Decimal(50),
            stop_price=None,
        )
        for number in range(count)
    ]
    deals: list[FillTold | CommissionTold] = []
    for number in range(count):
        deals += [deal_of_others(account, number), commission(f"others:{number}")]
    broker.deals += deals
    broker.positions_book = [
        Position(
            account=account,
            contract=Contract(symbol=f"S{number}", con_id=1000 + number),
            quantity=Decimal(5),
            average_cost=Decimal(10),
        )
        for number in range(count)
    ]


def statements_of_reconcile(broker: FakeBroker, *, seconds: float) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        execution_reconcile(broker=broker, now=at(seconds), settle_seconds=0)
    return [query["sql"] for query in seen.captured_queries]


def _inserts(sql: str) -> bool:
    return sql.lstrip().startswith("INSERT")


@pytest.mark.case("T33")
@pytest.mark.parametrize("count", [30, 300])
def test_what_is_not_ours_is_taken_in_bulk(submitted: Submitted, broker: FakeBroker, count: int) -> None:
    # Given an account with many orders, deals and positions of others, as many as one batch takes
    make_busy(broker, count=count)
    assert 3 * count < OTHERS_BATCH_MAX
    # When it is asked for the first time, then what is stored costs as many statements, however much it is
    stored = [sql for sql in statements_of_reconcile(broker, seconds=100) if _inserts(sql)]
    tables = Counter(sql.split()[2].strip('"') for sql in stored)
    of_others = ("executions_brokerevent", "executions_commission", "accounts_position")
    assert [tables[name] for name in of_others] == [1, 1, 1]
    assert BrokerEvent.objects.filter(order__isnull=True).count() == 3 * count
    # And the next time it costs no more than that of an account with nothing of others
    again = statements_of_reconcile(broker, seconds=200)
    broker.open_book, broker.deals, broker.positions_book = [], [], []
    assert len(again) <= len(statements_of_reconcile(broker, seconds=300)) + 5
    # And a run names only so many of them
    named = ReconcileRun.objects.order_by("id").values_list("answered", flat=True)[0]
    assert (named["open_orders"], len(named["external"])) == (count, min(count, EXTERNAL_NAMED_MAX))


@pytest.mark.case("T33")
def test_what_is_told_of_ours_is_recorded_before_all_that_is_of_others(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given answers that tell of others first
    book = submitted()
    make_busy(broker, count=20)
    broker.holds(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    # When they are recorded, then ours come first
    execution_reconcile(broker=broker, now=at(100), settle_seconds=0)
    orders = list(BrokerEvent.objects.order_by("id").values_list("order_id", flat=True))
    assert (orders[:2], set(orders[2:])) == ([book.entry.pk, book.stop.pk], {None})


@pytest.mark.case("T33")
def test_a_day_of_any_length_is_looked_up(submitted: Submitted, broker: FakeBroker) -> None:
    # Given more events than a statement takes parameters
    book = submitted()
    ours = told(book.stop, T.SUBMITTED)
    book.hear(ours)
    events = [*(order_of_others(broker.account_id, number) for number in range(PARAMETERS_MAX + 1)), ours]
    # When they are looked up, then what is known and what is ours is found
    assert recorded_at(events).keys() == {ours.dedupe_key}
    assert [order for order in orders_match(events) if order is not None] == [book.stop]


@pytest.mark.case("T33")
def test_what_two_record_at_once_is_stored_once_and_what_is_ours_is_tried_again(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = submitted()
    deal, cost = deal_of_others(broker.account_id, 1), commission("others:1")
    broker_events_record([deal], now=at(10))
    # When another thread has stored the same since it was looked up
    others_store([deal, cost], now=at(11))
    # Then it is as it was stored first, and the rest is there
    assert dict(BrokerEvent.objects.filter(order=None).values_list("dedupe_key", "recorded_at")) == {
        deal.dedupe_key: at(10),
        cost.dedupe_key: at(11),
    }
    assert Commission.objects.get().exec_id == "others:1"
    # But of what is ours nothing may be applied twice
    mine = fill(book.entry, "4")
    book.hear(mine)
    with pytest.raises(IntegrityError), transaction.atomic():
        events_store([(mine, book.entry)], now=at(12))


@pytest.mark.case("T33")
def test_who_is_deposed_in_the_middle_stores_no_more_and_the_next_comparison_is_right(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given more of others than one batch takes
    broker.deals += [deal_of_others(broker.account_id, number) for number in range(2 * OTHERS_BATCH_MAX)]

    def depose(execute: Callable[..., object], sql: str, *rest: object) -> object:
        done = execute(sql, *rest)
        if "INSERT INTO executions_brokerevent" in sql:
            BrokerConnection.objects.filter(pk=broker.connection_id).update(fence=F("fence") + 1)
        return done

    # When another worker takes over behind the first
    with connection.execute_wrapper(depose), pytest.raises(Fenced):
        execution_reconcile(broker=broker, now=at(100), settle_seconds=0)
    # Then nothing was stored after it, and no run says that all is known
    assert BrokerEvent.objects.filter(kind="fill_told").count() == OTHERS_BATCH_MAX
    assert [run.error_code for run in ReconcileRun.objects.all()] == ["fenced"]
    # And the new holder's comparison stores the rest
    broker.connection.refresh_from_db()
    execution_reconcile(broker=broker, now=at(200), settle_seconds=0)
    assert BrokerEvent.objects.filter(kind="fill_told").count() == 2 * OTHERS_BATCH_MAX
    assert ReconcileRun.objects.latest("id").is_complete


@pytest.mark.case("T33")
def test_an_unreadable_deal_of_ours_is_ours_among_many(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    unreadable = DealUnreadable(
        dedupe_key="unreadable:1",
        account=broker.account_id,
        received_at=at(5),
        deal_id="1",
        order_id=0,
        client_id=0,
        perm_id=0,
        order_ref=book.entry.order_ref,
        symbol="AAPL",
        con_id=265598,
        evidence="a deal (1) could not be read",
    )
    events = [deal_of_others(broker.account_id, 1), unreadable]
    assert orders_match(events) == [order_match(event) for event in events] == [None, book.entry]
    broker_events_record(events, now=at(10))
    assert [flag.code for flag in book.execution.flags.all()] == [FlagCode.DEAL_UNREADABLE]


@pytest.mark.case("T35")
def test_a_second_reconcile_records_only_what_it_did_not_know(submitted: Submitted, broker: FakeBroker) -> None:
    make_busy(broker, count=20)
    execution_reconcile(broker=broker, now=at(100), settle_seconds=0)
    known = BrokerEvent.objects.count()
    broker.deals.append(deal_of_others(broker.account_id, 77))

    report = execution_reconcile(broker=broker, now=at(200), settle_seconds=0)

    assert (report.told, BrokerEvent.objects.count()) == (61, known + 1)
    # And where nothing is new, nothing is written again
    written = [sql.split()[2].strip('"') for sql in statements_of_reconcile(broker, seconds=300) if _inserts(sql)]
    assert not {"executions_brokerevent", "executions_commission"}.intersection(written)


@pytest.mark.case("T33")
def test_deals_of_others_in_other_instruments_are_read_once(submitted: Submitted, broker: FakeBroker) -> None:
    # Given ten shares of ours that were compared, and then a day of deals of others in something else
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.entry, T.FILLED))
    apple = Contract(symbol="AAPL", con_id=265598)
    broker.positions_book = [
        Position(account=broker.account_id, contract=apple, quantity=Decimal(10), average_cost=Decimal(190))
    ]
    execution_reconcile(broker=broker, now=at(60), settle_seconds=0)
    broker.deals += [deal_of_others(broker.account_id, number) for number in range(30)]
    execution_reconcile(broker=broker, now=at(100), settle_seconds=0)
    # When the positions were compared well after those
    execution_reconcile(broker=broker, now=at(200), settle_seconds=0)
    row = book.execution.account.positions.get(con_id=265598)
    # Then the next look reads none of them
    last = BrokerEvent.objects.filter(order__isnull=True, kind="fill_told").order_by("-id").values_list("id", flat=True)
    assert row.deals_judged_to == last[0]
    assert picture_of(row, now=at(200)).foreign == []


@pytest.mark.case("T33")
def test_many_are_matched_as_one_by_one(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED, perm_id=77))
    deal = fill(book.entry, "4")
    book.hear(deal)
    events = [
        told(book.stop, T.SUBMITTED),
        told(book.entry, T.SUBMITTED, order_ref="", perm_id=77),
        told(book.entry, T.SUBMITTED, order_ref="", perm_id=78),
        told(book.stop, T.SUBMITTED, order_ref="", perm_id=0),
        told(book.stop, T.SUBMITTED, order_ref="", perm_id=0, account=""),
        told(book.stop, T.SUBMITTED, order_ref="", perm_id=0, client_id=9),
        told(book.stop, T.SUBMITTED, order_ref="somebody's"),
        fill(book.entry, "1", order_ref=""),
        commission(deal.exec_id),
        commission("of nothing"),
        order_of_others(broker.account_id, 1),
    ]
    assert orders_match(events) == [order_match(event) for event in events]
    assert orders_match(events)[:4] == [book.stop, book.entry, None, book.stop]
