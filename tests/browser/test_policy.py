"""No page breaks the policy it is sent with: a real browser reports nothing, in the admin and the API's page either."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from app.accounts.models import Account
from tests.api.desk import PASSWORD, Filled, MakeUser

pytestmark = [pytest.mark.browser, pytest.mark.case("S22")]

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""
PAGES = [
    "/setups/",
    "/setups/new/",
    "/executions/",
    "/alerts/",
    "/kill-switch/",
    "/logins/",
    "/nothing-here/",
    "/admin/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/executions/execution/",
    "/admin/logins/login/",
    "/admin/accounts/account/",
    "/admin/password_change/",
]


@pytest.fixture
def root(make_user: MakeUser, account: Account) -> User:
    return make_user("root", is_staff=True, is_superuser=True)


def test_no_page_breaks_its_policy(page: Page, root: User, filled: Filled) -> None:
    page.add_init_script(WATCH)
    page.goto("/login/")
    assert page.evaluate("window.violations") == []
    page.get_by_label("Username").fill(root.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    execution = filled(root).execution
    own = [
        f"/executions/{execution.pk}/",
        f"/setups/{execution.setup_id}/",
        f"/admin/executions/execution/{execution.pk}/change/",
        f"/admin/auth/user/{root.pk}/change/",
    ]
    broken = {}
    for path in [*PAGES, *own]:
        page.goto(path)
        expect(page.locator("body")).to_be_visible()
        broken[path] = page.evaluate("window.violations")
    page.goto("/api/docs/")
    expect(page.get_by_text("/api/v1/kill-switch/release/")).to_be_visible()
    page.get_by_text("/api/v1/kill-switch/release/").click()
    broken["/api/docs/"] = page.evaluate("window.violations")
    assert {path: told for path, told in broken.items() if told} == {}


def test_a_script_in_a_page_does_not_run(page: Page, root: User) -> None:
    page.add_init_script(WATCH)
    page.goto("/login/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.ran = true\">')")
    page.wait_for_function("window.violations.length > 0")
    assert page.evaluate("window.ran") is None
