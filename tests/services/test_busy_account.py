"""A busy account: what is not ours is taken in bulk, and a second look records only what it did not know."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from app.brokers.base import OpenOrder, Position
from app.domain.broker_events import CommissionTold, FillTold, OrderTold, ToldStatus
from app.domain.contract import Contract
from app.domain.terms import Action
from app.executions.models import BrokerEvent, ReconcileRun
from app.executions.services.exposure import picture_of
from app.executions.services.match import order_match, orders_match
from app.executions.services.reconcile import BATCH_MAX, EXTERNAL_NAMED_MAX, execution_reconcile
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, commission, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


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


def queries_of_reconcile(broker: FakeBroker, *, seconds: float) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        execution_reconcile(broker=broker, now=at(seconds), settle_seconds=0)
    return len(seen)


@pytest.mark.case("T33")
def test_what_is_not_ours_is_taken_in_bulk(submitted: Submitted, broker: FakeBroker) -> None:
    # Given an account with hundreds of orders, deals and positions of others
    count = 320
    make_busy(broker, count=count)
    # When it is asked for the first time, then each batch costs a fixed number of statements, whatever is in it
    batches = 3 * count / BATCH_MAX
    assert queries_of_reconcile(broker, seconds=100) < 30 * batches
    assert BrokerEvent.objects.filter(order__isnull=True).count() == 3 * count
    # And the next time it costs no more than that of an account with nothing of others
    again = queries_of_reconcile(broker, seconds=200)
    broker.open_book, broker.deals, broker.positions_book = [], [], []
    assert again <= queries_of_reconcile(broker, seconds=300) + 5
    # And a run names only so many of them
    named = ReconcileRun.objects.order_by("id").values_list("answered", flat=True)[0]
    assert (named["open_orders"], len(named["external"])) == (count, EXTERNAL_NAMED_MAX)


@pytest.mark.case("T35")
def test_a_second_reconcile_records_only_what_it_did_not_know(submitted: Submitted, broker: FakeBroker) -> None:
    make_busy(broker, count=20)
    execution_reconcile(broker=broker, now=at(100), settle_seconds=0)
    known = BrokerEvent.objects.count()
    broker.deals.append(deal_of_others(broker.account_id, 77))

    report = execution_reconcile(broker=broker, now=at(200), settle_seconds=0)

    assert (report.told, BrokerEvent.objects.count()) == (61, known + 1)


@pytest.mark.case("T33")
def test_deals_of_others_in_other_instruments_are_read_once(submitted: Submitted, broker: FakeBroker) -> None:
    # Given ten shares of ours, and a day of deals of others in something else
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.entry, T.FILLED))
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
