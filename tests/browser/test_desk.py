"""An analyst at the desk: log in, plan, execute, watch, cancel."""

import os
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_state_record
from app.brokers.base import ConnectionState
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.executions.models import Execution
from app.executions.services.submit import execution_submit
from app.market.models import Instrument
from tests.api.desk import PASSWORD, Filled, MakeSetup
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import commission, fill, told

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Setups")).to_be_visible()


def look(page: Page, name: str) -> None:
    """Keep a picture where SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def be_ready(connection: BrokerConnection) -> None:
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=clock.now())


def test_a_plan_is_made_executed_and_followed_until_it_is_closed(
    page: Page, analyst: User, connection: BrokerConnection, apple: Instrument, broker: FakeBroker
) -> None:
    be_ready(connection)
    look(page, "empty")
    log_in(page)
    page.get_by_role("link", name="New setup").click()
    page.get_by_label("Symbol").fill("aapl")
    page.get_by_label("Protective stop").fill("185.00")
    page.get_by_label("Quantity").fill("10")
    page.get_by_label("Target 1", exact=True).fill("200")
    look(page, "setup_form")
    page.get_by_role("button", name="Save setup").click()

    look(page, "setup")
    page.get_by_role("button", name="Execute on PAPER DU1234567").dblclick()
    expect(page.locator(".status.big")).to_have_text("REQUESTED")
    execution = Execution.objects.get()
    expect(page).to_have_url(f"{page.url.split('/executions')[0]}/executions/{execution.pk}/")

    page.get_by_text("What the broker told").click()
    execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    book = Book(execution.pk)
    expect(page.locator(".reference")).to_have_text(f"IB-{book.entry.order_id}:{book.stop.order_id}")
    deal = fill(book.entry, "10", "190.10")
    book.hear(deal, commission(deal.exec_id), told(book.stop, ToldStatus.PRE_SUBMITTED, why_held="trigger"))
    expect(page.locator(".status.big")).to_have_text("OPEN")
    expect(page.get_by_role("row", name="STOP LOSS")).to_contain_text("ACCEPTED")
    expect(page.locator(".events")).to_be_visible()  # Unfolded before the news, and still.
    expect(page.get_by_role("button", name="Cancel what is not filled")).to_have_count(0)
    be_ready(connection)  # However long the test has taken by now: the picture is of a desk that is served.
    expect(page.locator(".connection.good")).to_be_visible()
    look(page, "execution")

    book.hear(told(book.target, ToldStatus.SUBMITTED), fill(book.target, "10", "200.00"))
    book.hear(told(book.stop, ToldStatus.CANCELLED))
    expect(page.locator(".status.big")).to_have_text("CLOSED")
    expect(page.get_by_text("Target reached")).to_be_visible()
    assert Execution.objects.count() == 1


def test_what_is_wrong_with_a_plan_stands_beside_the_field(
    page: Page, analyst: User, connection: BrokerConnection, apple: Instrument
) -> None:
    log_in(page)
    page.get_by_role("link", name="New setup").click()
    page.get_by_label("Symbol").fill("AAPL")
    page.get_by_label("Protective stop").fill("195")
    page.get_by_label("Quantity").fill("10")
    page.get_by_role("button", name="Save setup").click()
    expect(page.locator(".wrong")).to_contain_text("A LONG stop belongs below its entry")
    expect(page.get_by_label("Symbol")).to_have_value("AAPL")
    look(page, "setup_form_wrong")


def test_what_waits_is_cancelled(page: Page, analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    log_in(page)
    page.get_by_role("link", name=f"AAPL #{setup.pk}").click()
    page.get_by_role("button", name="Execute").click()
    page.get_by_role("button", name="Cancel what is not filled").click()
    expect(page.locator(".status.big")).to_have_text("NOT PLACED")
    expect(page.locator(".notice")).to_contain_text("cancelled_before_sending")
    look(page, "not_placed")


def test_a_page_whose_stream_breaks_goes_on_by_asking(page: Page, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    log_in(page)
    page.route("**/live/stream*", lambda route: route.abort())
    page.goto(f"/executions/{book.execution_id}/")
    expect(page.locator(".status.big")).to_have_text("OPEN")
    book.hear(fill(book.stop, "10", "184.90"))
    expect(page.locator(".status.big")).to_have_text("CLOSED")


def test_the_banner_turns_red_by_itself(page: Page, analyst: User, connection: BrokerConnection) -> None:
    be_ready(connection)
    log_in(page)
    expect(page.locator(".connection.good")).to_have_text("Broker: READY")
    connection_state_record(
        connection_id=connection.pk, state=ConnectionState.DEGRADED, reason="lost IB", now=clock.now()
    )
    expect(page.locator(".connection.bad")).to_have_text("Broker: DEGRADED")
    look(page, "banner_red")


# Where people read; what the broker told is shown as it was told.
WORDS = "td strong, tr[id^=order] td:nth-child(2), tr[id^=setup] td, .status, label, option"
OVER_THE_EDGE = """() => [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && element.checkVisibility())
    .map((element) => element.outerHTML.slice(0, 80))"""


@pytest.mark.case("A22")
@pytest.mark.parametrize("width", [320, 390])
def test_the_lists_fit_on_a_phone(page: Page, analyst: User, filled: Filled, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    book = filled(analyst)
    Execution.objects.filter(pk=book.execution_id).update(
        status="NOT_PLACED", reason_code="deadline_passed", attention="5 shares had no stop\nA second reason"
    )
    log_in(page)
    for path in ("/setups/", "/setups/new/", "/executions/", f"/executions/{book.execution_id}/"):
        answer = page.goto(path)
        assert answer
        assert answer.ok
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, page.evaluate(OVER_THE_EDGE))
        assert not page.locator(WORDS, has_text=re.compile("[A-Z]_[A-Z]|Gtc")).all_inner_texts(), path
        look(page, f"phone_{width}{path.replace('/', '_')}")


def test_a_reviewer_reads_the_order_history(page: Page, reviewer: User, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    page.goto("/admin/")
    page.get_by_label("Username").fill("rex")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.locator("#executions-execution").get_by_role("link", name="Executions").click()
    look(page, "admin_list")
    page.locator("#searchbar").fill(str(book.stop.perm_id))
    page.get_by_role("button", name="Search").click()
    page.locator("#result_list tbody a").first.click()
    expect(page.get_by_role("link", name=book.stop.order_ref)).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    look(page, "admin_execution")


def test_the_api_page_comes_whole_from_here(page: Page) -> None:
    page.goto("/api/docs/")
    expect(page.get_by_text("/api/v1/setups/{id}/execute/")).to_be_visible()
    look(page, "api_docs")
