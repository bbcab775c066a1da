"""What answers without a login is known, and docs/operations.md says how a proxy keeps it inside."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

OPERATIONS = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
# Nothing to be known there: that the process lives, the pages to log in, and how API tokens are asked for.
HARMLESS = {"/healthz", "/login/", "/admin/login/"}


def addresses(resolver: URLResolver, before: str = "/") -> Iterator[str]:
    """Return every address without a parameter."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, route)
        elif isinstance(entry, URLPattern) and not re.search(r"[<(^\\]", route):
            yield route


@pytest.mark.case("S33")
@pytest.mark.django_db
def test_what_answers_without_a_login_is_kept_inside_by_the_documented_proxy() -> None:
    client = Client(raise_request_exception=False)
    # 503 is an answer of /readyz.
    is_open = {address for address in set(addresses(get_resolver())) if client.get(address).status_code in {200, 503}}
    is_open = {address for address in is_open if not address.startswith("/static/")} - HARMLESS

    caddy = re.search(r"@inside path (.+)", OPERATIONS)
    nginx = re.search(r"location ~ (\S+) \{ return 404; \}", OPERATIONS)
    assert caddy is not None
    assert nginx is not None
    assert is_open >= {"/metrics", "/readyz", "/api/schema/", "/api/docs/"}
    assert [
        address for address in sorted(is_open) if not any(fnmatch(address, path) for path in caddy[1].split())
    ] == []
    assert [address for address in sorted(is_open) if not re.search(nginx[1], address)] == []
    for closed in ("/healthz", "/", "/api/v1/setups/", "/metricsandmore"):
        assert not re.search(nginx[1], closed)
