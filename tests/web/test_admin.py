"""The order history in the admin: found by any name, shown whole, edited by nobody."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from app.accounts.models import Account, BrokerConnection
from app.accounts.read_only_admin import CappedPaginator
from app.executions.models import Execution
from app.market.models import Instrument
from app.web.context import trading_mode
from tests.api.desk import Filled, MakeUser
from tests.services.book import Book
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
HISTORY = "/admin/executions/execution/"
ORDERS = "/admin/executions/order/"


@pytest.fixture
def book(analyst: User, filled: Filled) -> Book:
    return filled(analyst)


@pytest.fixture
def review(reviewer: User) -> Client:
    return visit_of(reviewer)


def html_of(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def rows_of(page: str) -> list[str]:
    body = page[page.index("<tbody>") :] if 'id="result_list"' in page else ""
    return re.findall(r"<tr>.*?</tr>", body, re.DOTALL)


def test_an_execution_is_shown_whole(review: Client, book: Book) -> None:
    page = html_of(review, f"{HISTORY}{book.execution_id}/change/")
    for shown in (
        book.entry.order_ref,
        book.stop.order_ref,
        str(book.entry.perm_id),
        f"IB-{book.entry.order_id}:{book.stop.order_id}",
        "190.16",
        "0.35 USD",
        "0.65 USD",
        "why_held=trigger",
        "fill_told",
        "ACCEPTED",
    ):
        assert shown in page, shown


@pytest.mark.parametrize("name", ["IB", "order_ref", "key", "perm_id", "exec_id", "exec_id_part", "number", "symbol"])
def test_an_execution_is_found_by_any_of_its_names(
    review: Client, book: Book, analyst: User, apple: Instrument, requested: Any, name: str
) -> None:
    Instrument.objects.filter(pk=apple.pk).update(symbol="MSFT")
    requested(analyst, symbol="MSFT")
    deal = book.entry.fills.order_by("id")[0]
    names = {
        "IB": f"IB-{book.entry.order_id}:{book.stop.order_id}",
        "order_ref": book.stop.order_ref,
        "key": book.execution.key,
        "perm_id": str(book.stop.perm_id),
        "exec_id": deal.exec_id,
        "exec_id_part": deal.exec_id[:-3],
        "number": str(book.execution_id),
        "symbol": "aapl",
    }
    (row,) = rows_of(html_of(review, HISTORY, q=names[name]))
    assert f">{book.execution_id}</a>" in row


@pytest.mark.parametrize(
    "name", ["IB-9:9", "IB-1:1", "0", "999999", "ZZZ", "abcdefghijkmnpqr-1-ENTRY", "' OR 1=1", "%"]
)
def test_what_is_not_there_is_not_found(review: Client, book: Book, name: str) -> None:
    for path in (HISTORY, ORDERS):
        assert rows_of(html_of(review, path, q=name)) == []


def test_orders_are_found_too(review: Client, book: Book) -> None:
    reference = f"IB-{book.entry.order_id}:{book.stop.order_id}"
    assert len(rows_of(html_of(review, ORDERS, q=reference))) == 2
    (row,) = rows_of(html_of(review, ORDERS, q=str(book.stop.perm_id)))
    assert book.stop.order_ref in row
    assert len(rows_of(html_of(review, ORDERS, q="AAPL"))) == 2
    assert book.stop.order_ref in html_of(review, f"{ORDERS}{book.stop.pk}/change/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"symbol": "AAPL"}, 1),
        ({"symbol": "MSFT"}, 0),
        ({"status__exact": "OPEN"}, 1),
        ({"status__exact": "CLOSED"}, 0),
        ({"requested_by__id__exact": "0"}, 0),
        ({"account__id__exact": "0"}, 0),
        ({"requested_at__gte": "2000-01-01 00:00:00+00:00"}, 1),
        ({"requested_at__gte": "2999-01-01 00:00:00+00:00"}, 0),
    ],
)
def test_the_history_is_narrowed(review: Client, book: Book, query: dict[str, str], found: int) -> None:
    Account.objects.create(account_id="DU7654321")  # A choice of one is not offered.
    assert len(rows_of(html_of(review, HISTORY, **query))) == found


@pytest.mark.parametrize("path", [HISTORY, ORDERS, "/admin/executions/fill/", "/admin/executions/brokerevent/"])
def test_lists_take_as_many_queries_for_one_execution_as_for_many(
    review: Client, analyst: User, filled: Filled, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    filled(analyst)
    html_of(review, path)
    with django_assert_num_queries(_queries(path)):
        few = len(rows_of(html_of(review, path)))
    for _ in range(3):
        filled(analyst)
    with django_assert_num_queries(_queries(path)):
        assert len(rows_of(html_of(review, path))) == 4 * few


def _queries(path: str) -> int:
    return {HISTORY: 12, ORDERS: 8}.get(path, 7)


MODELS = [
    model
    for app in ("executions", "setups")
    for model in apps.get_app_config(app).get_models()
    if admin.site.is_registered(model)
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_not_even_an_admin_edits_history(model: Any, make_user: MakeUser, book: Book) -> None:
    root = visit_of(make_user("root", is_superuser=True, is_staff=True))
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    number = model.objects.order_by("pk")[0].pk
    assert root.get(base + "add/").status_code == 403
    assert root.get(f"{base}{number}/delete/").status_code == 403
    assert root.post(f"{base}{number}/change/", {"status": "CLOSED"}).status_code == 403
    root.post(base, {"action": "delete_selected", "_selected_action": [number], "post": "yes"})
    assert "delete_selected" not in html_of(root, base)
    page = html_of(root, f"{base}{number}/change/")
    assert 'name="_save"' not in page
    assert model.objects.filter(pk=number).exists()


def test_rows_of_history_have_no_other_page() -> None:
    registered = {model.__name__ for model in admin.site._registry if model._meta.app_label == "executions"}
    assert registered == {"Execution", "Order", "Fill", "BrokerEvent"}


def test_an_account_is_switched_off_by_an_admin_and_by_nobody_else(
    make_user: MakeUser, review: Client, connection: BrokerConnection
) -> None:
    path = f"/admin/accounts/account/{connection.account_id}/change/"
    form = {"connections-TOTAL_FORMS": "0", "connections-INITIAL_FORMS": "0"}
    assert review.post(path, form).status_code == 403
    root = visit_of(make_user("root", is_superuser=True, is_staff=True))
    assert root.post(path, form | {"account_id": "U1"}).status_code == 302
    account = Account.objects.get()
    assert (account.is_active, account.account_id) == (False, "DU1234567")
    assert root.get(path.replace("change", "delete")).status_code == 403


def test_analysts_have_no_admin(analyst: User) -> None:
    assert visit_of(analyst).get(HISTORY).status_code == 302


def test_a_list_counts_only_so_far(analyst: User, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        filled(analyst)
    monkeypatch.setattr("app.accounts.read_only_admin.ROWS_COUNTED_MAX", 2)
    assert CappedPaginator(Execution.objects.all(), per_page=50).count == 2


def test_the_banner_costs_the_admin_nothing(rf: RequestFactory, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        trading_mode(rf.get("/admin/"))
