"""The header of every page: where one is, the time here and at the exchange, and what the account is worth."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from app.accounts.models import Account
from app.core import clock
from app.web.account_figures import age_text
from app.web.templatetags.figures import moment
from tests.api.desk import MakeUser
from tests.services.book import Book
from tests.web.conftest import visit_of

pytestmark = [pytest.mark.django_db, pytest.mark.case("A20")]


def html_of(visitor: Client, path: str) -> str:
    answer = visitor.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


def figures_of(html: str) -> dict[str, str]:
    """Return what the header says of the account, by its words."""
    found = re.search(r'<dl class="figures.*?</dl>', html, re.DOTALL)
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", found[0], re.DOTALL) if found else []
    return {name: re.sub(r"<[^>]+>", "", value).strip() for name, value in pairs}


@pytest.mark.parametrize(
    ("path", "link", "current"),
    [
        ("/setups/", "/setups/", "page"),
        ("/setups/new/", "/setups/", "true"),
        ("/executions/", "/executions/", "page"),
        ("/executions/{}/", "/executions/", "true"),
        ("/alerts/", "/alerts/", "page"),
        ("/kill-switch/", "/kill-switch/", "page"),
    ],
)
def test_the_navigation_says_where_one_is(root: Client, rich_desk: Book, path: str, link: str, current: str) -> None:
    html = html_of(root, path.format(rich_desk.execution_id))
    assert re.findall(r'<a href="([^"]+)"[^>]*aria-current="(\w+)"', html) == [(link, current)]


def test_the_first_link_skips_to_the_content(visit: Client) -> None:
    html = html_of(visit, "/setups/")
    first = re.search(r"<a\b[^>]*>", html[html.index("<body") :])
    assert first is not None
    assert 'href="#main"' in first[0]
    assert '<main id="main"' in html


def test_the_account_is_shown_with_the_age_of_its_figures(visit: Client, account: Account) -> None:
    Account.objects.update(
        net_liquidation=Decimal("1000123.5"), buying_power=Decimal(36000), worth_updated_at=clock.now()
    )
    shown = figures_of(html_of(visit, "/setups/"))
    assert (shown["Equity"], shown["Buying power"]) == ("1,000,123.50 USD", "36,000.00")
    assert shown["Day result"] == "not known"
    assert shown["Reported"].endswith("s ago")
    # What was reported long ago is marked, and what never was is not invented.
    Account.objects.update(worth_updated_at=clock.now() - timedelta(hours=3), buying_power=None)
    html = html_of(visit, "/figures/")
    assert (figures_of(html)["Reported"], figures_of(html)["Buying power"]) == ("3 h ago", "–")
    assert '<dl class="figures old"' in html
    Account.objects.update(worth_updated_at=None, net_liquidation=None)
    assert figures_of(html_of(visit, "/setups/")) == {
        "Equity": "–",
        "Buying power": "–",
        "Day result": "not known",
        "Reported": "never",
    }


def test_who_has_no_role_sees_no_figures(make_user: MakeUser, account: Account) -> None:
    nobody = visit_of(make_user("nobody"))
    assert figures_of(html_of(nobody, "/setups/")) == {}
    assert html_of(nobody, "/figures/").strip() == ""
    assert Client().get("/figures/").status_code in (302, 401)


def test_the_time_at_the_exchange_stands_beside_ours(visit: Client) -> None:
    html = html_of(visit, "/setups/")
    clocks = {
        zone: (stamp, shown)
        for stamp, zone, shown in re.findall(r'<time datetime="([^"]+)" data-clock="([^"]+)">([^<]+)</time>', html)
    }
    assert set(clocks) == {"UTC", "America/New_York"}
    for zone, (stamp, shown) in clocks.items():
        moment_told = datetime.fromisoformat(stamp)
        assert moment_told.tzinfo == UTC
        assert shown == f"{moment_told.astimezone(ZoneInfo(zone)):%H:%M:%S}", zone


def test_a_moment_is_written_for_both_places() -> None:
    winter, night = datetime(2026, 11, 27, 14, 30, 5, tzinfo=UTC), datetime(2026, 7, 1, 2, 0, 0, tzinfo=UTC)
    assert moment(winter) == (
        '<time datetime="2026-11-27T14:30:05+00:00">2026-11-27 14:30:05 UTC '
        '<small class="there">09:30:05 EST New York</small></time>'
    )
    assert "Jun 30 22:00:00 EDT New York" in moment(night)
    # In autumn an hour comes twice; the name tells which of the two it is
    twice = [datetime(2026, 11, 1, hour, 30, 0, tzinfo=UTC) for hour in (5, 6)]
    assert ["01:30:00 EDT" in moment(twice[0]), "01:30:00 EST" in moment(twice[1])] == [True, True]
    assert moment(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d"), (1e7, "115 d")]
)
def test_ages_are_said_as_people_do(seconds: float, words: str) -> None:
    assert age_text(seconds) == words


def test_every_time_of_the_pages_is_written_for_both_places(root: Client, rich_desk: Book) -> None:
    for path in ("/executions/", f"/executions/{rich_desk.execution_id}/", "/alerts/", "/kill-switch/"):
        html = html_of(root, path)
        bare = re.sub(r"<time\b.*?</time>", "", html, flags=re.DOTALL)
        assert re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?", bare) == [], path
        assert "New York</small></time>" in html


@pytest.mark.case("A9")
def test_a_page_without_scripts_says_that_it_is_not_live(root: Client) -> None:
    assert 'id="live-state" class="live-state">not live: reload</span>' in html_of(root, "/setups/")


@pytest.mark.case("A13")
def test_the_days_of_lists_say_whose_days_they_are(root: Client) -> None:
    html = html_of(root, "/executions/")
    assert re.findall(r"<label[^>]*>((?:From|To)[^<]*)</label>", html) == ["From (UTC day)", "To (UTC day)"]
