"""No form on an execution's page moves real money without the tick that names the account; a look needs none."""

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from app.accounts.models import Account
from app.domain.broker_events import ToldStatus
from app.executions.models import Decision, OrderCommand
from tests.api.desk import Filled
from tests.services.book import Book
from tests.services.heard import told
from tests.web.page_parts import page_read

pytestmark = [pytest.mark.django_db, pytest.mark.case("S37")]
LIVE = "U7654321"
FORMS = {
    "close": {"quantity": "4", "limit_price": "", "key": "once"},
    "move": {"what": "stop", "tranche": "1", "price": "186", "expected_price": "185", "key": "once"},
    "resolve": {"act": "dismiss", "note": "looked at"},
}


@pytest.fixture
def live(filled: Filled, analyst: User, settings: Settings) -> Book:
    """Ten shares with a stop at 185 on a live account that its owner may trade; a person must look."""
    book = filled(analyst, take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.stop, ToldStatus.SUBMITTED, source="open_order", stop_price=Decimal(185)))
    book.hear(told(book.stop, ToldStatus.UNKNOWN, raw_status="Odd"))
    Account.objects.update(account_id=LIVE)
    settings.IB_ACCOUNT, settings.IB_TRADING_MODE = LIVE, "live"
    analyst.groups.add(Group.objects.get(name="trader"))
    return book


@pytest.fixture
def page(analyst: User) -> Client:
    client = Client()
    client.force_login(analyst)
    return client


def looked_at(page: Client, book: Book, name: str) -> dict[str, str]:
    """Return the form as it is sent, without the tick; what is settled is previewed first, which needs none."""
    form = FORMS[name]
    if name != "resolve":
        return form
    preview = page.post(f"/executions/{book.execution_id}/resolve/", form)
    assert preview.status_code == 200
    assert _ticks(preview.content) == [LIVE]
    (facts,) = re.findall(r'name="facts" value="(\w+)"', preview.content.decode())
    return form | {"facts": facts}


def _ticks(content: bytes) -> list[str]:
    found = page_read(content).all("input", type="checkbox", name="real_money")
    return [str(tick.attributes["value"]) for tick in found]


def done() -> int:
    """Count what was decided or written down to be sent by a person since."""
    return OrderCommand.objects.filter(reason_code="moved").count() + Decision.objects.filter(actor="PERSON").count()


@pytest.mark.parametrize("tick", [None, "", "on", "DU1234567", "u7654321"])
@pytest.mark.parametrize("name", FORMS)
def test_nothing_is_done_on_a_live_account_without_the_tick(
    page: Client, live: Book, name: str, tick: str | None
) -> None:
    form, before = looked_at(page, live, name), done()
    answer = page.post(
        f"/executions/{live.execution_id}/{name}/", form | ({} if tick is None else {"real_money": tick})
    )
    assert (answer.status_code, done()) == (422, before)
    assert "live_not_confirmed" in [code.text for code in page_read(answer.content).all("code")]


@pytest.mark.parametrize("name", FORMS)
def test_with_the_tick_it_is_done(page: Client, live: Book, name: str) -> None:
    form, before = looked_at(page, live, name), done()
    answer = page.post(f"/executions/{live.execution_id}/{name}/", form | {"real_money": LIVE})
    assert answer.status_code == 302
    assert done() > before


def test_the_forms_of_a_live_account_ask_for_it(page: Client, live: Book) -> None:
    address = f"/executions/{live.execution_id}/"
    ticks = _ticks(page.get(address).content)
    assert len(ticks) >= 2, "closing, and moving each exit at work"
    assert set(ticks) == {LIVE}
    Account.objects.update(account_id="DU7654321")
    assert _ticks(page.get(address).content) == []
