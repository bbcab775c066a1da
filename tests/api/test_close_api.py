"""Closing what is held, or a part of it, over REST and in the browser."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg, OrderType
from app.executions.models import Decision, Execution
from app.executions.services.flatten import execution_flatten_send
from app.executions.services.submit import execution_submit
from tests.api.desk import Filled, MakeUser, script
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import fill, told

pytestmark = pytest.mark.django_db
TWO_TARGETS = {
    "quantity": Decimal(10),
    "take_profits": [
        {"price": Decimal(200), "fraction": Decimal("0.6")},
        {"price": Decimal(210), "fraction": Decimal("0.4")},
    ],
}


def echoed(book: Book) -> Book:
    """The exits of each tranche are at work, in one group."""
    for order in book.orders:
        if order.leg != Leg.ENTRY:
            group = f"group {order.bracket_id}"
            more = {"limit_price": order.limit_price, "stop_price": order.stop_price, "order_type": order.order_type}
            book.hear(told(order, ToldStatus.SUBMITTED, source="open_order", oca_group=group, oca_type=3, **more))
    return book


@pytest.fixture
def held(filled: Filled, analyst: User) -> Book:
    """Ten shares with a stop at 185 and a target at 200."""
    return echoed(filled(analyst, take_profits=[{"price": Decimal(200)}]))


def post(api: APIClient, book: Book, body: Any, *, key: str = "k1") -> tuple[int, dict[str, Any]]:
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    answer = api.post(f"/api/v1/executions/{book.execution_id}/close/", body, format="json", **headers)
    return answer.status_code, answer.json()


def step(book: Book, broker: FakeBroker) -> int:
    return execution_flatten_send(execution_id=book.execution_id, broker=broker, now=clock.now())


def keeps(book: Book) -> list[Decimal | None]:
    return [bracket.keep_quantity for bracket in book.brackets]


def test_all_of_it_is_closed_once_for_each_key(api: APIClient, held: Book, broker: FakeBroker) -> None:
    status, answer = post(api, held, {"fraction": "1"})
    assert (status, answer["flatten_requested_at"] is not None) == (202, True)
    assert post(api, held, {"fraction": "1"})[0] == 202
    assert post(api, held, {"fraction": "0.5"})[1]["code"] == "idempotency_key_reused"
    assert post(api, held, {"fraction": "1"}, key="k2")[1]["code"] == "closing_already"
    assert Decision.objects.filter(action="CLOSE_REQUESTED").count() == 1

    step(held, broker)

    assert [(ticket.order_ref, ticket.order_type) for _id, ticket, _parent in broker.modified] == [
        (held.target.order_ref, OrderType.MARKET)
    ]


def test_a_part_is_cut_first_and_then_closed(api: APIClient, held: Book, broker: FakeBroker) -> None:
    # Given ten shares, of which a third is to be closed: rounded down, three
    assert post(api, held, {"fraction": "0.33"})[0] == 202
    assert keeps(held) == [Decimal(7)]
    # Then both exits are cut to seven, and nothing is sold before the broker has echoed that
    assert step(held, broker) == 2
    assert {ticket.quantity for _id, ticket, _parent in broker.modified} == {Decimal(7)}
    held.hear(told(held.stop, ToldStatus.SUBMITTED, source="open_order", remaining="7", oca_group="g"))
    assert (step(held, broker), broker.singles) == (0, [])
    held.hear(told(held.target, ToldStatus.SUBMITTED, source="open_order", remaining="7", oca_group="g"))
    # When it has, three are sold, and that is all
    assert step(held, broker) == 1
    assert [ticket.quantity for ticket in broker.singles] == [Decimal(3)]
    close = held.order(Leg.CLOSE)
    held.hear(told(close, ToldStatus.SUBMITTED), fill(close, "3"), told(close, ToldStatus.FILLED))
    assert step(held, broker) == 0
    assert (held.execution.open_quantity, held.execution.close_requested_at, keeps(held)) == (7, None, [None])
    assert broker.cancelled == []
    # And the rest may be closed afterwards
    assert post(api, held, {"quantity": "7"}, key="k2")[0] == 202


def test_tranches_are_closed_from_the_first_upwards(
    api: APIClient, requested: Callable[..., Execution], analyst: User, broker: FakeBroker
) -> None:
    execution = requested(analyst, **TWO_TARGETS)
    execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    book = Book(execution.pk)
    for tranche in (1, 2):
        entry = book.order(Leg.ENTRY, tranche=tranche)
        book.hear(told(entry, ToldStatus.SUBMITTED), fill(entry, str(entry.quantity)))
    echoed(book)

    assert post(api, book, {"quantity": "8"})[0] == 202

    assert keeps(book) == [Decimal(0), Decimal(2)]


def test_a_limit_moves_the_target_and_leaves_the_stop(api: APIClient, held: Book, broker: FakeBroker) -> None:
    body = {"fraction": "1", "order_type": "LIMIT", "limit_price": "195.00"}
    assert post(api, held, body)[0] == 202

    step(held, broker)

    ((_id, ticket, _parent),) = broker.modified
    assert (ticket.order_ref, ticket.order_type, ticket.limit_price) == (
        held.target.order_ref,
        OrderType.LIMIT,
        Decimal(195),
    )
    held.hear(told(held.target, ToldStatus.SUBMITTED, source="open_order", limit_price=Decimal(195), oca_group="g"))
    assert (step(held, broker), broker.cancelled, broker.singles) == (0, [], [])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "close_size_unclear"),
        ({"fraction": "0.5", "quantity": "5"}, 422, "close_size_unclear"),
        ({"fraction": "0"}, 422, "fraction_out_of_range"),
        ({"fraction": "1.5"}, 422, "fraction_out_of_range"),
        ({"fraction": "0.05"}, 422, "close_nothing"),
        ({"quantity": "11"}, 422, "quantity_too_large"),
        ({"quantity": "2.5"}, 422, "quantity_not_whole"),
        ({"fraction": "1", "order_type": "LIMIT"}, 422, "limit_price_unclear"),
        ({"fraction": "1", "limit_price": "195"}, 422, "limit_price_unclear"),
        ({"fraction": "1", "order_type": "LIMIT", "limit_price": "195.001"}, 422, "price_off_tick"),
        ({"fraction": "0.5", "order_type": "LIMIT", "limit_price": "195"}, 409, "limit_closes_whole_tranches"),
        ({"fraction": "1", "order_type": "STOP"}, 400, "choice_unknown"),
    ],
)
def test_what_is_unclear_is_refused(api: APIClient, held: Book, body: Any, status: int, code: str) -> None:
    answered, answer = post(api, held, body)
    assert (answered, answer["code"]) == (status, code)
    assert keeps(held) == [None]
    assert not Decision.objects.filter(action="CLOSE_REQUESTED").exists()


def test_without_a_target_there_is_no_limit(api: APIClient, filled: Filled, analyst: User) -> None:
    book = echoed(filled(analyst))
    body = {"fraction": "1", "order_type": "LIMIT", "limit_price": "195.00"}
    assert post(api, book, body)[1]["code"] == "no_target_to_move"


def test_it_needs_a_key_and_its_owner(api: APIClient, held: Book, make_user: MakeUser) -> None:
    assert post(api, held, {"fraction": "1"}, key="")[1]["code"] == "idempotency_key_missing"
    trader = script(make_user("tom", "trader"))
    assert post(trader, held, {"fraction": "1"})[0] in (403, 404)


def test_the_page_closes_a_part_and_asks_for_real_money(held: Book, analyst: User) -> None:
    page = Client()
    page.force_login(analyst)
    address = f"/executions/{held.execution_id}/"
    assert 'name="quantity"' in page.get(address).content.decode()
    answer = page.post(f"{address}close/", {"quantity": "4", "limit_price": "", "key": "once"})
    assert (answer.status_code, keeps(held)) == (302, [Decimal(6)])
    Account.objects.update(account_id="U1234567")
    answer = page.post(f"{address}close/", {"quantity": "10", "limit_price": "", "key": "twice"})
    assert "real money" in answer.content.decode()
    assert keeps(held) == [Decimal(6)]
