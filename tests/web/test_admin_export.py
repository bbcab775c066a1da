"""The admin's lists as CSV files."""

import csv
import io
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client

from app.accounts import admin_export
from app.accounts.admin_export import cell
from app.core import clock
from app.executions.models import Execution, Fill, Order
from tests.api.desk import MakeUser
from tests.services.book import Book
from tests.web.conftest import visit_of
from tests.web.tables import tables_of

# The file is read by threads of its own, which see only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.case("A17")]
LISTS = {"execution": Execution, "order": Order, "fill": Fill}


async def file_of(user: User, name: str, query: str = "") -> list[dict[str, str]]:
    """Return the rows of a list's file as a program reads them."""
    visitor = AsyncClient()
    await visitor.aforce_login(user)
    answer = await visitor.get(f"/admin/executions/{name}/export/{query}")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith(f'attachment; filename="{name}s-')
    assert "no-store" in answer["Cache-Control"]
    text = b"".join([part async for part in answer.streaming_content]).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_file_holds_every_row_whole(reviewer: User, rich_desk: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_export, "ROWS_OF_A_BATCH", 3)  # The seams between batches lose nothing.
    for name, model in LISTS.items():
        rows = await file_of(reviewer, name)
        numbers = [row.pk async for row in model.objects.order_by("-pk")]
        assert len(rows) == len(numbers), name
    orders = {row["Reference"]: row for row in await file_of(reviewer, "order")}
    stop = await Order.objects.aget(bracket__execution=rich_desk.execution_id, bracket__tranche=1, leg="STOP_LOSS")
    row = orders[stop.order_ref]
    assert (row["Stop"], row["Limit"], row["Shares"], row["Role"]) == ("185", "", "10", "STOP_LOSS")
    assert row["Sent"] == f"{stop.sent_at:%Y-%m-%d %H:%M:%SZ}"
    fills = [row["Realised"] for row in await file_of(reviewer, "fill")]
    assert sum(Decimal(realised or 0) for realised in fills) == Decimal("17.31")


async def test_a_file_is_narrowed_as_the_list_is(reviewer: User, rich_desk: Book) -> None:
    assert len(await file_of(reviewer, "order", "?leg__exact=TAKE_PROFIT")) == 2
    (row,) = await file_of(reviewer, "execution", f"?q={rich_desk.execution_id}")
    assert row["Execution"] == str(rich_desk.execution_id)
    assert await file_of(reviewer, "execution", "?q=nothing-is-called-so") == []


async def test_text_that_a_spreadsheet_would_run_is_text(reviewer: User, rich_desk: Book) -> None:
    await Execution.objects.filter(pk=rich_desk.execution_id).aupdate(reason='=HYPERLINK("http://evil","x")')
    (row,) = await file_of(reviewer, "execution", f"?q={rich_desk.execution_id}")
    assert row["Reason"] == '\'=HYPERLINK("http://evil","x")'


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r", "\n=", " =", "＝", "＋", "－", "＠", "\u00a0@"])
def test_every_sign_that_begins_a_formula_is_kept_from_it(sign: str) -> None:
    assert cell(f"{sign}1+1") == f"'{sign}1+1"


def test_numbers_stay_numbers() -> None:
    assert [cell(Decimal("-17.3100")), cell(-3), cell(None), cell(True), cell("a-b")] == [
        "-17.31",
        "-3",
        "",
        "yes",
        "a-b",
    ]
    assert cell(clock.now()).endswith("Z")


def test_who_may_not_view_may_not_export(rich_desk: Book, analyst: User, make_user: MakeUser) -> None:
    staff = make_user("stan", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_setup"))
    for name in LISTS:
        address = f"/admin/executions/{name}/export/"
        assert Client().get(address).status_code == 302
        assert visit_of(analyst).get(address).status_code == 302
        assert visit_of(staff).get(address).status_code == 403
        assert visit_of(make_user(f"root-{name}", is_superuser=True, is_staff=True)).post(address).status_code == 405


def test_too_long_a_file_is_refused_before_it_begins(
    reviewer: User, rich_desk: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_export, "ROWS_MAX", 2)
    answer = visit_of(reviewer).get("/admin/executions/order/export/", follow=True)
    assert answer.redirect_chain == [("/admin/executions/order/", 302)]
    assert "More than 2 rows are not exported at once" in answer.content.decode()


def test_the_list_links_to_the_file_of_what_it_shows(reviewer: User, rich_desk: Book) -> None:
    html = visit_of(reviewer).get("/admin/executions/order/?leg__exact=ENTRY&o=1&p=1").content.decode()
    assert '<a href="/admin/executions/order/export/?leg__exact=ENTRY" download>Export CSV</a>' in html
    (rows,) = [table for table in tables_of(html) if table.name == "result_list"]
    assert len(rows.body) == 4
