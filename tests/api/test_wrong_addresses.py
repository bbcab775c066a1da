"""Every address under `/api/` answers JSON: whichever method, with or without a token, a session or a CSRF token."""

import re
from collections.abc import Iterator
from itertools import product

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

pytestmark = [pytest.mark.django_db, pytest.mark.case("S13")]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
WRONG = ["/api", "/api/", "/api/v1/", "/api/v1/setup/", "/api/v1/setups/x/", "/api/v1/setups//", "/api/v2/setups/"]
KINDS = ["application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
PAGES_OF_THE_API = {"/api/docs/", "/api/docs"}


def addresses(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Every address below the resolver, with 1 for numbers and DU1 for names."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, route)
        elif isinstance(entry, URLPattern):
            yield re.sub(r"<slug:\w+>", "DU1", re.sub(r"<int:\w+>", "1", route))


MACHINES = [
    address for address in addresses(get_resolver()) if address.startswith(("/api/", "/healthz", "/readyz", "/metrics"))
]


def browser_of(user: User | None) -> APIClient:
    """A browser that sends no CSRF token; logged in where there is a user."""
    browser = APIClient(enforce_csrf_checks=True)
    if user is not None:
        browser.force_login(user)
    return browser


@pytest.mark.parametrize("logged_in", [True, False], ids=["session", "nobody"])
@pytest.mark.parametrize("address", WRONG)
def test_a_wrong_address_is_not_found_in_json(analyst: User, address: str, logged_in: bool) -> None:
    for method in METHODS:
        answer = browser_of(analyst if logged_in else None).generic(method, address, "{}", "application/json")
        assert (method, answer.status_code, answer["Content-Type"]) == (method, 404, "application/json")
        if method != "HEAD":
            assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics"])
def test_what_can_only_be_read_says_so(address: str) -> None:
    for method in METHODS:
        answer = browser_of(None).generic(method, address)
        if method in ("GET", "HEAD"):
            assert answer.status_code in (200, 503)
            continue
        assert (method, answer.status_code, answer["Content-Type"]) == (method, 405, "application/json")
        assert (answer.json()["code"], answer["Allow"]) == ("method_not_allowed", "GET, HEAD")


@pytest.mark.parametrize("logged_in", [True, False], ids=["session", "nobody"])
@pytest.mark.parametrize("address", MACHINES)
def test_nothing_for_machines_ever_answers_with_a_page(analyst: User, address: str, logged_in: bool) -> None:
    browser = browser_of(analyst if logged_in else None)
    for method, kind in product(METHODS, KINDS):
        answer = browser.generic(method, address, "{", kind)
        what = (method, kind, answer.status_code, answer.content[:200])
        assert answer.status_code < 500 or address == "/readyz", what
        if answer.status_code >= 400 or address not in PAGES_OF_THE_API:
            assert not answer.get("Content-Type", "").startswith("text/html"), what
        if answer.status_code >= 400 and method != "HEAD" and address != "/readyz":
            assert set(answer.json()) == {"code", "message", "details"}, what
