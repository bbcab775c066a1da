"""Passwords are counted before they are looked at, on every road in one count, and no stranger locks a user out."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from app.alerts.models import Alert
from app.logins import attempts
from app.logins.models import AttemptCount, Login
from tests.api.desk import PASSWORD, MakeUser
from tests.eventually import eventually
from tests.logins.conftest import CountingHasher

pytestmark = pytest.mark.django_db(transaction=True)

Hasher = type[CountingHasher]
ROADS = ("/login/", "/admin/login/", "/api/v1/token/")
LIMIT = 10
WRONG = "wrong"


@pytest.fixture
def ada(hasher: Hasher, make_user: MakeUser) -> User:
    user = make_user("ada", "reviewer", is_staff=True)
    hasher.looked = 0
    return user


@pytest.fixture(autouse=True)
def behind_a_proxy(settings: Settings) -> None:
    """Each test says from which address a request comes."""
    settings.PROXY_COUNT = 1


def log_in(road: str, *, name: str = "ada", password: str = WRONG, address: str, client: Client | None = None) -> str:
    """Try to log in; say `in`, `wrong` or `throttled`."""
    client = client or Client()
    given = {"username": name, "password": password}
    kind = "application/json" if road.startswith("/api/") else None
    answer = client.post(road, given, headers={"X-Forwarded-For": address}, **({"content_type": kind} if kind else {}))
    if kind:
        return {200: "in", 401: "wrong", 429: "throttled"}[answer.status_code]
    if answer.status_code == 302:
        return "in"
    return "throttled" if "Too many attempts" in answer.content.decode() else "wrong"


def at_once(tries: list[Callable[[], str]]) -> list[str]:
    def one(try_it: Callable[[], str]) -> str:
        try:
            return try_it()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(one, tries))


@pytest.mark.case("S20")
@pytest.mark.parametrize("roads", [("/login/",), ("/admin/login/",), ("/api/v1/token/",), ROADS])
@pytest.mark.parametrize("by", ["address", "name"])
def test_of_forty_tries_at_once_ten_are_looked_at(ada: User, hasher: Hasher, roads: tuple[str, ...], by: str) -> None:
    def one(number: int) -> str:
        name, address = (f"name{number}", "1.1.1.1") if by == "address" else ("ada", f"1.1.1.{number + 1}")
        return log_in(roads[number % len(roads)], name=name, address=address)

    outcomes = at_once([lambda number=number: one(number) for number in range(40)])  # type: ignore[misc]
    assert sorted(outcomes) == ["throttled"] * 30 + ["wrong"] * LIMIT
    assert hasher.looked == LIMIT


@pytest.mark.case("S20")
@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_spellings_of_a_name_are_one_name(ada: User, hasher: Hasher, name: str) -> None:
    spellings = [name, name.upper(), name.title(), f" {name} ", "".join(chr(ord(letter) + 0xFEE0) for letter in name)]
    for number in range(20):
        log_in("/api/v1/token/", name=spellings[number % 5], address=f"1.1.1.{number + 1}")
    assert hasher.looked == LIMIT


@pytest.mark.case("S20")
def test_addresses_of_one_ipv6_network_are_one_address(ada: User, hasher: Hasher) -> None:
    for number in range(20):
        log_in("/login/", name=f"name{number}", address=f"2001:db8::{number + 1:x}")
    assert hasher.looked == LIMIT


@pytest.mark.case("S20")
def test_a_stranger_does_not_lock_out_who_has_logged_in_before(ada: User) -> None:
    own_browser = Client()
    assert log_in("/login/", password=PASSWORD, address="5.5.5.5", client=own_browser) == "in"
    own_browser.post("/logout/")
    for number in range(3 * LIMIT):
        log_in(ROADS[number % 3], address=f"6.6.6.{number + 1}")
    for _ in range(LIMIT):
        log_in("/login/", name="x", address="7.7.7.7")

    assert log_in("/login/", password=PASSWORD, address="8.8.8.8") == "throttled", "a stranger with the right password"
    assert log_in("/api/v1/token/", password=PASSWORD, address="5.5.5.5") == "in", "the address is known"
    assert log_in("/login/", password=PASSWORD, address="7.7.7.7", client=own_browser) == "in", "the browser is known"
    assert log_in("/admin/login/", password=PASSWORD, address="7.7.7.7") == "throttled"


@pytest.mark.case("S20")
def test_a_known_browser_is_known_for_its_own_name_and_limited_too(
    ada: User, make_user: MakeUser, hasher: Hasher
) -> None:
    make_user("bob", "analyst")
    browser = Client()
    log_in("/login/", password=PASSWORD, address="5.5.5.5", client=browser)
    hasher.looked = 0
    for _ in range(2 * LIMIT):
        log_in("/login/", name="bob", address="5.5.5.5", client=browser)
    assert hasher.looked == LIMIT
    for _ in range(2 * LIMIT):
        log_in("/login/", name="ada", address="5.5.5.5", client=browser)
    assert hasher.looked == 2 * LIMIT
    browser.cookies["known_browser"] = browser.cookies["known_browser"].value[:-1]
    assert log_in("/login/", password=PASSWORD, address="5.5.5.5", client=browser) == "throttled", "a forged cookie"


@pytest.mark.case("S20")
def test_when_the_minute_is_over_passwords_are_looked_at_again(ada: User) -> None:
    for _ in range(2 * LIMIT):
        last = log_in("/login/", address="1.1.1.1")
    assert last == "throttled"
    AttemptCount.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert log_in("/login/", password=PASSWORD, address="1.1.1.1") == "in"
    assert not AttemptCount.objects.filter(expires_at__year=2020).exists(), "old counts are not kept"


@pytest.mark.case("S20")
def test_right_passwords_are_no_attempts(ada: User) -> None:
    outcomes = {log_in(ROADS[number % 3], password=PASSWORD, address="1.1.1.1") for number in range(3 * LIMIT)}
    assert outcomes == {"in"}


@contextmanager
def started(tries: list[Callable[[], str]]) -> Iterator[list[Future[str]]]:
    """Let all tries begin at once, and end with the block."""

    def one(try_it: Callable[[], str]) -> str:
        try:
            return try_it()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(tries)) as pool:
        try:
            yield [pool.submit(one, try_it) for try_it in tries]
        finally:  # A test that failed must not be waited for.
            CountingHasher.may_end.set()


@pytest.mark.case("S42")
@pytest.mark.parametrize("road", ROADS)
def test_right_passwords_at_once_do_not_shut_each_other_out(ada: User, hasher: Hasher, road: str) -> None:
    """Given that no look ends before as many go on as there are places, when thirty are tried, then all are in."""
    hasher.may_end.clear()
    with started([lambda: log_in(road, password=PASSWORD, address="1.1.1.1")] * 30) as tries:
        eventually(lambda: hasher.looked == LIMIT)
        assert not any(one.done() for one in tries), "nobody is refused while the places may become free"
        hasher.may_end.set()
        assert [one.result(60) for one in tries] == ["in"] * 30
    assert set(AttemptCount.objects.values_list("count", "looking")) == {(0, 0)}


@pytest.mark.case("S42")
def test_who_waits_for_wrong_passwords_is_refused_unlooked(ada: User, hasher: Hasher) -> None:
    hasher.may_end.clear()
    with started([lambda: log_in("/api/v1/token/", address="1.1.1.1")] * 30) as tries:
        eventually(lambda: hasher.looked == LIMIT)
        hasher.may_end.set()
        assert sorted(one.result(60) for one in tries) == ["throttled"] * 20 + ["wrong"] * LIMIT
    assert hasher.looked == LIMIT


@pytest.mark.case("S42")
def test_a_wrong_password_takes_its_place_from_the_right_ones_for_good(ada: User, hasher: Hasher) -> None:
    """Given nine wrong ones, when twenty right ones come at once, then all are in; a tenth wrong one ends it."""
    for _ in range(LIMIT - 1):
        assert log_in("/api/v1/token/", address="1.1.1.1") == "wrong"
    right = [lambda: log_in("/api/v1/token/", password=PASSWORD, address="1.1.1.1")] * 20
    with started(right) as tries:
        assert [one.result(60) for one in tries] == ["in"] * 20
    assert log_in("/api/v1/token/", address="1.1.1.1") == "wrong"
    assert log_in("/api/v1/token/", password=PASSWORD, address="1.1.1.1") == "throttled"


@pytest.mark.case("S42")
@pytest.mark.parametrize("bound", ["WAIT_SECONDS_MAX", "_waiting"])
def test_nobody_waits_for_ever_for_looks_whose_process_is_gone(
    ada: User, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    for _ in range(LIMIT):
        log_in("/api/v1/token/", address="1.1.1.1")
    AttemptCount.objects.update(looking=LIMIT)
    monkeypatch.setattr(attempts, bound, 0.3 if bound == "WAIT_SECONDS_MAX" else BoundedSemaphore(1))
    if bound == "_waiting":
        attempts._waiting.acquire()
    assert log_in("/api/v1/token/", password=PASSWORD, address="1.1.1.1") == "throttled"


@pytest.mark.case("S42")
def test_a_look_of_a_minute_that_is_over_gives_nothing_back_to_this_one(ada: User, hasher: Hasher) -> None:
    hasher.may_end.clear()
    with started([lambda: log_in("/api/v1/token/", password=PASSWORD, address="1.1.1.1")]) as tries:
        eventually(lambda: hasher.looked == 1)
        AttemptCount.objects.update(expires_at="2020-01-01T00:00:00Z")
        with started([lambda: log_in("/api/v1/token/", address="1.1.1.1")] * LIMIT) as others:
            eventually(lambda: hasher.looked == 1 + LIMIT)
            hasher.may_end.set()
            assert {one.result(60) for one in others} == {"wrong"}
        assert tries[0].result(60) == "in"
    assert log_in("/api/v1/token/", address="1.1.1.1") == "throttled"


@pytest.mark.case("S21")
@pytest.mark.parametrize("road", ROADS)
def test_a_failure_leaves_name_address_and_road_in_the_log(
    ada: User, caplog: pytest.LogCaptureFixture, road: str
) -> None:
    log_in(road, name="ad\u2028a x" + "y" * 80, address="1.2.3.4")
    told = next(record.msg for record in caplog.records if "login_failed" in str(record.msg))
    assert isinstance(told, dict)
    assert told["name"] == ("ad?a x" + "y" * 80)[:64]
    assert told["address"] == "1.2.3.4"
    assert told["road"] == dict(zip(ROADS, ("PAGE", "ADMIN", "TOKEN"), strict=True))[road]


@pytest.mark.case("S21")
def test_a_burst_is_alerted_once(ada: User) -> None:
    for number in range(4 * LIMIT):
        log_in(ROADS[number % 3], address=f"1.1.1.{number % 3}")
    alert = Alert.objects.get(kind="login_attempts")
    assert "'ada'" in alert.text
    assert alert.times < LIMIT


@pytest.mark.case("S21")
def test_who_logged_in_from_where_is_kept_and_admins_see_it(ada: User, make_user: MakeUser) -> None:
    browsers = [Client(headers={"User-Agent": "Browser/1"}) for _ in ROADS]
    for number, road in enumerate(ROADS):
        log_in(road, password=PASSWORD, address=f"9.9.9.{number}", client=browsers[number])
    kept = Login.objects.order_by("at").values_list("user__username", "road", "address", "browser")
    assert list(kept) == [("ada", road, f"9.9.9.{n}", "Browser/1") for n, road in enumerate(("PAGE", "ADMIN", "TOKEN"))]
    browsers[0].post("/logout/")
    assert [login.ended_at is None for login in Login.objects.order_by("at")] == [False, True, False]
    admin = Client()
    admin.force_login(make_user("root", is_staff=True, is_superuser=True))
    page = admin.get("/admin/logins/login/").content.decode()
    assert all(f"9.9.9.{number}" in page for number in range(3))
    assert "session_digest" not in page
