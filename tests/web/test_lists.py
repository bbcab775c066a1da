"""Lists on the pages: narrowed, sorted, and read in both directions; reasons in words."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from app.domain.terms import Leg
from app.executions.models import Execution
from app.setups.models import Setup
from app.web import paging
from app.web.execution_words import EXIT_WORDS, exit_words, why_words
from tests.api.desk import MakeSetup
from tests.web.page_parts import Element, page_read

pytestmark = [pytest.mark.django_db, pytest.mark.case("A15")]


def rows(page: Element) -> list[str]:
    return [row.children[0].text for row in page.only("tbody").all("tr")]


@pytest.mark.parametrize("sort", ["newest", "oldest", "symbol"])
def test_a_list_is_read_forth_and_back(
    visit: Client, analyst: User, make_setup: MakeSetup, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    made = [make_setup(analyst, symbol=symbol) for symbol in ("MSFT", "AAPL", "MSFT", "AAPL", "NVDA")]
    keys = {"newest": lambda s: -s.pk, "oldest": lambda s: s.pk, "symbol": lambda s: (s.symbol, -s.pk)}
    expected = [f"{setup.symbol} #{setup.pk}" for setup in sorted(made, key=keys[sort])]
    forth: list[list[str]] = []
    address = f"?sort={sort}"
    while True:
        page = page_read(visit.get(f"/setups/{address}").content)
        forth.append(rows(page))
        further = page.all("a", rel="next")
        if not further:
            break
        address = str(further[0].attributes["href"])
    assert [row for part in forth for row in part] == expected
    back = [forth[-1]]
    while newer := page.all("a", rel="prev"):
        page = page_read(visit.get(f"/setups/{newer[0].attributes['href']}").content)
        back.append(rows(page))
    assert back == forth[::-1]


def test_setups_are_narrowed_by_symbol_state_and_day(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    old, new = make_setup(analyst), make_setup(analyst, symbol="MSFT")
    Setup.objects.filter(pk=old.pk).update(
        created_at=datetime(2026, 3, 1, 23, 59, tzinfo=UTC), executed_at=datetime(2026, 3, 2, tzinfo=UTC)
    )

    def found(query: str) -> list[str]:
        page = page_read(visit.get(f"/setups/?{query}").content)
        return rows(page) if page.all("tbody") else []

    assert found("symbol=msft") == [f"MSFT #{new.pk}"]
    assert found("state=EXECUTED") == found("day_to=2026-03-01") == [f"AAPL #{old.pk}"]
    assert found("state=DRAFT") == found("day_from=2026-03-02") == [f"MSFT #{new.pk}"]
    assert found("day_to=2026-02-28") == []


@pytest.mark.parametrize("query", ["state=GONE", "day_from=yesterday", "sort=luck", "day_to=2026-13-01"])
@pytest.mark.parametrize("path", ["/setups/", "/executions/"])
def test_a_filter_that_means_nothing_lists_nothing_and_says_so(
    visit: Client, analyst: User, requested: Any, path: str, query: str
) -> None:
    requested(analyst)
    query = query.replace("state", "status") if path == "/executions/" else query
    page = page_read(visit.get(f"{path}?{query}").content)
    assert not page.all("tbody") or rows(page) == []
    assert page.all("ul", **{"class": "errorlist"})


def test_executions_are_narrowed_by_status_and_day(visit: Client, analyst: User, requested: Any) -> None:
    first, second = requested(analyst), requested(analyst)
    Execution.objects.filter(pk=first.pk).update(
        status="CLOSED", exit_reason="STOP_LOSS", requested_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    page = page_read(visit.get("/executions/?status=CLOSED&day_to=2026-03-01").content)
    assert rows(page) == [f"#{first.pk}"]
    assert page.only("tbody").all("td")[-1].text == "Stopped out"
    assert rows(page_read(visit.get("/executions/?status=REQUESTED").content)) == [f"#{second.pk}"]


def test_every_way_out_has_words() -> None:
    assert set(EXIT_WORDS) == {leg for leg in Leg if leg.is_exit}
    assert exit_words("TAKE_PROFIT+STOP_LOSS") == "Target reached, stopped out"
    assert why_words(Execution(reason_code="kill_switch")) == ["Kill switch engaged"]
    assert why_words(Execution(attention="look\nand again", reason_code="requested")) == ["look", "and again"]


# What waits says for what


@pytest.mark.case("A12")
@pytest.mark.parametrize("limit", [None, 120])
def test_what_waits_for_the_gateway_says_so_and_until_when(
    visit: Client, analyst: User, requested: Any, limit: int | None
) -> None:
    execution = requested(analyst, entry_type="LIMIT", entry_price="189", entry_timeout_seconds=limit)
    path = f"/executions/{execution.pk}/"
    waits = page_read(visit.get(path).content).only("div", **{"class": "notice waits"}).text
    assert waits.startswith("It waits for the Gateway; it will be sent when it is back, unless you cancel.")
    if limit:
        assert f"{execution.deadline_at:%Y-%m-%d %H:%M:%S} UTC its time limit ends" in waits
    else:
        assert "be it on another day, also one that is in force for the day only (DAY)" in waits


@pytest.mark.case("A12")
def test_what_does_not_wait_for_the_gateway_does_not_say_so(
    visit: Client, analyst: User, requested: Any, connection: Any, settings: Settings
) -> None:
    from app.accounts.services import connection_state_record
    from app.brokers.base import ConnectionState
    from app.core import clock

    execution = requested(analyst)
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=clock.now())
    assert not page_read(visit.get(f"/executions/{execution.pk}/").content).all("div", **{"class": "notice waits"})
