"""Texts from outside (the broker's, notes, names, reasons) turn nothing on a page around, and hide nothing in it."""

import json
import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.accounts.models import BrokerConnection, KillSwitch
from app.accounts.services import connection_state_record
from app.alerts.models import Alert
from app.brokers.base import ConnectionState
from app.core import clock
from app.domain.broker_events import MessageMeaning
from app.executions.models import Execution, ExecutionFlag
from app.executions.services.kill_switch import kill_switch_engage
from app.logins.models import Login
from app.setups.models import Setup
from app.web.unseen_signs import page_with_signs_shown, signs_shown
from app.web.visitor import standing_of
from tests.services.book import Book
from tests.services.heard import message
from tests.web.conftest import visit_of
from tests.web.crawl import crawl
from tests.web.page_parts import Element, page_read

pytestmark = [pytest.mark.django_db, pytest.mark.case("A24")]

HEBREW = "שלום"
OUTSIDE = f"\u202eturned\u2066 {HEBREW} 7\x1b[31m\u200b"
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What begins a line or a cell of its own, and bdi: letters in it move nothing beside it.
APART = {"bdi", "td", "dd", "li", "p", "div", "h1", "h2", "title", "option", "textarea", "button", "th"}


@pytest.fixture
def hostile_desk(rich_desk: Book, analyst: User, connection: BrokerConnection) -> Book:
    """A desk on which every text that comes from outside is hostile."""
    now = clock.now()
    rich_desk.hear(message(rich_desk.orders[-1], 399, OUTSIDE, MessageMeaning.WARNING))
    Setup.objects.update(notes=OUTSIDE, tags=[OUTSIDE])
    Execution.objects.update(reason=OUTSIDE, reason_code="order_refused", attention=OUTSIDE)
    for execution in Execution.objects.all():
        seen = {"seen_at": now, "seen_by": analyst}
        ExecutionFlag.objects.create(execution=execution, sentence=OUTSIDE, raised_at=now)
        ExecutionFlag.objects.create(execution=execution, sentence=f"{OUTSIDE} seen", raised_at=now, **seen)
    Alert.objects.update(text=OUTSIDE, subject=OUTSIDE)
    kill_switch_engage(account=None, user=analyst, reason=OUTSIDE, now=now)
    kill_switch_engage(account=None, user=analyst, reason=f"{OUTSIDE} again", now=now)
    KillSwitch.objects.exclude(released_at=None).update(reason=OUTSIDE, release_reason=OUTSIDE)
    Login.objects.update(browser=OUTSIDE)
    connection_state_record(
        connection_id=connection.pk, state=ConnectionState.DISCONNECTED, reason=OUTSIDE, now=clock.now()
    )
    User.objects.filter(pk=analyst.pk).update(username=f"ada{OUTSIDE}", first_name=OUTSIDE)
    return rich_desk


def test_no_sign_that_nobody_sees_stands_in_the_words_of_any_page(root: Client, hostile_desk: Book) -> None:
    shown, turned = 0, []
    for path, html in crawl(root, "/setups/", "/executions/", "/alerts/", "/kill-switch/", "/logins/", "/admin/"):
        words = re.sub(r"<(input|option)\b[^>]*>|<textarea\b.*?</textarea>", "", html, flags=re.DOTALL)
        shown += "⟨U+202E⟩turned" in words
        turned += [(path, words[max(0, found.start() - 60) : found.end() + 20]) for found in UNSEEN.finditer(words)]
    assert turned == []
    assert shown > 10


def texts_beside(page: Element) -> Iterator[str]:
    """Yield each text from outside that stands in one line with what follows it, without anything in between."""

    def walk(element: Element, *, rest_is_apart: bool) -> Iterator[str]:
        inside = [child for child in element.children if HEBREW in child.text]
        own = element.text
        for child in inside:
            yield from walk(child, rest_is_apart=rest_is_apart)
            own = own.replace(child.text, "")
        if HEBREW in own and element.name not in {"bdi", "script", "style"}:
            after = own.rpartition(HEBREW)[2]
            alone = re.fullmatch(r"[ 7\[31m⟩⟨U+0-9ABCDEF]*(seen|again)?[ .…]*", after)
            if element.name not in APART or not alone:
                yield f"<{element.name}> {own[-160:]}"

    yield from walk(page, rest_is_apart=False)


def test_letters_that_run_from_right_to_left_move_nothing_beside_them(analyst: User, hostile_desk: Book) -> None:
    analyst.refresh_from_db()
    visit = visit_of(analyst)
    moved = {
        path: list(texts_beside(page_read(visit.get(path).content)))
        for path in (
            "/setups/",
            "/executions/",
            f"/executions/{hostile_desk.execution_id}/",
            f"/setups/{hostile_desk.execution.setup_id}/",
            "/alerts/",
            "/kill-switch/",
            "/logins/",
        )
    }
    assert {path: texts for path, texts in moved.items() if texts} == {}


@pytest.mark.django_db(transaction=True)
def test_what_an_open_page_is_sent_is_shown_in_the_same_way(analyst: User, hostile_desk: Book) -> None:
    analyst.refresh_from_db()
    visit = visit_of(analyst)
    setup = hostile_desk.execution.setup_id
    for asked in (
        f"execution&id={hostile_desk.execution_id}",
        "executions",
        f"setup&id={setup}",
        "alerts",
        "kill-switch",
    ):
        sent = visit.get(f"/live/now?standing={standing_of(analyst)}&view={asked}").content.decode()
        event = json.loads(sent.partition("data: ")[2])
        texts = [*event["parts"].values(), *(sentence for sentence, _ in event["spoken"].values())]
        assert [text for text in texts if UNSEEN.search(text)] == [], asked
        assert "⟨U+202E⟩turned" in " ".join(texts), asked


def test_a_form_keeps_what_was_written(hostile_desk: Book, analyst: User) -> None:
    setup = Setup.objects.filter(executed_at=None, archived_at=None).get()
    analyst.refresh_from_db()
    page = page_read(visit_of(analyst).get(f"/setups/{setup.pk}/edit/").content)
    notes = page.only("textarea", name="notes")
    assert "".join(notes.texts).strip() == OUTSIDE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a⟨U+202E⟩b"),
        ("\u2067a\u2069", "⟨U+2067⟩a⟨U+2069⟩"),
        ("a\x00\x1b\x9b", "a⟨U+0000⟩⟨U+001B⟩⟨U+009B⟩"),
        ("a\u2028b\U000e0041", "a⟨U+2028⟩b⟨U+E0041⟩"),
        ("two\nlines\tand a tab\r\n", "two\nlines\tand a tab\r\n"),
        (f"{HEBREW} 👨‍👩‍👧 می‌خواهم ä – €", f"{HEBREW} 👨‍👩‍👧 می‌خواهم ä – €"),
    ],
)
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert signs_shown(text) == shown
    assert page_with_signs_shown(f'<p title="{text}">{text}</p>') == f'<p title="{shown}">{shown}</p>'
    for kept in (f'<input value="{text}">', f"<textarea>{text}</textarea>", f"<script>{text}</script>"):
        assert page_with_signs_shown(f"{text}{kept}{text}") == f"{shown}{kept}{shown}"
