"""Every table of every page: as many cells as headings, and under each heading what it says."""

from decimal import Decimal

import pytest
from django.test import Client

from app.domain.terms import Leg
from tests.services.book import Book
from tests.web.crawl import crawl
from tests.web.tables import Table, tables_of

pytestmark = pytest.mark.django_db


def wrong_rows(path: str, html: str) -> list[str]:
    """Return the rows of a page whose cells do not match their table's headings."""
    return [
        f"{path}: {table.name}: {len(table.headings)} headings {table.headings}, {len(row.cells)} cells {row.cells}"
        for table in tables_of(html)
        for row in table.body
        if len(row.cells) != len(table.headings)
    ]


@pytest.mark.case("A1")
def test_every_table_of_every_page_has_as_many_cells_as_headings(root: Client, rich_desk: Book) -> None:
    pages = dict(crawl(root, "/", "/admin/"))
    assert [line for path, html in pages.items() for line in wrong_rows(path, html)] == []
    # The crawl has been where the tables are.
    number = rich_desk.execution_id
    for path in (
        f"/executions/{number}/",
        f"/admin/executions/execution/{number}/change/",
        "/kill-switch/",
        "/alerts/",
    ):
        assert tables_of(pages[path]), path
    lists = {path for path in pages if path.startswith("/admin/") and path.count("/") == 4}
    assert len(lists) >= 10, lists
    assert all(tables_of(pages[path]) for path in lists if path.startswith("/admin/executions/"))


def orders_of_the_admin(root: Client, book: Book) -> Table:
    html = root.get(f"/admin/executions/execution/{book.execution_id}/change/").content.decode()
    (orders,) = [table for table in tables_of(html) if "Stop" in table.headings]
    return orders


@pytest.mark.case("A1")
def test_the_admin_shows_each_price_of_an_order_under_its_own_heading(root: Client, rich_desk: Book) -> None:
    rows = {row["Reference"]: row for row in orders_of_the_admin(root, rich_desk).records()}
    entry, target, stop = (rows[rich_desk.order(leg).order_ref] for leg in (Leg.ENTRY, Leg.TAKE_PROFIT, Leg.STOP_LOSS))
    assert entry == {
        "Tranche": "1",
        "Role": "ENTRY",
        "Reference": rich_desk.entry.order_ref,
        "Status": "FILLED",
        "Order": "BUY 10 LIMIT DAY",
        "Limit": "190.34",
        "Stop": "–",
        "Filled": "10",
        "Average": "190.34",
        "Order id": str(rich_desk.entry.order_id),
        "Perm id": str(rich_desk.entry.perm_id),
        "Last message": "–",
    }
    assert (stop["Limit"], stop["Stop"], stop["Filled"], stop["Average"]) == ("–", "185.00", "0", "–")
    assert (target["Limit"], target["Stop"], target["Filled"], target["Average"]) == ("195.00", "–", "4", "195.02")
    assert len(rows) == 8  # The last tranche has no target.
    (refused,) = [row for row in rows.values() if row["Last message"] != "–"]
    assert refused["Last message"] == "201: Order rejected - reason: the = sign, <b>brackets</b> and, commas"


@pytest.mark.case("A1")
def test_the_admin_shows_fills_under_their_headings(root: Client, rich_desk: Book) -> None:
    html = root.get(f"/admin/executions/execution/{rich_desk.execution_id}/change/").content.decode()
    (fills,) = [table for table in tables_of(html) if "Commission" in table.headings]
    first, last = fills.records()
    deal = rich_desk.target.fills.get()
    assert (first["Role"], first["Shares"], first["Price"], first["Commission"]) == (
        "ENTRY",
        "10",
        "190.34",
        "1.00 USD",
    )
    assert first["Realised"] == "–"
    assert last == {
        "Executed": f"{deal.executed_at:%Y-%m-%d %H:%M:%SZ}",
        "Tranche": "1",
        "Role": "TAKE_PROFIT",
        "Symbol": "AAPL",
        "Shares": "4",
        "Price": "195.02",
        "Commission": "0.41 USD",
        "Realised": "17.31 USD",
        "Exec id": deal.exec_id,
    }


@pytest.mark.case("A1")
def test_a_page_shows_the_price_of_an_order_under_price(root: Client, rich_desk: Book) -> None:
    html = root.get(f"/executions/{rich_desk.execution_id}/").content.decode()
    bracket = next(table for table in tables_of(html) if "Price" in table.headings)
    prices = {row["Leg"]: Decimal(row["Price"]) for row in bracket.records()}
    assert prices == {"ENTRY": Decimal("190.34"), "TAKE PROFIT": Decimal(195), "STOP LOSS": Decimal(185)}
