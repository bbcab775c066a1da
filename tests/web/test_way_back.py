"""Whoever finds the session gone logs in and is back on the page; and pages answer HEAD as they answer GET."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, reverse

from app.web.urls import urlpatterns
from app.web.way_back import page_above
from tests.api.desk import PASSWORD, MakeSetup, MakeUser
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
HOST = "http://testserver"
ADDRESSES = [
    reverse(f"web:{route.name}", args=[1] if "<int:pk>" in str(route.pattern) else [])
    for route in urlpatterns
    if isinstance(route, URLPattern) and route.name
]


@pytest.mark.case("A3")
@pytest.mark.parametrize(
    ("shown", "back"),
    [
        (f"{HOST}/executions/?symbol=AAPL&before=7", "/executions/%3Fsymbol%3DAAPL%26before%3D7"),
        (f"{HOST}/setups/1/execute/", "/setups/1/"),  # An error page of a button stands at the button's address.
        ("https://evil.example/executions/", "/alerts/"),
        ("", "/alerts/"),
    ],
)
def test_htmx_is_told_to_go_to_the_login_page_and_never_given_it(shown: str, back: str) -> None:
    answer = Client().get("/alerts/", headers={"HX-Request": "true", "HX-Current-URL": shown})
    assert (answer.status_code, answer["HX-Redirect"]) == (401, f"/login/?next={back}")
    assert "<form" not in answer.content.decode()


@pytest.mark.case("A3")
def test_a_button_without_a_session_leads_back_to_the_page_it_stood_on(analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    client = Client()
    path = f"/setups/{setup.pk}/"
    answer = client.post(f"{path}execute/", {"idempotency_key": "k"}, headers={"Referer": f"{HOST}{path}"})
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={path}")
    login = client.get(answer["Location"])
    assert "nothing was done" in login.content.decode()
    values = {"username": "ada", "password": PASSWORD, "next": path}
    assert client.post("/login/", values, follow=True).redirect_chain == [(path, 302)]
    assert not setup.executions.exists()


@pytest.mark.case("A3")
@pytest.mark.parametrize("address", [path for path in ADDRESSES if path != "/"])
def test_a_login_never_ends_at_an_address_that_shows_no_page(make_user: MakeUser, address: str) -> None:
    visit = visit_of(make_user("ada", "analyst"))
    assert visit.get(page_above(address)).status_code != 405, "it belongs among way_back.BUTTONS"


@pytest.mark.case("S27")
def test_pages_answer_head_as_they_answer_get(make_user: MakeUser) -> None:
    visit = visit_of(make_user("ada", "trader"))
    answers = {
        path: (visit.get(path).status_code, visit.head(path).status_code)
        for path in ADDRESSES
        if not path.startswith("/live/")
    }
    assert {path: got for path, got in answers.items() if got[0] != got[1]} == {}
    assert answers["/setups/"] == (200, 200)


@pytest.mark.case("A3")
def test_a_form_from_before_another_login_says_that_nothing_was_done(analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    client = Client(enforce_csrf_checks=True)
    client.force_login(analyst)
    page = client.get(f"/setups/{setup.pk}/").content.decode()
    old = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    client.cookies["csrftoken"] = "x" * 32  # What the other window's login has set.
    answer = client.post(f"/setups/{setup.pk}/execute/", {"idempotency_key": "k", "csrfmiddlewaretoken": old})
    assert answer.status_code == 403
    assert "you have logged in again since the page was loaded" in answer.content.decode()
    assert not setup.executions.exists()
