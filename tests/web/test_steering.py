"""Settling an execution and moving its stop in a browser without scripts."""

import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.models import OrderCommand
from tests.api.desk import Filled, MakeUser
from tests.services.book import Book
from tests.services.heard import message, told
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(filled: Filled, analyst: User) -> Book:
    """Ten shares held behind a stop at 185 with a target at 200; the market is at 190."""
    book = filled(analyst, take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.target, ToldStatus.SUBMITTED))
    return book


@pytest.fixture
def flagged(running: Book) -> Book:
    running.hear(message(running.stop, 99999, "Something new", MessageMeaning.UNKNOWN))
    return running


def forms_of(page: str, address: str) -> list[dict[str, str]]:
    """Return what each form that is sent to the address holds before anything is typed."""
    found = re.findall(rf'<form[^>]*action="{address}"[^>]*>(.*?)</form>', page, re.DOTALL)
    field = re.compile(r'<input(?=[^>]*\bname="([^"]+)")(?=[^>]*\bvalue="([^"]*)")?[^>]*>')
    return [{name: unescape(value) for name, value in field.findall(form)} for form in found]


def html(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.content.decode()
    return str(answer.content.decode())


# Moving


def test_a_stop_and_a_target_are_moved_from_where_the_page_showed_them(visit: Client, running: Book) -> None:
    path = f"/executions/{running.execution_id}/"
    stop, target = forms_of(html(visit.get(path)), f"{path}move/")
    assert (stop["what"], stop["expected_price"], target["what"]) == ("stop", "185.00", "target")
    assert visit.post(f"{path}move/", stop | {"price": "187,5"}).status_code == 302
    assert visit.post(f"{path}move/", stop | {"price": "187.50"}).status_code == 302, "sent twice it is one move"
    assert visit.post(f"{path}move/", target | {"price": "195"}).status_code == 302
    moved = OrderCommand.objects.filter(kind="MODIFY").values_list("order__leg", "change")
    assert dict(moved) == {"STOP_LOSS": {"stop_price": "187.5"}, "TAKE_PROFIT": {"limit_price": "195"}}


@pytest.mark.parametrize(
    ("price", "status", "code"),
    [("", 422, "price_unclear"), ("abc", 422, "price_unclear"), ("190", 422, "would_trigger_at_once")],
)
def test_what_cannot_be_is_said_on_the_page(visit: Client, running: Book, price: str, status: int, code: str) -> None:
    path = f"/executions/{running.execution_id}/"
    stop, _target = forms_of(html(visit.get(path)), f"{path}move/")
    page = html(visit.post(f"{path}move/", stop | {"price": price}), status)
    assert f"<code>{code}</code>" in page
    assert len(forms_of(page, f"{path}move/")) == 2, "and can be tried again"


def test_a_stop_that_is_elsewhere_by_now_is_not_moved(visit: Client, running: Book) -> None:
    path = f"/executions/{running.execution_id}/"
    stop, _target = forms_of(html(visit.get(path)), f"{path}move/")
    running.hear(told(running.stop, ToldStatus.PRE_SUBMITTED, stop_price=Decimal(186)))
    page = html(visit.post(f"{path}move/", stop | {"price": "187"}), 409)
    assert "<code>price_changed</code>" in page
    assert forms_of(page, f"{path}move/")[0]["expected_price"] == "186.00"


# Settling


@pytest.mark.case("T21")
def test_a_deal_is_entered_after_a_look_at_what_comes_of_it(visit: Client, flagged: Book) -> None:
    path = f"/executions/{flagged.execution_id}/"
    forms = {form["act"]: form for form in forms_of(html(visit.get(path)), f"{path}resolve/")}
    assert set(forms) == {"take_over", "protect", "enter_fill", "dismiss"}
    said = forms["enter_fill"] | {"order_ref": flagged.stop.order_ref, "quantity": "10", "price": "184,90"}
    said |= {"executed_at": f"{clock.now():%Y-%m-%d %H:%M:%S}", "note": "as the statement says"}
    preview = html(visit.post(f"{path}resolve/", said))
    assert "Open shares: 10 now, 0 afterwards." in " ".join(preview.split())
    assert f"CANCEL <bdi>{flagged.target.order_ref}</bdi>" in preview
    assert flagged.execution.status == "OPEN"
    (confirmed,) = forms_of(preview, f"{path}resolve/")
    assert visit.post(f"{path}resolve/", confirmed).status_code == 302
    assert (flagged.stop.status, flagged.stop.average_price) == ("FILLED", Decimal("184.9"))


def test_a_stop_is_placed_for_shares_that_have_none(visit: Client, flagged: Book) -> None:
    flagged.hear(told(flagged.stop, ToldStatus.CANCELLED))
    path = f"/executions/{flagged.execution_id}/resolve/"
    preview = html(visit.post(path, {"act": "protect", "quantity": "", "stop_price": "184,5"}))
    assert "SELL 10 STOP 184.50 GTC" in preview
    (confirmed,) = forms_of(preview, path)
    assert visit.post(path, confirmed).status_code == 302
    command = OrderCommand.objects.get(reason_code="protected")
    assert (command.order.stop_price, command.user) == (Decimal("184.5"), flagged.execution.requested_by)


def test_what_has_moved_since_the_look_is_looked_at_again(visit: Client, flagged: Book) -> None:
    path = f"/executions/{flagged.execution_id}/resolve/"
    (confirmed,) = forms_of(html(visit.post(path, {"act": "dismiss", "note": "known"})), path)
    flagged.hear(message(flagged.stop, 99998, "Something else", MessageMeaning.UNKNOWN))
    page = html(visit.post(path, confirmed), 409)
    assert "<code>facts_changed</code>" in page
    assert "Something new" in flagged.execution.attention
    (again,) = forms_of(html(visit.post(path, {"act": "dismiss", "note": "known"})), path)
    visit.post(path, again)
    assert flagged.execution.attention == ""


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"act": "burn"},
        {"act": "dismiss"},
        {"act": "enter_fill", "quantity": "1.000"},
        {"act": "enter_fill", "order_ref": "another", "quantity": "1", "price": "1", "executed_at": "yesterday"},
    ],
)
def test_what_is_not_said_properly_is_asked_for_again(visit: Client, flagged: Book, said: dict[str, str]) -> None:
    path = f"/executions/{flagged.execution_id}/resolve/"
    page = html(visit.post(path, said), 422)
    assert forms_of(page, path)


def test_who_may_not_is_shown_no_form(flagged: Book, make_user: MakeUser, reviewer: User) -> None:
    path = f"/executions/{flagged.execution_id}/"
    page = html(visit_of(reviewer).get(path))
    assert forms_of(page, f"{path}resolve/") == forms_of(page, f"{path}move/") == []
    assert visit_of(reviewer).get(f"{path}resolve/").status_code == 403
    assert visit_of(reviewer).post(f"{path}move/", {}).status_code == 403
    assert visit_of(make_user("bob", "analyst")).get(f"{path}resolve/").status_code == 404


def test_where_nobody_is_asked_no_act_is_offered(visit: Client, running: Book) -> None:
    path = f"/executions/{running.execution_id}/"
    assert forms_of(html(visit.get(path)), f"{path}resolve/") == []
