"""Pages with forms follow what others do: buttons and reasons change, what is typed stays, nothing is swapped."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from app.accounts.models import Account, BrokerConnection, KillSwitch
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.core import clock
from app.executions.models import Execution
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from app.setups.models import Setup
from app.setups.services import setup_archive, setup_restore, setup_update
from app.web import stream
from tests.api.desk import MakeSetup, MakeUser
from tests.browser.test_desk import be_ready, log_in
from tests.browser.test_live import is_live, is_marked, mark

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "W" * 220
# Where the first words of a box end, and where the box does.
WORDS_AND_BOX = """element => {
    const words = document.createRange();
    words.selectNodeContents(element.firstChild);
    return { words: words.getBoundingClientRect().right, box: element.getBoundingClientRect().right };
}"""


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells a page of these changes: its stream looks at the rows, and here not every five seconds only."""
    monkeypatch.setattr(stream, "LOOK_SECONDS", 0.5)


@pytest.mark.case("A9", "A16")
def test_the_kill_switch_page_follows_what_others_stop_and_release(
    page: Page, make_user: MakeUser, account: Account, connection: BrokerConnection
) -> None:
    make_user("ada", is_superuser=True)
    Account.objects.create(account_id="DU7654321")
    log_in(page)
    page.goto("/kill-switch/")
    is_live(page)
    mark(page)
    # Given somebody who types why trading is to stop
    page.get_by_label("Why", exact=True).press_sequentially("half a sent")
    # When another trader stops one account
    kill_switch_engage(account=account, user=None, reason="the first", now=clock.now())
    one = page.get_by_role("region", name=f"Trading is stopped: {account}")
    expect(one).to_contain_text("the first")
    expect(page.get_by_text("Not engaged")).to_be_hidden()
    expect(page.get_by_label("Why", exact=True)).to_be_focused()
    page.get_by_label("Why", exact=True).press_sequentially("ence")
    # And all of them, and somebody types why it may go on
    kill_switch_engage(account=None, user=None, reason="the second", now=clock.now())
    every = page.get_by_role("region", name="Trading is stopped: all accounts")
    expect(every).to_contain_text("the second")
    expect(page.get_by_role("button", name="Stop trading")).to_be_hidden()
    every.get_by_label("Why trading may go on").press_sequentially("it is over")
    # Then a release of the other one takes away only that one
    kill_switch_release(account=account, user=None, reason="over", now=clock.now())
    expect(one).to_have_count(0)
    expect(every.get_by_label("Why trading may go on")).to_have_value("it is over")
    expect(every.get_by_label("Why trading may go on")).to_be_focused()
    expect(page.locator("#stops-past tr")).to_have_count(2)
    # And the last release brings the form back, with what was typed
    kill_switch_release(account=None, user=None, reason="over", now=clock.now())
    expect(page.get_by_text("Not engaged")).to_be_visible()
    expect(page.get_by_role("button", name="Stop trading")).to_be_visible()
    expect(page.get_by_label("Why", exact=True)).to_have_value("half a sentence")
    assert is_marked(page)
    # And the forms of a row that came by the stream are taken
    kill_switch_engage(account=None, user=None, reason="again", now=clock.now())
    every.get_by_label("Why trading may go on").fill("calm")
    every.get_by_role("button", name="Let trading go on").click()
    expect(page.get_by_text("Not engaged")).to_be_visible()
    assert KillSwitch.objects.filter(released_at=None).count() == 0


@pytest.fixture
def shown(page: Page, analyst: User, connection: BrokerConnection, make_setup: MakeSetup) -> Setup:
    """The setup whose page is open in the window."""
    be_ready(connection)
    setup = make_setup(analyst)
    log_in(page)
    page.goto(f"/setups/{setup.pk}/")
    is_live(page)
    return setup


@pytest.mark.case("A11")
def test_the_buttons_of_a_setup_follow_what_others_do(page: Page, shown: Setup) -> None:
    mark(page)
    execute, archive = page.get_by_role("button", name="Execute"), page.get_by_role("button", name="Archive")
    reason = page.locator("#why-not")
    expect(execute).to_be_enabled()
    expect(reason).to_be_hidden()
    archive.focus()
    # When trading is stopped elsewhere, and goes on again
    kill_switch_engage(account=None, user=None, reason="x", now=clock.now())
    expect(execute).to_be_disabled()
    expect(reason.locator("code")).to_have_text("kill_switch_engaged")
    expect(archive).to_be_focused()
    kill_switch_release(account=None, user=None, reason="x", now=clock.now())
    expect(execute).to_be_enabled()
    expect(reason).to_be_hidden()
    expect(archive).to_be_focused()
    # When somebody archives it and brings it back
    setup_archive(setup_id=shown.pk, now=clock.now())
    expect(execute).to_be_hidden()
    expect(archive).to_be_hidden()
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    setup_restore(setup_id=shown.pk)
    expect(page.get_by_role("button", name="Restore")).to_be_hidden()
    # The archive is part of what was looked at, so the plan counts as changed
    expect(execute).to_be_disabled()
    expect(reason.locator("code")).to_have_text("revision_changed")
    assert is_marked(page)


@pytest.mark.case("A11")
def test_the_button_goes_off_under_the_focus_when_another_window_executes(
    page: Page, analyst: User, connection: BrokerConnection, requested: Callable[..., Execution]
) -> None:
    be_ready(connection)
    execution = requested(analyst)
    Execution.objects.update(status="CLOSED")
    log_in(page)
    page.goto(f"/setups/{execution.setup_id}/")
    is_live(page)
    execute = page.get_by_role("button", name="Execute")
    expect(execute).to_be_enabled()
    execute.focus()
    Execution.objects.update(status="WORKING")
    expect(execute).to_be_disabled()
    expect(page.locator("#why-not code")).to_have_text("execution_in_progress")
    expect(page.locator("#why-not a")).to_have_attribute("href", f"/executions/{execution.pk}/")
    expect(page.locator("#why-not")).to_be_focused()


@pytest.mark.case("A9")
def test_a_plan_that_was_changed_elsewhere_is_said_and_cannot_be_executed_unseen(page: Page, shown: Setup) -> None:
    setup_update(setup_id=shown.pk, values={"notes": "another plan"}, increments=None, last_price=Decimal(190))
    expect(page.locator("#why-not")).to_contain_text("The plan was changed (revision 2)")
    expect(page.get_by_role("button", name="Execute")).to_be_disabled()
    page.locator("#why-not").get_by_role("link", name="Load it again").click()
    expect(page.get_by_text("another plan")).to_be_visible()
    expect(page.get_by_role("button", name="Execute")).to_be_enabled()


@pytest.mark.case("A10", "A18")
@pytest.mark.parametrize("width", [320, 390, 1440])
def test_red_boxes_can_be_read_and_long_words_widen_no_page(
    page: Page, make_user: MakeUser, connection: BrokerConnection, make_setup: MakeSetup, width: int
) -> None:
    ada = make_user("ada", is_superuser=True)
    page.set_viewport_size({"width": width, "height": 850})
    be_ready(connection)
    setup = make_setup(ada, notes=LONG)
    Setup.objects.filter(pk=setup.pk).update(tags=[LONG[:60]])
    kill_switch_engage(account=None, user=ada, reason=LONG, now=clock.now())
    for subject in ("a", "b"):
        alert_raise(kind=AlertKind.GATEWAY_SILENT, subject=subject, text=LONG, now=clock.now())
    log_in(page)
    is_live(page)
    cut = "element => element.scrollWidth > element.clientWidth"
    if width == 1440:
        # Where the reason is cut, the words before it are not.
        page.set_viewport_size({"width": 800, "height": 850})
        words = page.locator(".banner .warning").first.evaluate(WORDS_AND_BOX)
        assert words["words"] <= words["box"]
        page.set_viewport_size({"width": width, "height": 850})
    if width == 390:
        assert page.locator(".connection").evaluate(cut), "the green one gives way"
        assert page.locator(".banner .warning").first.inner_text() == "Trading is stopped"
        assert [box.evaluate(cut) for box in page.locator(".banner .warning").all()] == [False, False]
        right = page.locator(".banner").bounding_box()
        last = page.locator("#banner-alerts").bounding_box()
        assert right
        assert last
        assert last["x"] + last["width"] <= right["x"] + right["width"]
    for path in ("/setups/", f"/setups/{setup.pk}/", "/kill-switch/", "/alerts/", "/executions/"):
        page.goto(path)
        is_live(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
