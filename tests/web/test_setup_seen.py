"""What the page showed is what is executed; and a live account is named before real money moves."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from app.accounts.kill_switch import kill_switch_write
from app.accounts.models import Account
from app.core import clock
from app.executions.models import Execution
from app.executions.services.plan import plan_change
from app.setups.models import Setup, TakeProfit
from app.setups.services import setup_archive
from tests.api.desk import MakeSetup, MakeUser
from tests.web.conftest import visit_of
from tests.web.page_parts import Element, page_read

pytestmark = pytest.mark.django_db


def look(visit: Client, setup: Setup, more: str = "") -> Element:
    return page_read(visit.get(f"/setups/{setup.pk}/{more}").content)


def execute_form(page: Element, setup: Setup) -> Element:
    return page.only("form", action=f"/setups/{setup.pk}/execute/")


def rows_of(page: Element) -> list[list[str]]:
    table = page.only("section", **{"class": "changed"}).only("tbody")
    return [[cell.text for cell in row.children] for row in table.all("tr")]


def facts_of(page: Element) -> str:
    return page.only("dl", **{"class": "facts"}).text


@pytest.mark.case("S2")
def test_a_stale_page_shows_what_differs_and_executes_nothing(
    visit: Client, analyst: User, make_setup: MakeSetup
) -> None:
    # Given a page that was loaded before a script changed the plan
    setup = make_setup(analyst, entry_type="LIMIT", entry_price="189", notes="small")
    stale = execute_form(look(visit, setup), setup).hidden()
    plan_change(setup=setup, values={"quantity": Decimal(5000), "stop_price": Decimal(10)})
    # When its button is pressed
    answer = visit.post(f"/setups/{setup.pk}/execute/", stale)
    # Then nothing is executed, and the page shows field, then and now
    page = page_read(answer.content)
    assert (answer.status_code, Execution.objects.count()) == (412, 0)
    assert rows_of(page) == [["Protective stop", "185.00", "10.00"], ["Size", "10 shares", "5000 shares"]]
    # And the button on it is a fresh one, for the plan that it shows
    fresh = execute_form(page, setup).hidden()
    assert (fresh["revision"], fresh["idempotency_key"] != stale["idempotency_key"]) == ("2", True)
    assert visit.post(f"/setups/{setup.pk}/execute/", fresh).status_code == 302
    assert Execution.objects.get().quantity == 5000


@pytest.mark.case("S2")
def test_a_double_click_is_answered_though_the_plan_moved_between(
    visit: Client, analyst: User, make_setup: MakeSetup
) -> None:
    setup = make_setup(analyst)
    form = execute_form(look(visit, setup), setup).hidden()
    visit.post(f"/setups/{setup.pk}/execute/", form)
    TakeProfit.objects.create(setup=setup, position=1, price=Decimal(200))
    answer = visit.post(f"/setups/{setup.pk}/execute/", form)
    assert answer["Location"] == f"/executions/{Execution.objects.get().pk}/"


@pytest.mark.case("S2")
@pytest.mark.parametrize("what", ["execute", "archive", "edit"])
@pytest.mark.parametrize("revision", [None, "", "x", "-1", "١", "9" * 30])
def test_a_form_that_names_no_revision_is_refused(
    visit: Client, analyst: User, make_setup: MakeSetup, what: str, revision: str | None
) -> None:
    setup = make_setup(analyst)
    plan = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "180", "quantity": "10"}
    form = {"idempotency_key": "k", "time_in_force": "DAY", "on_timeout": "CANCEL"} | plan
    answer = visit.post(f"/setups/{setup.pk}/{what}/", form | ({} if revision is None else {"revision": revision}))
    assert answer.status_code == 422
    after = Setup.objects.get(pk=setup.pk)
    assert (after.revision, after.archived_at, Execution.objects.count()) == (1, None, 0)


@pytest.mark.case("S2")
def test_a_stale_page_archives_nothing(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    stale = look(visit, setup).only("form", action=f"/setups/{setup.pk}/archive/").hidden()
    plan_change(setup=setup, values={"notes": "keep this one"})
    answer = visit.post(f"/setups/{setup.pk}/archive/", stale)
    assert (answer.status_code, rows_of(page_read(answer.content))) == (412, [["Notes", "–", "keep this one"]])
    assert Setup.objects.get(pk=setup.pk).archived_at is None


@pytest.mark.case("S2", "A15")
def test_a_stale_edit_keeps_what_was_typed_and_shows_what_is_there(
    visit: Client, analyst: User, make_setup: MakeSetup
) -> None:
    setup = make_setup(analyst)
    form = typed(look(visit, setup, "edit/"))
    plan_change(setup=setup, values={"quantity": Decimal(7)})
    answer = visit.post(f"/setups/{setup.pk}/edit/", form | {"stop_price": "184,50"})
    page = page_read(answer.content)
    assert (answer.status_code, rows_of(page)) == (412, [["Size", "10 shares", "7 shares"]])
    assert Setup.objects.get(pk=setup.pk).stop_price == 185
    again = typed(page)
    assert (again["stop_price"], again["revision"]) == ("184,50", "2")
    assert visit.post(f"/setups/{setup.pk}/edit/", again)["Location"] == f"/setups/{setup.pk}/"
    after = Setup.objects.get(pk=setup.pk)
    assert (after.stop_price, after.quantity, after.revision) == (Decimal("184.5"), 10, 3)


def typed(page: Element) -> dict[str, str]:
    """Return what the form of a plan would send as it stands."""
    form = page.only("form", **{"class": "card plan"})
    sent = {str(one.attributes["name"]): one.attributes.get("value") or "" for one in form.all("input")}
    for select in form.all("select"):
        chosen = select.all("option", selected=True)
        sent[str(select.attributes["name"])] = str((chosen or select.all("option"))[0].attributes["value"])
    sent |= {
        # A browser drops the first line end and sends the others as two characters.
        str(one.attributes["name"]): "".join(one.texts).strip("\n").replace("\n", "\r\n")
        for one in form.all("textarea")
    }
    for box in form.all("input", type="checkbox"):
        name = str(box.attributes["name"])
        sent[name] = "on"
        if "checked" not in box.attributes:
            del sent[name]
    return sent


@pytest.mark.case("A15")
def test_a_plan_is_edited_as_it_is_stored(visit: Client, analyst: User, make_setup: MakeSetup) -> None:
    thirds = [{"price": Decimal(200 + n), "fraction": Decimal("0.333333") if n else Decimal("0.25")} for n in range(4)]
    setup = make_setup(
        analyst,
        entry_type="STOP_LIMIT",
        entry_price="189",
        entry_limit_price="189.5",
        take_profits=thirds[:1] + [{"price": Decimal(210 + n), "fraction": Decimal("0.1")} for n in range(4)],
        outside_rth=True,
        tags=["gap", "news"],
        notes="two\nlines",
        entry_timeout_seconds=90,
    )
    before = visit.get(f"/setups/{setup.pk}/").content
    answer = visit.post(f"/setups/{setup.pk}/edit/", typed(look(visit, setup, "edit/")))
    assert answer.status_code == 302
    after = Setup.objects.get(pk=setup.pk)
    assert (after.take_profits.count(), after.outside_rth, after.tags) == (5, True, ["gap", "news"])
    assert after.revision == 1, "saved as it was, nothing has changed"
    assert facts_of(page_read(before)) == facts_of(look(visit, setup))


@pytest.mark.case("A15")
def test_what_was_executed_is_copied_and_not_edited(visit: Client, analyst: User, requested: Any) -> None:
    setup = requested(analyst).setup
    assert not look(visit, setup).all("a", href=f"/setups/{setup.pk}/edit/")
    assert visit.get(f"/setups/{setup.pk}/edit/").status_code == 409
    copy = page_read(visit.get(f"/setups/new/?copy={setup.pk}").content)
    answer = visit.post("/setups/new/", typed(copy))
    assert answer.status_code == 302
    newest, oldest = Setup.objects.order_by("-pk")[:2]
    assert (newest.symbol, newest.quantity, newest.stop_price) == (oldest.symbol, oldest.quantity, oldest.stop_price)
    assert (newest.state, newest.revision) == ("DRAFT", 1)


@pytest.mark.case("A15")
def test_a_foreign_plan_is_neither_copied_nor_edited(visit: Client, make_user: Any, make_setup: MakeSetup) -> None:
    foreign = make_setup(make_user("bob", "analyst"), notes="secret")
    assert "secret" not in visit.get(f"/setups/new/?copy={foreign.pk}").content.decode()
    assert visit.get(f"/setups/{foreign.pk}/edit/").status_code == 404
    assert visit.post(f"/setups/{foreign.pk}/restore/").status_code == 404


@pytest.mark.case("A15")
def test_an_archived_setup_says_so_and_comes_back(analyst: User, make_setup: MakeSetup) -> None:
    visit = visit_of(analyst, enforce_csrf_checks=True)
    setup = make_setup(analyst)
    form = look(visit, setup).only("form", action=f"/setups/{setup.pk}/archive/").hidden()
    page = page_read(visit.post(f"/setups/{setup.pk}/archive/", form, follow=True).content)
    notice = page.only("div", **{"class": "notice"})
    assert f"AAPL #{setup.pk} is archived" in notice.text
    undo = notice.only("form", method="post")
    assert undo.only("button").text == "Undo"
    answer = visit.post(str(undo.attributes["action"]), undo.hidden())
    assert answer["Location"] == f"/setups/{setup.pk}/"
    assert Setup.objects.get(pk=setup.pk).archived_at is None
    again = page_read(visit.get(f"/setups/?put_away={setup.pk}").content)
    assert not again.all("div", **{"class": "notice"}), "it is no longer archived"


@pytest.mark.case("A15")
def test_only_who_may_archive_a_setup_brings_it_back_and_nobody_is_told_of_what_he_may_not_see(
    analyst: User, make_user: MakeUser, make_setup: MakeSetup
) -> None:
    setup = make_setup(analyst)
    setup_archive(setup_id=setup.pk, now=clock.now())
    reads, stranger = visit_of(make_user("eve", "analyst", "reviewer")), visit_of(make_user("bob", "analyst"))
    refused = reads.post(f"/setups/{setup.pk}/restore/")
    assert (refused.status_code, refused.context["refusal"].code) == (403, "not_owner")
    assert Setup.objects.get(pk=setup.pk).archived_at is not None
    told = [
        len(page_read(visitor.get(f"/setups/?put_away={setup.pk}").content).all("div", **{"class": "notice"}))
        for visitor in (reads, stranger)
    ]
    assert told == [1, 0]


# Real money


@pytest.fixture
def live_setup(visit: Client, analyst: User, account: Account, make_setup: MakeSetup, settings: Settings) -> Setup:
    """A setup on a live account, which its owner may trade."""
    setup = make_setup(analyst)
    Account.objects.filter(pk=account.pk).update(account_id="U7654321")
    settings.IB_ACCOUNT, settings.IB_TRADING_MODE = "U7654321", "live"
    analyst.groups.add(Group.objects.get(name="trader"))
    return Setup.objects.get(pk=setup.pk)


@pytest.mark.case("S37")
@pytest.mark.parametrize("tick", [None, "", "on", "DU1234567", "u7654321"])
def test_real_money_is_not_moved_without_the_tick(visit: Client, live_setup: Setup, tick: str | None) -> None:
    form = execute_form(look(visit, live_setup), live_setup).hidden()
    answer = visit.post(f"/setups/{live_setup.pk}/execute/", form | ({} if tick is None else {"real_money": tick}))
    assert (answer.status_code, Execution.objects.count()) == (422, 0)
    assert page_read(answer.content).only("div", role="alert").only("code").text == "live_not_confirmed"


@pytest.mark.case("S37")
def test_the_tick_names_the_account(visit: Client, live_setup: Setup) -> None:
    form = execute_form(look(visit, live_setup), live_setup)
    tick = form.only("input", type="checkbox")
    assert (tick.attributes["name"], tick.attributes["value"]) == ("real_money", "U7654321")
    ticked = form.hidden() | {"real_money": str(tick.attributes["value"])}
    clicks = [visit.post(f"/setups/{live_setup.pk}/execute/", ticked) for _ in range(2)]
    assert {click.status_code for click in clicks} == {302}
    assert Execution.objects.count() == 1


@pytest.mark.case("S2", "S37")
def test_a_page_that_said_paper_does_not_trade_live(
    visit: Client, analyst: User, account: Account, make_setup: MakeSetup, settings: Settings
) -> None:
    setup = make_setup(analyst)
    form = execute_form(look(visit, setup), setup).hidden()
    Account.objects.filter(pk=account.pk).update(account_id="U7654321")
    settings.IB_ACCOUNT, settings.IB_TRADING_MODE = "U7654321", "live"
    analyst.groups.add(Group.objects.get(name="trader"))
    answer = visit.post(f"/setups/{setup.pk}/execute/", form | {"real_money": "U7654321"})
    assert (answer.status_code, Execution.objects.count()) == (412, 0)
    assert rows_of(page_read(answer.content)) == [["Account", "DU1234567 (paper)", "U7654321 (live)"]]


# Why not now


@pytest.mark.case("A11")
def test_execute_is_off_while_it_runs_already_and_leads_there(visit: Client, analyst: User, requested: Any) -> None:
    execution = requested(analyst)
    page = look(visit, execution.setup)
    button = execute_form(page, execution.setup).only("button")
    reason = page.only("p", id="why-not")
    assert button.has({"disabled": True, "aria_describedby": "why-not"})
    assert reason.only("a").attributes["href"] == f"/executions/{execution.pk}/"
    assert reason.only("code").text == "execution_in_progress"


@pytest.mark.case("A11")
@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("kill switch", "kill_switch_engaged"),
        ("maintenance", "gateway_maintenance"),
        ("live", "live_not_allowed"),
        ("account", "account_inactive"),
    ],
)
def test_execute_is_off_where_it_could_only_be_refused_and_the_server_refuses(
    visit: Client, analyst: User, account: Account, make_setup: MakeSetup, settings: Settings, what: str, code: str
) -> None:
    from app.domain.maintenance import maintenance_read

    setup = make_setup(analyst)
    assert not execute_form(look(visit, setup), setup).only("button").has({"disabled": True})
    if what == "kill switch":
        kill_switch_write(account=None, user=None, reason="wrong prices", flatten=False, now=clock.now())
    elif what == "maintenance":
        settings.GATEWAY_MAINTENANCE = maintenance_read("Mon-Sun 00:00-12:00 UTC; Mon-Sun 12:00-00:00 UTC")
    elif what == "live":
        Account.objects.filter(pk=account.pk).update(account_id="U7654321")
        settings.IB_ACCOUNT = "U7654321"
    else:
        Account.objects.filter(pk=account.pk).update(is_active=False)
    page = look(visit, setup)
    form = execute_form(page, setup)
    assert form.only("button").has({"disabled": True})
    assert page.only("p", id="why-not").only("code").text == code
    answer = visit.post(f"/setups/{setup.pk}/execute/", form.hidden() | {"real_money": "U7654321"})
    assert page_read(answer.content).only("div", role="alert").only("code").text == code
    assert not Execution.objects.exists()


@pytest.mark.case("S79")
def test_an_edit_that_changes_nothing_keeps_as_many_tags_as_the_api_takes(
    visit: Client, analyst: User, make_setup: MakeSetup
) -> None:
    tags = [f"{number:02d}" + "x" * 38 for number in range(20)]
    setup = make_setup(analyst, tags=tags)
    answer = visit.post(f"/setups/{setup.pk}/edit/", typed(look(visit, setup, "edit/")))
    assert answer.status_code == 302
    after = Setup.objects.get(pk=setup.pk)
    assert (after.tags, after.revision) == (tags, setup.revision)
