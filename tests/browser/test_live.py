"""A page that stays open: it follows, it says when it cannot, and it takes nothing out of the user's hands."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from pytest_django import Settings

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_state_record
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.brokers.base import ConnectionState
from app.core import clock
from app.executions.models import Execution
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.submit import execution_submit
from app.web import stream_slots
from tests.api.desk import PASSWORD, Filled, MakeSetup, MakeUser
from tests.browser.line import Line
from tests.browser.test_desk import be_ready, log_in, look
from tests.eventually import eventually
from tests.services.fake_broker import FakeBroker
from tests.services.heard import fill

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]
BAD_REASON = "connection_refused: 127.0.0.1:4002 [Errno 111] Connect call failed; open the Gateway's API settings"


def is_live(page: Page) -> None:
    expect(page.locator("#live-state")).to_have_text("● live")


def mark(page: Page) -> None:
    """Mark this document, so that a reload would show."""
    page.evaluate("window.sameDocument = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.sameDocument === true"))


@pytest.fixture
def frozen_line(chromium: Browser, site: str) -> Iterator[tuple[Page, Line]]:
    """A window that reaches the site over a line of its own."""
    with Line(port=urlsplit(site).port or 0) as line:
        context = chromium.new_context(base_url=line.url, viewport={"width": 1200, "height": 850})
        window = context.new_page()
        window.set_default_timeout(15_000)
        yield window, line
        line.thaw()
        context.close()


@pytest.mark.case("A2")
def test_a_page_without_news_turns_amber_says_why_at_its_buttons_and_comes_back_with_the_present(
    frozen_line: tuple[Page, Line], analyst: User, connection: BrokerConnection, make_setup: MakeSetup
) -> None:
    page, line = frozen_line
    be_ready(connection)
    setup = make_setup(analyst)
    log_in(page)
    page.goto(f"/setups/{setup.pk}/")
    is_live(page)
    mark(page)
    execute = page.get_by_role("button", name="Execute")
    assert execute.get_attribute("aria-description") is None
    # When nothing moves on the line any more, while every connection stays open
    line.freeze()
    kill_switch_engage(account=None, user=None, reason="meanwhile", now=clock.now())
    expect(page.locator("#live-state")).to_have_text("No news for 8 s", timeout=15_000)
    assert "stale" in (page.locator("body").get_attribute("class") or "")
    for button in page.locator("main form[method=post] button").all():
        assert "what you see may be old" in (button.get_attribute("aria-description") or "")
    expect(page.locator("#spoken-at-once")).to_contain_text("lost its news")
    look(page, "stale")
    # Then it is as it was once the line is back, with what happened meanwhile, by itself
    line.thaw()
    is_live(page)
    expect(page.locator(".banner")).to_contain_text("Trading is stopped (all accounts): meanwhile")
    assert "stale" not in (page.locator("body").get_attribute("class") or "")
    assert execute.get_attribute("aria-description") is None
    assert is_marked(page)


@pytest.mark.case("A2")
@pytest.mark.parametrize("path", ["/setups/", "/setups/new/", "/executions/", "/alerts/", "/kill-switch/"])
def test_after_a_laptop_has_slept_every_page_says_how_old_it_is_until_it_is_current(
    frozen_line: tuple[Page, Line], analyst: User, connection: BrokerConnection, path: str
) -> None:
    page, line = frozen_line
    be_ready(connection)
    page.clock.install()
    log_in(page)
    page.goto(path)
    is_live(page)
    line.freeze()
    page.clock.fast_forward(3_600_000)
    expect(page.locator("#live-state")).to_contain_text("No news for 36")
    line.thaw()
    is_live(page)


@pytest.mark.case("A2")
def test_redis_away_is_no_silence(page: Page, analyst: User, filled: Filled, settings: Settings) -> None:
    book = filled(analyst)
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    log_in(page)
    page.goto(f"/executions/{book.execution_id}/")
    is_live(page)
    book.hear(fill(book.stop, "10", "184.90"))
    expect(page.locator(".status.big")).to_have_text("CLOSED")
    is_live(page)


@pytest.mark.case("A2")
def test_a_hidden_window_gives_its_stream_back_and_is_current_when_it_is_seen_again(
    page: Page, analyst: User, connection: BrokerConnection
) -> None:
    be_ready(connection)
    page.clock.install()
    log_in(page)
    is_live(page)
    show = """hidden => {
        Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(show, True)
    page.clock.fast_forward(60_000)
    eventually(lambda: stream_slots.streams_open() == 0)
    kill_switch_engage(account=None, user=None, reason="unseen", now=clock.now())
    page.evaluate(show, False)
    expect(page.locator(".banner")).to_contain_text("unseen")
    is_live(page)


@pytest.mark.case("A3")
@pytest.mark.parametrize("path", ["/setups/", "/executions/?symbol=AAPL"])
def test_a_page_whose_session_is_gone_goes_to_the_login_page_and_one_is_back_on_it(
    page: Page, analyst: User, connection: BrokerConnection, path: str
) -> None:
    log_in(page)
    page.goto(path)
    is_live(page)
    Session.objects.all().delete()
    # Then the whole page is the login page
    expect(page.get_by_label("Password")).to_be_visible()
    expect(page.locator(".banner input")).to_have_count(0)
    look(page, "lost_session")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{page.url.split('/login')[0].split(path)[0]}{path}")
    is_live(page)


@pytest.mark.case("A3")
def test_typed_text_is_not_lost_with_the_session_and_the_form_works_after_a_login_elsewhere(
    page: Page, analyst: User, connection: BrokerConnection, apple: object
) -> None:
    be_ready(connection)
    log_in(page)
    page.goto("/setups/new/")
    is_live(page)
    page.get_by_label("Symbol").fill("AAPL")
    page.get_by_label("Protective stop").fill("185")
    page.get_by_label("Quantity").fill("10")
    mark(page)
    Session.objects.all().delete()
    expect(page.locator("#live-note")).to_contain_text("You are logged out. Nothing you typed is lost")
    expect(page.locator("#live-state")).to_have_text("logged out")
    look(page, "lost_session_typed")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="log in in a new window").click()
    other = opened.value
    other.get_by_label("Username").fill("ada")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    expect(other.locator("#live-state")).to_be_visible()
    other.close()
    # Then this page is current again and its form is taken, with the token of the new login
    is_live(page)
    expect(page.locator("#live-note")).to_be_hidden()
    assert is_marked(page)
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_role("button", name="Execute on PAPER")).to_be_visible()


@pytest.mark.case("A21")
def test_windows_that_are_logged_out_ask_nothing_until_somebody_logs_in(
    page: Page, analyst: User, connection: BrokerConnection, apple: object
) -> None:
    log_in(page)
    windows = [page, page.context.new_page()]
    for window in windows:
        window.goto("/setups/new/")
        is_live(window)
        window.get_by_label("Symbol").fill("AAPL")
    Session.objects.all().delete()
    for window in windows:
        expect(window.locator("#live-note").get_by_role("link", name="log in")).to_be_visible()
        with pytest.raises(PlaywrightTimeout), window.expect_request("**/live/**", timeout=5000):
            pass  # Twice as long as the time between two tries.
    other = page.context.new_page()
    log_in(other)
    for window in windows:
        is_live(window)
        expect(window.locator("#live-note")).to_be_hidden()
        expect(window.get_by_label("Symbol")).to_have_value("AAPL")


@pytest.mark.case("S28")
def test_the_page_of_who_lost_a_role_says_so_and_is_not_kept_current(page: Page, analyst: User) -> None:
    log_in(page)
    is_live(page)
    analyst.groups.clear()
    expect(page.locator("#live-note")).to_contain_text("your roles changed")
    expect(page.locator("#live-state")).to_have_text("not current")
    look(page, "roles_changed")


@pytest.mark.case("A7")
def test_focus_typed_text_and_unfolded_parts_stay_while_events_arrive(
    page: Page, analyst: User, broker: FakeBroker, requested: Callable[..., Execution], connection: BrokerConnection
) -> None:
    execution = requested(analyst)
    log_in(page)
    page.goto(f"/executions/{execution.pk}/")
    is_live(page)
    # Given a place to type in beside what changes, as a note on an execution is
    field = '<input id="typed" aria-label="Note">'
    page.evaluate("html => document.getElementById('execution-notes').insertAdjacentHTML('afterend', html)", field)
    page.get_by_text("What the broker told").click()
    page.get_by_label("Note").press_sequentially("half a sent")
    mark(page)
    execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    expect(page.locator("#execution-head .status")).to_have_text("SUBMITTING")
    expect(page.get_by_label("Note")).to_be_focused()
    page.get_by_label("Note").press_sequentially("ence")
    expect(page.get_by_label("Note")).to_have_value("half a sentence")
    expect(page.locator("details", has=page.locator("#events"))).to_have_attribute("open", "")
    # And the focus on a link within a part that changes
    page.locator("#execution-setup").focus()
    Execution.objects.update(cancel_requested_at=clock.now())
    expect(page.locator("#fact-cancel")).to_be_visible()
    expect(page.locator("#execution-setup")).to_be_focused()
    page.locator("summary", has_text="What the broker told").focus()
    kill_switch_engage(account=None, user=None, reason="x", now=clock.now())
    expect(page.locator(".banner .warning")).to_be_visible()
    expect(page.locator("summary", has_text="What the broker told")).to_be_focused()
    assert is_marked(page)
    # A screen reader is given sentences about outcomes, and no block of the page
    live = page.locator("[aria-live], [role=status], [role=alert]")
    assert {element.get_attribute("id") for element in live.all()} == {"spoken", "spoken-at-once"}


@pytest.mark.case("A9")
def test_lists_follow_without_a_reload(page: Page, analyst: User, filled: Filled, connection: BrokerConnection) -> None:
    first = filled(analyst)
    log_in(page)
    page.goto("/executions/")
    is_live(page)
    mark(page)
    page.locator(f"#execution-{first.execution_id}-link").focus()
    second = filled(analyst)
    expect(page.locator("#executions tr").first).to_have_id(f"execution-{second.execution_id}")
    first.hear(fill(first.stop, "10", "184.90"))
    expect(page.locator(f"#execution-{first.execution_id} .status")).to_have_text("CLOSED")
    expect(page.locator(f"#execution-{first.execution_id}-link")).to_be_focused()
    page.goto(f"/setups/{Execution.objects.get(pk=second.execution_id).setup_id}/")
    is_live(page)
    second.hear(fill(second.stop, "10", "184.90"))
    expect(page.locator("#executions .status")).to_have_text("CLOSED")
    page.goto("/alerts/")
    is_live(page)
    alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU1/1", text="No answer for 12 s.", now=clock.now())
    expect(page.locator("#alerts")).to_contain_text("No answer for 12 s.")


@pytest.mark.case("A10")
@pytest.mark.parametrize("width", [1440, 390])
def test_the_banner_keeps_its_height_whatever_happens_and_nothing_moves(
    page: Page, make_user: MakeUser, connection: BrokerConnection, width: int
) -> None:
    make_user("ada", "trader")
    page.set_viewport_size({"width": width, "height": 850})
    be_ready(connection)
    log_in(page)
    is_live(page)

    def places() -> list[object]:
        return [page.locator(name).bounding_box() for name in (".top", "nav", "main")]

    before = places()
    connection_state_record(
        connection_id=connection.pk, state=ConnectionState.DISCONNECTED, reason=BAD_REASON, now=clock.now()
    )
    kill_switch_engage(account=None, user=None, reason="prices " * 40, now=clock.now())
    alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU1/1", text="x", now=clock.now())
    expect(page.locator("#banner-alerts")).to_be_visible()
    expect(page.locator(".connection.bad")).to_have_text("Broker: DISCONNECTED")
    assert places() == before
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    look(page, f"banner_{width}")
    # The details are there for who clicks, and cover instead of moving
    page.locator(".connection").click()
    expect(page.get_by_text("[Errno 111]")).to_be_visible()
    assert places() == before
    look(page, f"banner_{width}_details")


@pytest.mark.case("S9")
def test_a_window_too_many_says_so_and_still_asks(
    page: Page, analyst: User, connection: BrokerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_slots, "STREAMS_OF_USER_MAX", 0)
    be_ready(connection)
    log_in(page)
    expect(page.locator("#live-note")).to_contain_text("Too many windows")
    look(page, "too_many_windows")
    kill_switch_engage(account=None, user=None, reason="asked for", now=clock.now())
    expect(page.locator(".banner")).to_contain_text("asked for")
    is_live(page)
    # When the others are closed it goes on by itself
    monkeypatch.setattr(stream_slots, "STREAMS_OF_USER_MAX", 1)
    expect(page.locator("#live-note")).to_be_hidden()
