"""Why a person must look: raised once, told with its time, cleared by who has looked, and never forgotten."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from rest_framework.test import APIClient

from app.accounts.roles import roles_ensure
from app.alerts.models import Alert
from app.core import clock
from app.domain.reasons import FLAGS, FlagCode
from app.executions.models import Decision, Execution, ExecutionFlag
from app.executions.services.attention import attention_add
from app.worker.watchdog import watchdog_look
from tests.services.book import Book

pytestmark = [pytest.mark.django_db, pytest.mark.case("A8")]
Submitted = Callable[..., Book]


def flag(book: Book, text: str) -> ExecutionFlag:
    execution = Execution.objects.get(pk=book.execution_id)
    attention_add(execution, text, code=FlagCode.UNEXPECTED)
    execution.save(update_fields=["attention"])
    return execution.flags.get(sentence=text)


def attention(book: Book) -> str:
    return Execution.objects.get(pk=book.execution_id).attention


def owner_of(book: Book) -> User:
    """Return who planned it: an analyst, who may see alerts."""
    owner = book.execution.setup.owner
    owner.groups.add(Group.objects.get(name="analyst"))
    return owner


def page_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def script_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def test_seen_on_the_page_clears_the_mark_and_keeps_the_history(submitted: Submitted) -> None:
    book = submitted()
    first = flag(book, "an odd thing")
    watchdog_look(now=clock.now())
    page = page_of(owner_of(book))
    here = f"/executions/{book.execution_id}/"
    assert f'name="through" value="{first.pk}"' in page.get(here).content.decode()

    # When a second reason comes up after the page was shown, then only the first is seen
    second = flag(book, "another odd thing")
    assert page.post(f"{here}seen/", {"through": first.pk}).status_code == 302
    assert attention(book) == "another odd thing"
    # And when that is seen too, nobody must look any more
    page.post(f"{here}seen/", {"through": second.pk})
    assert attention(book) == ""
    assert "an odd thing" in page.get(here).content.decode()
    assert f"#{book.execution_id}<" not in page.get("/executions/?attention=1").content.decode()
    # And who has looked, and when, is kept for good
    decided = Decision.objects.filter(action="SEEN").values_list("user", "reason")
    assert list(decided) == [(owner_of(book).pk, "an odd thing"), (owner_of(book).pk, "another odd thing")]
    assert all(found.seen_at and found.seen_by == owner_of(book) for found in ExecutionFlag.objects.all())
    assert not Alert.objects.filter(acknowledged_at=None, execution=book.execution_id).exists()


def test_what_was_seen_is_not_raised_by_being_found_again_but_a_new_reason_is(submitted: Submitted) -> None:
    book = submitted()
    flag(book, "an odd thing")
    script_of(owner_of(book)).post(f"/api/v1/executions/{book.execution_id}/seen/")
    flag(book, "an odd thing")
    assert attention(book) == ""
    flag(book, "something else")
    assert attention(book) == "something else"


def test_seen_by_a_script_answers_the_execution_with_its_flags(submitted: Submitted) -> None:
    book = submitted()
    first, raised = flag(book, "a first thing"), flag(book, "an odd thing")
    script = script_of(owner_of(book))
    address = f"/api/v1/executions/{book.execution_id}/seen/"
    assert script.post(address, {"through": first.pk}, format="json").status_code == 200
    assert attention(book) == "an odd thing"
    for refused in ({"thru": 1}, {"through": 0}, {"through": str(raised.pk)}):
        assert script.post(address, refused, format="json").status_code == 400
    assert attention(book) == "an odd thing"
    answer = script.post(address, {"through": raised.pk}, format="json")
    assert (answer.status_code, answer.json()["attention"]) == (200, "")
    told = answer.json()["flags"][1]
    assert (told["sentence"], told["seen_by"]) == ("an odd thing", owner_of(book).username)
    assert (told["code"], told["raised_by"], told["resolved_how"]) == ("unexpected", "RECORDER", "seen")
    assert told["what_to_do"] == FLAGS[FlagCode.UNEXPECTED].what_to_do
    assert told["raised_at"] <= told["seen_at"]
    # Once more changes nothing
    assert script.post(address).status_code == 200
    assert Decision.objects.filter(action="SEEN").count() == 2


def test_seen_on_the_alert_is_seen_on_the_execution(submitted: Submitted) -> None:
    book = submitted()
    flag(book, "an odd thing")
    flag(book, "another odd thing")
    watchdog_look(now=clock.now())
    alert = Alert.objects.get(execution=book.execution_id)
    # What came up after the alert was told is not seen by it
    flag(book, "a third odd thing")
    assert page_of(owner_of(book)).post(f"/alerts/{alert.pk}/seen/").status_code == 302
    assert attention(book) == "a third odd thing"
    watchdog_look(now=clock.now())
    other = Alert.objects.get(text__endswith=": a third odd thing")
    assert script_of(owner_of(book)).post(f"/api/v1/alerts/{other.pk}/acknowledge/").status_code == 200
    assert attention(book) == ""


def test_an_alert_is_over_when_all_that_it_told_is_seen(submitted: Submitted) -> None:
    book = submitted()
    first, second = flag(book, "an odd thing"), flag(book, "another odd thing")
    watchdog_look(now=clock.now())
    seen = f"/api/v1/executions/{book.execution_id}/seen/"
    script_of(owner_of(book)).post(seen, {"through": first.pk}, format="json")
    assert Alert.objects.get(execution=book.execution_id).is_open
    script_of(owner_of(book)).post(seen, {"through": second.pk}, format="json")
    assert not Alert.objects.get(execution=book.execution_id).is_open


@pytest.mark.case("S44")
@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ({"analyst"}, 404),
        ({"trader"}, 404),
        ({"reviewer"}, 403),
        ({"analyst", "reviewer"}, 403),
        ({"trader", "reviewer"}, 200),
        ({"admin"}, 200),
    ],
)
def test_who_may_say_that_anothers_execution_is_seen(submitted: Submitted, roles: set[str], status: int) -> None:
    """A trader acts on others' executions only with a role that lets them be read: the others are not found."""
    roles_ensure()
    book = submitted()
    flag(book, "an odd thing")
    watchdog_look(now=clock.now())
    alert = Alert.objects.get(text__endswith=": an odd thing")
    other = User.objects.create_user("eve", is_superuser="admin" in roles)
    other.groups.add(*Group.objects.filter(name__in=roles))
    seen_here = f"/executions/{book.execution_id}/seen/"
    roads = [
        lambda: page_of(other).post(seen_here, {"through": ExecutionFlag.objects.get().pk}),
        lambda: page_of(other).post(f"/alerts/{alert.pk}/seen/"),
        lambda: script_of(other).post(f"/api/v1/alerts/{alert.pk}/acknowledge/"),
        lambda: script_of(other).post(f"/api/v1/executions/{book.execution_id}/seen/"),
    ]
    answers = [road().status_code for road in roads]
    assert answers == ([302, 302, 200, 200] if status == 200 else [status] * 4)
    assert attention(book) == ("" if status == 200 else "an odd thing")


@pytest.mark.parametrize("shown", ["", "x", "-1", "\u0661", "9" * 30])
def test_a_page_that_does_not_say_what_it_showed_clears_nothing(submitted: Submitted, shown: str) -> None:
    book = submitted()
    flag(book, "an odd thing")
    answer = page_of(owner_of(book)).post(f"/executions/{book.execution_id}/seen/", {"through": shown})
    assert answer.status_code == 422
    assert attention(book) == "an odd thing"


def test_a_reason_is_one_short_line_whatever_the_broker_wrote(submitted: Submitted) -> None:
    book = submitted()
    execution = Execution.objects.get(pk=book.execution_id)
    for _ in range(2):
        attention_add(execution, "two\nlines\u2028more " + "\u20ac" * 5000, code=FlagCode.UNEXPECTED)
    (kept,) = execution.flags.all()
    assert execution.attention == kept.sentence
    assert len(kept.sentence.splitlines()) == 1
