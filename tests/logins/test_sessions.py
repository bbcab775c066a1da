"""A session ends when nobody acts, when it is old, and when its user says so."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from app.logins.models import Login
from app.logins.sessions import AGE_SECONDS_MAX, IDLE_SECONDS_MAX, LOGGED_IN_AT, SEEN_AT
from tests.api.desk import PASSWORD, MakeUser

pytestmark = [pytest.mark.django_db, pytest.mark.case("S22")]


def logged_in(user: User) -> Client:
    client = Client()
    assert client.post("/login/", {"username": user.username, "password": PASSWORD}).status_code == 302
    return client


def grow_old(client: Client, **ages: float) -> None:
    """Move what the session keeps into the past, by seconds."""
    session = client.session
    for name, seconds in ages.items():
        session[name] -= seconds
    session.save()


def is_in(client: Client, **headers: str) -> bool:
    return client.get("/setups/", headers=headers).status_code == 200


def test_the_limits_are_eight_hours_without_an_act_and_seven_days_in_all(analyst: User) -> None:
    assert (timedelta(seconds=IDLE_SECONDS_MAX), timedelta(seconds=AGE_SECONDS_MAX)) == (
        timedelta(hours=8),
        timedelta(days=7),
    )
    assert logged_in(analyst).cookies["sessionid"]["max-age"] == AGE_SECONDS_MAX, "the browser forgets it too"


@pytest.mark.parametrize(
    ("ages", "stays"),
    [
        ({}, True),
        ({SEEN_AT: IDLE_SECONDS_MAX - 60}, True),
        ({SEEN_AT: IDLE_SECONDS_MAX + 60}, False),
        ({LOGGED_IN_AT: AGE_SECONDS_MAX - 60}, True),
        ({LOGGED_IN_AT: AGE_SECONDS_MAX + 60}, False),
    ],
)
def test_a_session_ends_when_idle_and_when_old(analyst: User, ages: dict[str, float], stays: bool) -> None:
    client = logged_in(analyst)
    grow_old(client, **ages)
    assert is_in(client) is stays
    assert Session.objects.count() == int(stays), "it is gone, not only refused"
    assert (Login.objects.get().ended_at is None) is stays


@pytest.mark.parametrize(
    "polled", [{"HX-Request": "true"}, {"Accept": "text/event-stream"}, {"Sec-Fetch-Mode": "cors"}]
)
def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(analyst: User, polled: dict[str, str]) -> None:
    client = logged_in(analyst)
    grow_old(client, **{SEEN_AT: IDLE_SECONDS_MAX - 60})
    before = client.session[SEEN_AT]
    assert is_in(client, **polled)
    assert client.session[SEEN_AT] == before
    assert is_in(client)
    assert client.session[SEEN_AT] > before


@pytest.mark.parametrize("with_token", [True, False])
def test_log_out_everywhere_ends_every_session_of_the_user_and_no_other(
    analyst: User, make_user: MakeUser, with_token: bool
) -> None:
    Token.objects.create(user=analyst)
    browsers, other = [logged_in(analyst) for _ in range(3)], logged_in(make_user("bob", "analyst"))
    assert browsers[0].get("/logins/").content.count(b"127.0.0.1") == 3
    browsers[0].post("/logins/end/", {"with_token": "on"} if with_token else {})
    assert [is_in(client) for client in (*browsers, other)] == [False, False, False, True]
    assert Token.objects.exists() is not with_token
    assert not Login.objects.filter(user=analyst, ended_at=None).exists()


def test_an_admin_ends_the_sessions_of_a_user(analyst: User, make_user: MakeUser) -> None:
    client = logged_in(analyst)
    root, reader = make_user("root", is_staff=True, is_superuser=True), make_user("eve", "reviewer", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_login"))
    chosen = {"action": "end_sessions", "_selected_action": [str(Login.objects.get().pk)]}
    for user, is_in_after in ((reader, True), (root, False)):
        admin = Client()
        admin.force_login(user)
        admin.post("/admin/logins/login/", chosen)
        assert is_in(client) is is_in_after


def test_a_session_from_before_gets_its_age_now(analyst: User) -> None:
    client = logged_in(analyst)
    session = client.session
    del session[LOGGED_IN_AT], session[SEEN_AT]
    session.save()
    assert is_in(client)
    assert timezone.now() - timedelta(seconds=60) < Login.objects.get().at
    assert client.session[LOGGED_IN_AT] == client.session[SEEN_AT]
