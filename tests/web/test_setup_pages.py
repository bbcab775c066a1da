"""The analyst plans, looks, and executes with one click."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from app.accounts.models import Account
from app.executions.models import Execution
from app.market.models import Instrument
from app.setups.models import Setup
from tests.api.desk import Filled, MakeSetup, MakeUser
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
FORM = {
    "symbol": "aapl",
    "side": "LONG",
    "entry_type": "MARKET",
    "stop_price": "185.00",
    "quantity": "10",
    "time_in_force": "DAY",
    "on_timeout": "CANCEL",
}


def html_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return str(answer.content.decode())


def key_on(page: str) -> str:
    found = re.search(r'name="idempotency_key" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_plan_is_saved_and_shown(visit: Client, account: Account, apple: Instrument) -> None:
    more = {"target_1_price": "200", "target_1_percent": "50", "target_2_price": "210", "target_2_percent": "50"}
    answer = visit.post("/setups/new/", FORM | more | {"tags": "gap, news", "notes": "<b>bold</b>"}, follow=True)
    page = answer.content.decode()
    assert answer.status_code == 200
    setup = Setup.objects.get()
    assert answer.redirect_chain == [(f"/setups/{setup.pk}/", 302)]
    assert (setup.symbol, setup.owner.username, setup.tags) == ("AAPL", "ada", ["gap", "news"])
    assert [str(target.fraction.normalize()) for target in setup.take_profits.all()] == ["0.5", "0.5"]
    assert "185.00" in page
    assert "50 % at 200.00, 50 % at 210.00" in page
    assert "&lt;b&gt;bold" in page
    assert "Execute on PAPER DU1234567" in page


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"stop_price": ""}, "This field is required."),
        ({"stop_price": "x"}, "x is not a number."),
        ({"symbol": "A/B"}, "A symbol has letters"),
        ({"stop_price": "195"}, "A LONG stop belongs below its entry"),
        ({"stop_price": "184.999"}, "184.999 is not a multiple of the tick 0.01"),
        ({"quantity": ""}, "Give the size"),
        ({"quantity": "0"}, "The size must be more than zero."),
        ({"entry_type": "LIMIT"}, "A limit entry needs the field “Entry price”."),
        ({"target_1_price": "180"}, "A LONG target belongs above its entry"),
        ({"tags": "x" * 41}, "A tag has at most 40 characters."),
        ({"entry_timeout_seconds": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    visit: Client, account: Account, apple: Instrument, changed: dict[str, str], shown: str
) -> None:
    answer = visit.post("/setups/new/", FORM | changed)
    assert answer.status_code == 422
    assert shown in answer.content.decode()
    assert not Setup.objects.exists()


def test_without_an_account_the_form_says_so(visit: Client, apple: Instrument) -> None:
    answer = visit.post("/setups/new/", FORM)
    assert (answer.status_code, "is not known yet" in answer.content.decode()) == (422, True)


def test_a_double_click_executes_once(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    key = key_on(html_of(visit, f"/setups/{setup.pk}/"))
    form = {"idempotency_key": key, "revision": "1"}
    clicks = [visit.post(f"/setups/{setup.pk}/execute/", form) for _ in range(2)]
    execution = Execution.objects.get()
    assert {click["Location"] for click in clicks} == {f"/executions/{execution.pk}/"}
    assert (execution.requested_by, execution.idempotency_key) == (analyst, key)


def test_each_look_at_the_page_is_another_intention(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    path = f"/setups/{make_setup(analyst).pk}/"
    assert key_on(html_of(visit, path)) != key_on(html_of(visit, path))


def test_a_refusal_is_shown_with_its_code(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    path = f"/setups/{make_setup(analyst).pk}/execute/"
    answer = visit.post(path, {"idempotency_key": "", "revision": "1"})
    assert (answer.status_code, "idempotency_key_missing" in answer.content.decode()) == (422, True)
    visit.post(path, {"idempotency_key": "one", "revision": "1"})
    answer = visit.post(path, {"idempotency_key": "two", "revision": "1"})
    assert (answer.status_code, "execution_in_progress" in answer.content.decode()) == (409, True)
    assert Execution.objects.count() == 1


def test_a_link_executes_nothing(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    assert visit.get(f"/setups/{make_setup(analyst).pk}/execute/").status_code == 405
    assert not Execution.objects.exists()


def test_the_list_shows_and_narrows(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    make_setup(analyst)
    old = make_setup(analyst, symbol="MSFT")
    page = html_of(visit, "/setups/")
    assert page.index("MSFT") < page.index("AAPL")
    assert "AAPL" not in html_of(visit, "/setups/?symbol=msft")
    assert "No setups here" in html_of(visit, "/setups/?symbol=%00&before=x&state=ARCHIVED")
    answer = visit.post(f"/setups/{old.pk}/archive/", {"revision": "1"})
    assert answer["Location"] == f"/setups/?put_away={old.pk}"
    assert "MSFT" not in html_of(visit, "/setups/")
    assert "MSFT" in html_of(visit, "/setups/?state=ARCHIVED")
    assert '<div class="actions" id="setup-current" hidden>' in html_of(visit, f"/setups/{old.pk}/")


def test_a_long_list_goes_on_with_older_ones(
    visit: Client, analyst: User, make_setup: MakeSetup, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    newest = make_setup(analyst)
    Setup.objects.bulk_create(
        [
            Setup(**{f.attname: getattr(newest, f.attname) for f in Setup._meta.fields if f.attname != "id"})
            for _ in range(50)
        ]
    )
    # Session, user, its permissions twice, setups, targets; connection, kill switches, alerts, account.
    with django_assert_num_queries(11):
        page = html_of(visit, "/setups/")
    assert page.count("<tr>") == 51
    older = re.search(r'href="(\?before=\d+)"', page)
    assert older is not None
    assert html_of(visit, f"/setups/{older[1]}").count("<tr>") == 2


def test_foreign_setups_are_not_there(visit: Client, make_user: MakeUser, make_setup: MakeSetup) -> None:
    foreign = make_setup(make_user("bob", "analyst"))
    assert "AAPL" not in html_of(visit, "/setups/")
    assert "There is nothing here" in html_of(visit, f"/setups/{foreign.pk}/", 404)
    assert visit.post(f"/setups/{foreign.pk}/execute/", {"idempotency_key": "k"}).status_code == 404


def test_a_reviewer_looks_but_does_not_touch(reviewer: User, analyst: User, make_setup: MakeSetup) -> None:
    setup, visit = make_setup(analyst), visit_of(reviewer)
    assert "New setup" not in html_of(visit, "/setups/")
    assert "Execute on" not in html_of(visit, f"/setups/{setup.pk}/")
    for path, more in [("execute/", {"idempotency_key": "k"}), ("archive/", {})]:
        answer = visit.post(f"/setups/{setup.pk}/{path}", more)
        assert (answer.status_code, "role_missing" in answer.content.decode()) == (403, True)
    assert "role_missing" in html_of(visit, "/setups/new/", 403)
    assert not Execution.objects.exists()


def test_the_setup_shows_what_was_done_about_it(visit: Client, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    page = html_of(visit, f"/setups/{book.execution.setup_id}/")
    assert f"IB-{book.entry.order_id}:{book.stop.order_id}" in page
    assert "OPEN" in page
