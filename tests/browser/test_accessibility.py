"""axe-core finds nothing on any page in any state: wide and on a phone, light and dark, paper and real money."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings
from rest_framework.authtoken.models import Token

from app.accounts.models import Account, BrokerConnection
from app.core import clock
from app.executions.models import Execution
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.kill_switch import kill_switch_engage
from tests.api.desk import PASSWORD, Filled, MakeSetup, MakeUser
from tests.browser.test_desk import OVER_THE_EDGE, be_ready, look
from tests.services.book import Book
from tests.services.heard import fill
from tests.web.rich_desk import rich_desk  # noqa: F401 - Fixtures are found by their names.

pytestmark = [
    pytest.mark.browser,
    pytest.mark.case("A18", "A20"),
    pytest.mark.django_db(transaction=True),
]

HEIGHT_MAX = 2500
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
MODES = {
    "light": (WIDE, "light"),
    "dark": (WIDE, "dark"),
    "phone": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}
AXE = Axe()
# A scheme changes colours and nothing else, so in the dark one axe is asked about those alone.
RULES_OF_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
# What Django's own admin templates do; no template of ours has any of it:
# - empty-table-header: the column of ticks of a list has no words; label-title-only: neither has its search box.
# - region, landmark-*: messages, search and filters stand outside landmarks.
# - heading-order: the filters' headings skip a level.
OF_THE_ADMIN = [
    *("empty-table-header", "label-title-only", "region", "landmark-unique", "landmark-one-main", "heading-order"),
]

# Colours are faded from one scheme to the other: what is half-way is nobody's contrast.
NO_FADING = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, ::before, ::after { transition: none !important; }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""


def enter(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Setups")).to_be_visible()


def faults(page: Page, state: str, *, leaving_out: list[str] | None = None) -> list[str]:
    """Return what axe finds on the page as it is, in each of the modes."""
    found: list[str] = []
    options: dict[str, object] = {"rules": {rule: {"enabled": False} for rule in leaving_out or []}}
    grounds: dict[str, str] = {}
    page.evaluate(NO_FADING)
    for mode, (size, scheme) in MODES.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        look(page, f"{state.replace(' ', '_')}-{mode}")
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        answer = AXE.run(page, options=options if scheme == "light" else {"runOnly": RULES_OF_COLOURS})
        found += [
            f"{state}, {mode}: {rule['id']}: {node['html'][:160]} {node['any'][0]['message'] if node['any'] else ''}"
            for rule in answer.response["violations"]
            for node in rule["nodes"]
        ]
        if size is PHONE and page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
            found.append(f"{state}, {mode}: scrolls sideways")
        found += [f"{state}, {mode}: too small to hit: {small}" for small in small_targets(page)]
    return found + (
        [f"{state}: the dark scheme is as light as the light one"] if len(set(grounds.values())) < 2 else []
    )


def assert_none(found: list[str]) -> None:
    assert not found, "\n".join(found)


def small_targets(page: Page) -> list[str]:
    """Return the links and buttons less than 24 px high or wide; those within a sentence may be (WCAG 2.5.8)."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select")]
            .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(
              "p, dd, small, .skip, #header, #changelist, .breadcrumbs, .record, .readonly, .object-tools, #content"))
            .map((element) => [element, element.getBoundingClientRect()])
            .filter(([, box]) => box.width > 0 && (box.height < 24 || box.width < 24))
            .map(([element, box]) => `${element.outerHTML.slice(0, 100)} ${box.width}x${box.height}`)"""
        )
    )


def test_before_anybody_is_logged_in(page: Page, analyst: User) -> None:
    page.goto("/login/")
    found = faults(page, "login")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_none(found + faults(page, "login refused"))


def test_an_empty_desk(page: Page, analyst: User, connection: BrokerConnection) -> None:
    enter(page, "ada")
    found: list[str] = []
    for path in ("/setups/", "/setups/?archived=1", "/executions/", "/alerts/", "/kill-switch/", "/setups/new/"):
        page.goto(path)
        found += faults(page, f"empty {path.strip('/').replace('/', '-')}")
    page.goto("/executions/999/")
    found += faults(page, "not there")
    page.goto("/setups/new/")
    page.get_by_label("Symbol").fill("AAPL")
    page.locator("form.plan button").first.click()
    expect(page.locator(".wrong").first).to_be_visible()
    assert_none(found + faults(page, "setup form with errors"))


def test_a_full_desk(page: Page, make_user: MakeUser, connection: BrokerConnection, rich_desk: Book) -> None:  # noqa: F811
    be_ready(connection)
    make_user("tess", "trader", "reviewer")
    enter(page, "tess")
    found: list[str] = []
    for path in ("/setups/", "/executions/", f"/executions/{rich_desk.execution_id}/", "/alerts/", "/kill-switch/"):
        page.goto(path)
        for summary in page.locator("main summary").all():
            summary.click()
        found += faults(page, f"full {path.strip('/').split('/')[0]} {path.count('/')}")
    page.goto(f"/setups/{rich_desk.execution.setup_id}/")
    found += faults(page, "setup executed")
    kill_switch_engage(account=None, user=None, reason="wrong prices", now=clock.now())
    page.goto("/kill-switch/")
    assert_none(found + faults(page, "kill switch engaged"))


def test_an_execution_in_each_status(
    page: Page, analyst: User, filled: Filled, requested: Callable[..., Execution], connection: BrokerConnection
) -> None:
    be_ready(connection)
    waiting, cancelled = requested(analyst), requested(analyst)
    execution_cancel_request(execution_id=cancelled.pk, reason="requested", now=clock.now())
    closed, flagged = filled(analyst), filled(analyst)
    closed.hear(fill(closed.stop, "10", "184.90"))
    Execution.objects.filter(pk=flagged.execution_id).update(attention="The broker says 5, we say 10.")
    numbers = [waiting.pk, cancelled.pk, closed.execution_id, flagged.execution_id]
    enter(page, "ada")
    found: list[str] = []
    for number in numbers:
        page.goto(f"/executions/{number}/")
        found += faults(page, f"execution {Execution.objects.get(pk=number).status} {number}")
    assert_none(found)


def test_real_money(
    page: Page, make_user: MakeUser, make_setup: MakeSetup, account: Account, settings: Settings
) -> None:
    setup = make_setup(make_user("tess", "trader", "analyst"))
    enter(page, "tess")
    stripes = "getComputedStyle(document.querySelector('.top')).backgroundImage"
    assert page.evaluate(stripes) == "none", "practice money has a plain ground"
    Account.objects.update(account_id="U7654321")
    settings.IB_ACCOUNT, settings.IB_TRADING_MODE = "U7654321", "live"
    page.goto(f"/setups/{setup.pk}/")
    assert page.evaluate(stripes) != "none"
    found = faults(page, "live setup")
    colours = page.evaluate(
        """() => ["button.go", ".button.stop"]
            .map((name) => getComputedStyle(document.querySelector(name)).backgroundColor)"""
    )
    assert len(set(colours)) == 2, colours
    assert_none(found)


def test_the_order_history(page: Page, make_user: MakeUser, rich_desk: Book) -> None:  # noqa: F811
    make_user("rex", "reviewer", "trader", is_staff=True)
    enter(page, "rex")
    found: list[str] = []
    whole = f"execution/{rich_desk.execution_id}/change"
    for path in (whole, "execution", "order", "fill", "brokerevent"):
        page.goto(f"/admin/executions/{path}/")
        found += faults(page, f"admin {path.split('/')[0]} {path.count('/')}", leaving_out=OF_THE_ADMIN)
        page.set_viewport_size(WIDE)
        assert page.evaluate("document.documentElement.scrollHeight") < HEIGHT_MAX, path
    assert_none(found)


def test_a_phone_shows_price_filled_and_status_of_every_order(
    page: Page,
    analyst: User,
    rich_desk: Book,  # noqa: F811
) -> None:
    page.set_viewport_size(PHONE)
    enter(page, "ada")
    page.goto(f"/executions/{rich_desk.execution_id}/")
    rows = page.locator("tr", has=page.locator("td strong", has_text=re.compile("ENTRY|STOP LOSS|TAKE PROFIT")))
    expect(rows).to_have_count(len(rich_desk.orders))
    for row in rows.all():
        for heading in ("Price", "Filled", "Status"):
            cell = row.locator(f'td[data-label="{heading}"]')
            box = cell.bounding_box()
            assert box is not None
            assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE["width"], (heading, box)
            assert (cell.text_content() or "").strip() != ""
    # What is to be hit with a thumb is as high as one.
    for link in page.locator("nav a, nav button").all():
        box = link.bounding_box()
        assert box is not None
        assert box["height"] >= 44, (link.text_content(), box)


@pytest.mark.case("A27")
def test_what_scrolls_within_a_page_is_reached_by_the_keyboard(
    page: Page,
    make_user: MakeUser,
    rich_desk: Book,  # noqa: F811
) -> None:
    make_user("tess", "trader", "reviewer")
    enter(page, "tess")
    # As narrow as a table gets before it turns into cards
    page.set_viewport_size({"width": 800, "height": 900})
    execution, found = rich_desk.execution, []
    own = (f"/executions/{execution.pk}/", f"/setups/{execution.setup_id}/")
    for path in ("/setups/", "/executions/", "/alerts/", "/kill-switch/", "/logins/", *own):
        page.goto(path)
        expect(page.locator(".scroll").first).to_be_visible()
        look(page, f"scrolls {path.replace('/', '_')}")
        answer = AXE.run(page, options={"runOnly": {"type": "rule", "values": ["scrollable-region-focusable"]}})
        found += [f"{path}: {node['html'][:120]}" for rule in answer.response["violations"] for node in rule["nodes"]]
        names = [region.get_attribute("aria-label") for region in page.locator(".scroll").all()]
        assert all(names), path
        assert len(set(names)) == len(names), (path, names)
    page.goto("/logins/")
    assert_none(found + faults(page, "logins"))


@pytest.mark.case("A27")
def test_no_page_of_the_admin_is_wider_than_a_small_phone(
    page: Page,
    make_user: MakeUser,
    rich_desk: Book,  # noqa: F811
) -> None:
    root = make_user("root", is_staff=True, is_superuser=True)
    Token.objects.create(user=root)
    make_user("w" * 40)
    enter(page, "root")
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto("/admin/")
    lists = page.locator("#content-main th a").evaluate_all("links => links.map((link) => link.pathname)")
    assert "/admin/authtoken/tokenproxy/" in lists
    tokens = [f"/admin/authtoken/tokenproxy/{path}" for path in ("add/", f"{root.pk}/change/", f"{root.pk}/delete/")]
    users = ["/admin/auth/user/add/", f"/admin/auth/user/{root.pk}/change/", f"/admin/auth/user/{root.pk}/password/"]
    whole = f"/admin/executions/execution/{rich_desk.execution_id}/change/"
    wide = {}
    for path in ["/admin/", *lists, *tokens, *users, whole]:
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, path
        assert page.url.endswith(path), "the page is not there"
        look(page, f"small {path.replace('/', '_')}")
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 320:
            wide[path] = (width, page.evaluate(OVER_THE_EDGE))
    assert wide == {}


@pytest.mark.case("A17")
@pytest.mark.parametrize(
    ("path", "columns"),
    [("execution", ["status", "requested_at"]), ("order", ["display_status", "sent_at", "filled"])],
)
def test_what_matters_in_a_list_is_seen_without_scrolling(
    page: Page,
    make_user: MakeUser,
    rich_desk: Book,  # noqa: F811
    path: str,
    columns: list[str],
) -> None:
    make_user("rex", "reviewer", "trader", is_staff=True)
    enter(page, "rex")
    page.set_viewport_size(WIDE)
    page.goto(f"/admin/executions/{path}/")
    frame = page.locator("#changelist .results").bounding_box()
    assert frame is not None
    for column in columns:
        box = page.locator(f"#result_list td.field-{column}").first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= frame["x"] + frame["width"], (column, box, frame)


def test_the_header_shows_equity_with_its_age_and_goes_on_counting(page: Page, analyst: User, account: Account) -> None:
    Account.objects.update(net_liquidation=Decimal(5000), buying_power=None, worth_updated_at=clock.now())
    enter(page, "ada")
    figures = page.locator("dl.figures")
    expect(figures).to_contain_text(re.compile(r"Equity\s*5,000.00 USD"))
    expect(figures).to_contain_text(re.compile(r"Buying power\s*–"))
    before = page.locator("[data-clock=UTC]").text_content()
    expect(page.locator("[data-clock=UTC]")).not_to_have_text(before or "")
    expect(figures.locator("time")).not_to_have_text("0 s ago")


def test_the_keyboard_goes_straight_to_the_content(page: Page, analyst: User, connection: BrokerConnection) -> None:
    enter(page, "ada")
    page.goto("/executions/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
