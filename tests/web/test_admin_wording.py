"""How the admin writes things: times, numbers, plurals, and what stands in the lists first."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.test import Client

from app.executions.models import Execution, Fill
from tests.services.book import Book
from tests.web.crawl import crawl
from tests.web.tables import Table, tables_of

pytestmark = pytest.mark.django_db

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
# A time as somebody's locale writes it: "Nov. 26, 2026", "10:18 p.m.", "noon", "26/11/2026".
LOCAL_TIME = re.compile(r"\b(a\.m\.|p\.m\.|midnight|noon)|\b[A-Z][a-z]{2,8}\.? \d{1,2}, \d{4}|\d{1,2}/\d{1,2}/\d{4}")
PADDED = re.compile(r"(?<![\w.:])\d+\.\d{2,}0(?![\w.:])")


def list_of(visitor: Client, path: str) -> Table:
    (found,) = [table for table in tables_of(visitor.get(path).content.decode()) if table.name == "result_list"]
    return found


@pytest.mark.case("A17")
def test_every_admin_page_writes_times_in_one_way_and_numbers_plainly(root: Client, rich_desk: Book) -> None:
    wrong: list[str] = []
    pages = [(path, html) for path, html in crawl(root, "/admin/") if path.startswith("/admin/")]
    for path, html in pages:
        text = re.sub(r"<(script|style)\b.*?</\1>|<input[^>]*>|<option.*?</option>", " ", html, flags=re.DOTALL)
        text = re.sub(r"<[^>]+>", " ", text.split('id="changelist-filter"')[0])
        wrong += [f"{path}: {found[0]}" for pattern in (LOCAL_TIME, PADDED) for found in pattern.finditer(text)]
    assert wrong == []
    assert len(pages) > 40


@pytest.mark.case("A17")
@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("executions/execution", "Requested at"),
        ("executions/order", "Sent at"),
        ("executions/fill", "Executed at"),
        ("executions/brokerevent", "Received"),
        ("accounts/killswitch", "Engaged at"),
        ("alerts/alert", "Raised at"),
        ("setups/setup", "Created at"),
    ],
)
def test_lists_say_times_with_seconds_and_zone(root: Client, rich_desk: Book, path: str, heading: str) -> None:
    times = [cell for cell in list_of(root, f"/admin/{path}/").column(heading) if cell != "-"]
    assert times
    for time in times:
        assert TIME.fullmatch(time), time
        assert datetime.fromisoformat(time).tzinfo == UTC


@pytest.mark.case("A17")
def test_the_list_of_fills_names_the_symbol_and_writes_plain_numbers(root: Client, rich_desk: Book) -> None:
    rows = {row["Exec id"]: row for row in list_of(root, "/admin/executions/fill/").records()}
    assert len(rows) == Fill.objects.count()
    row = rows[rich_desk.target.fills.get().exec_id]
    shown = [row[heading] for heading in ("Symbol", "Execution", "Role", "Shares", "Price", "Commission", "Realised")]
    assert shown == ["AAPL", f"#{rich_desk.execution_id}", "TAKE_PROFIT", "4", "195.02", "0.41 USD", "17.31 USD"]


@pytest.mark.case("A17")
def test_the_list_of_events_says_what_was_reported_and_keeps_their_order(root: Client, rich_desk: Book) -> None:
    rows = list_of(root, "/admin/executions/brokerevent/").records()
    shown = {row["Reported"] for row in rows}
    assert {"SELL 4 at 195.02", "0.41 USD, realised 17.31 USD", "PreSubmitted, held by trigger", "Submitted"} <= shown
    assert "201: Order rejected - reason: the = sign, <b>brackets</b> and, commas" in shown
    # When it is sorted by time, what came within one second stays in the order in which it was recorded.
    path = "/admin/executions/brokerevent/"
    numbers = [int(row["ID"]) for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    place = list(rows[0]).index("Received")
    for sign in ("", "-"):
        sorted_rows = list_of(root, f"{path}?o={sign}{place}").records()
        assert [int(row["ID"]) for row in sorted_rows] == sorted(numbers, reverse=sign == "-")


@pytest.mark.case("A17")
def test_checks_before_sending_are_a_table(root: Client, rich_desk: Book) -> None:
    html = root.get(f"/admin/executions/execution/{rich_desk.execution_id}/change/").content.decode()
    (checks,) = [table for table in tables_of(html) if table.headings[0] == "Check"]
    stored = Execution.objects.get(pk=rich_desk.execution_id).preflight
    assert [row["Check"] for row in checks.records()] == [check["check"] for check in stored]
    assert [row["Outcome"] for row in checks.records()] == [check["outcome"] for check in stored]
    assert "{&quot;" not in html


@pytest.mark.case("A17")
def test_plurals_are_english() -> None:
    named = {
        str(shown.verbose_name_plural if hasattr(shown, "verbose_name_plural") else shown.opts.verbose_name_plural)
        for model, own in admin.site._registry.items()
        for shown in (own, *(inline(model, admin.site) for inline in own.inlines))
    }
    assert "kill switches" in named
    assert [name for name in named if re.search(r"(ch|sh|x|z|[^aeiou]y)s$", name)] == []
