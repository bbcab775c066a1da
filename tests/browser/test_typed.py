"""What was typed survives the loss of the session, in whichever way it is lost and whichever form it was typed into."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from app.accounts.models import Account, BrokerConnection, KillSwitch
from app.core import clock
from app.executions.services.kill_switch import kill_switch_engage
from app.setups.models import Setup
from tests.api.desk import PASSWORD, MakeSetup, MakeUser
from tests.browser.test_desk import be_ready, look
from tests.browser.test_live import is_live, is_marked, mark

pytestmark = [
    pytest.mark.browser,
    pytest.mark.case("A23"),
    pytest.mark.django_db(transaction=True),
]
Lose = Callable[[Page], None]


def cookie_cleared(page: Page) -> None:
    """The browser alone forgets: the server's session lives, and so does the stream that it was opened with."""
    page.context.clear_cookies()


def session_ended(_page: Page) -> None:
    """Somebody logged out everywhere, from elsewhere."""
    Session.objects.all().delete()


def session_ended_unheard(page: Page) -> None:
    """The session ends before the page has heard of it: the form is sent in the same moment."""
    page.route("**/live/**", lambda route: route.abort())
    Session.objects.all().delete()


def lost_behind_the_question(page: Page) -> None:
    """The session ends between the question whether it is there and the form."""

    def answer(route: Route) -> None:
        response = route.fetch()
        Session.objects.all().delete()
        route.fulfill(response=response)

    page.route("**/live/now*", answer)


def log_in_here(page: Page) -> None:
    page.get_by_label("Username").fill("tess")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def log_in_beside(page: Page) -> None:
    with page.context.expect_page() as opened:
        page.locator("#live-note").get_by_role("link", name="log in in a new window").click()
    other = opened.value
    log_in_here(other)
    expect(other.locator("#live-state")).to_be_visible()
    other.close()


@pytest.fixture
def tess(page: Page, make_user: MakeUser, connection: BrokerConnection, apple: object) -> User:
    """A user who may do everything on the pages, logged in."""
    user = make_user("tess", "analyst", "trader", "admin", is_staff=True, is_superuser=True)
    be_ready(connection)
    page.goto("/")
    log_in_here(page)
    is_live(page)
    return user


def type_setup(page: Page) -> None:
    page.get_by_label("Symbol").fill("AAPL")
    page.get_by_label("Protective stop").fill("185")
    page.get_by_label("Quantity").fill("10")
    page.get_by_label("Notes").fill("What I thought\nfor half an hour")


@pytest.mark.parametrize("lose", [cookie_cleared, session_ended])
def test_a_form_that_is_sent_without_a_session_stays_with_all_that_was_typed(
    page: Page, tess: User, lose: Lose
) -> None:
    page.goto("/setups/new/")
    is_live(page)
    type_setup(page)
    mark(page)
    lose(page)
    page.get_by_role("button", name="Save setup").click()
    # Then nothing is left: the page says what happened, and how to go on
    expect(page.locator("#live-note")).to_contain_text("Nothing was sent. You are logged out.")
    expect(page.locator("#live-state")).to_have_text("logged out")
    assert is_marked(page)
    look(page, "typed_logged_out")
    log_in_beside(page)
    is_live(page)
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_role("button", name="Execute on PAPER")).to_be_visible()
    assert Setup.objects.get().notes.split() == ["What", "I", "thought", "for", "half", "an", "hour"]


def test_what_was_sent_as_the_session_ended_is_back_after_the_login(page: Page, tess: User) -> None:
    page.goto("/setups/new/")
    is_live(page)
    type_setup(page)
    lost_behind_the_question(page)
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.unroute_all()
    log_in_here(page)
    expect(page.get_by_label("Notes")).to_have_value("What I thought\nfor half an hour")
    expect(page.get_by_role("status").filter(has_text="what you had typed here is back")).to_be_visible()
    look(page, "typed_back")
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_role("button", name="Execute on PAPER")).to_be_visible()
    # And once it was taken it does not come again
    page.goto("/setups/new/")
    expect(page.get_by_label("Notes")).to_have_value("")


def test_the_login_page_cannot_be_used_before_it_has_noted_what_was_not_sent(page: Page, tess: User) -> None:
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.goto("/setups/new/")
    is_live(page)
    type_setup(page)
    lost_behind_the_question(page)
    page.route("**/web/typed*.js", hold_first)
    page.get_by_role("button", name="Save setup").click(no_wait_after=True)
    while not held:
        page.wait_for_timeout(20)
    page.unroute("**/live/now*")
    page.wait_for_timeout(500)  # As long as the script is under way there is nothing to log in with.
    assert page.get_by_label("Password").count() == 0
    held[0].continue_()
    log_in_here(page)
    expect(page.get_by_label("Notes")).to_have_value("What I thought\nfor half an hour")


def test_an_edited_plan_comes_back_with_the_revision_that_was_seen(
    page: Page, tess: User, make_setup: MakeSetup
) -> None:
    setup = make_setup(tess, notes="before")
    page.goto(f"/setups/{setup.pk}/edit/")
    is_live(page)
    page.get_by_label("Notes").fill("mine")
    lost_behind_the_question(page)
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.unroute_all()
    Setup.objects.filter(pk=setup.pk).update(notes="somebody else's", revision=setup.revision + 1)
    log_in_here(page)
    expect(page.get_by_label("Notes")).to_have_value("mine")
    page.get_by_role("button", name="Save setup").click()
    # Then what somebody else wrote meanwhile is not overwritten unseen
    expect(page.get_by_role("heading", name="What differs from what you saw")).to_be_visible()
    expect(page.get_by_label("Notes")).to_have_value("mine")


def test_the_reasons_of_the_kill_switch_stay_and_its_confirmation_is_made_anew(
    page: Page, tess: User, account: Account
) -> None:
    kill_switch_engage(account=account, user=None, reason="x", now=clock.now())
    Account.objects.create(account_id="DU7654321")
    page.goto("/kill-switch/")
    is_live(page)
    page.get_by_label("Why trading may go on").fill("they are right again")
    page.get_by_label("Why", exact=True).fill("prices look wrong")
    page.get_by_label("Yes, stop trading").check()
    cookie_cleared(page)
    page.get_by_role("button", name="Stop trading", exact=True).click()
    expect(page.locator("#live-note")).to_contain_text("Nothing was sent. You are logged out.")
    expect(page.get_by_label("Why", exact=True)).to_have_value("prices look wrong")
    log_in_beside(page)
    is_live(page)
    lost_behind_the_question(page)
    page.get_by_role("button", name="Stop trading", exact=True).click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.unroute_all()
    log_in_here(page)
    expect(page.get_by_label("Why", exact=True)).to_have_value("prices look wrong")
    expect(page.get_by_label("Why trading may go on")).to_have_value("they are right again")
    expect(page.get_by_label("Yes, stop trading")).not_to_be_checked()
    assert KillSwitch.objects.count() == 1


def test_what_was_refused_for_another_reason_than_its_content_is_back_when_its_page_is_opened(
    page: Page, tess: User
) -> None:
    page.goto("/setups/new/")
    is_live(page)
    type_setup(page)
    # When the token of the form is too old, and the question that would renew it is not answered
    page.route("**/live/now*", lambda route: route.fulfill(status=503, body="{}"))
    page.evaluate("document.querySelector('main [name=csrfmiddlewaretoken]').value = 'x'.repeat(64)")
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_role("heading", name="Nothing was done")).to_be_visible()
    page.goto("/setups/new/")
    expect(page.get_by_label("Notes")).to_have_value("What I thought\nfor half an hour")


def test_a_server_that_is_not_reached_takes_nothing_away(page: Page, tess: User) -> None:
    page.goto("/setups/new/")
    is_live(page)
    type_setup(page)
    mark(page)
    session_ended_unheard(page)
    page.get_by_role("button", name="Save setup").click()
    expect(page.locator("#live-note")).to_contain_text("the server was not reached")
    expect(page.get_by_label("Quantity")).to_have_value("10")
    assert is_marked(page)


def test_a_form_that_was_refused_is_not_left_when_the_session_ends(page: Page, tess: User) -> None:
    page.goto("/setups/new/")
    page.get_by_label("Notes").fill("a long story")
    page.get_by_role("button", name="Save setup").click()
    expect(page.locator(".wrong").first).to_be_visible()
    is_live(page)
    mark(page)
    Session.objects.all().delete()
    expect(page.locator("#live-note")).to_contain_text("Nothing you typed is lost")
    assert is_marked(page)
    expect(page.get_by_label("Notes")).to_have_value("a long story")


def test_nobody_else_is_shown_what_was_typed_and_no_password_is_kept(
    page: Page, tess: User, make_user: MakeUser
) -> None:
    make_user("bob", "analyst")
    page.goto(reverse("admin:auth_user_add"))
    page.get_by_label("Username").fill("newcomer")
    page.locator("[name=password1]").fill("Secret-of-newcomer-1")
    page.locator("[name=password2]").fill("Secret-of-newcomer-1")
    Session.objects.all().delete()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#login-form")).to_be_visible()
    kept = page.evaluate("sessionStorage.getItem('typed')")
    assert "newcomer" in kept
    assert "Secret" not in kept
    page.get_by_label("Username").fill("tess")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Username")).to_have_value("newcomer")
    page.goto("/setups/new/")
    is_live(page)
    type_setup(page)
    lost_behind_the_question(page)
    page.get_by_role("button", name="Save setup").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.unroute_all()
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="New setup")).to_be_visible()
    expect(page.get_by_label("Notes")).to_have_value("")
    assert page.evaluate("sessionStorage.getItem('typed')") is None
