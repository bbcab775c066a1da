"""The one stream of a page: it lives, it sends what changed and no more, and it ends with the right to look."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import AsyncClient
from pytest_django import Settings

from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.core import clock
from app.executions.models import Execution
from app.executions.services.kill_switch import kill_switch_engage
from app.setups.models import Setup
from app.web import paging, stream, stream_slots
from tests.api.desk import Filled, MakeSetup, MakeUser
from tests.services.book import Book
from tests.services.heard import fill
from tests.web.stream_visits import STREAM, asked, events_in, followed, in_database, logged_in, opened

pytestmark = pytest.mark.django_db(transaction=True)
NOW = "/live/now"
LOOK_SECONDS = stream.LOOK_SECONDS  # As it is outside of these tests.


@pytest.fixture(autouse=True)
async def _connection_given_back() -> AsyncIterator[None]:
    yield
    await in_database(lambda: None)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(stream, "LOOK_SECONDS", 0.1)
    # A test that only opens streams leaves places taken.
    monkeypatch.setattr(stream_slots, "_slots", set())


class TestWhatItSends:
    """A snapshot, then what differs."""

    @pytest.mark.case("A7")
    async def test_a_snapshot_comes_first_and_then_only_the_rows_that_changed(
        self, analyst: User, filled: Filled
    ) -> None:
        book: Book = await in_database(lambda: filled(analyst))
        entry, stop = await in_database(lambda: (f"order-{book.entry.pk}", f"order-{book.stop.pk}"))
        answer = await opened(analyst, "execution", id=book.execution_id)
        assert (answer["Content-Type"], answer["Cache-Control"]) == ("text/event-stream", "no-store")
        async with followed(answer) as following:
            kind, first = await following()
            assert kind == "snapshot"
            assert "status big open" in first["parts"]["execution-head"]
            assert {"banner", "execution-facts", entry, stop} <= set(first["parts"])
            await in_database(lambda: book.hear(fill(book.stop, "4", "184.90")))
            _, changed = await following("change")
            assert stop in changed["parts"]
            assert not {"banner", entry} & set(changed["parts"])
            # Ten kilobytes of it were sent for each event when the whole page was one part.
            assert len(json.dumps(changed)) < 3_000
            await in_database(lambda: book.hear(fill(book.stop, "6", "184.90")))
            while "status big closed" not in changed.get("parts", {}).get("execution-head", ""):
                _, changed = await following("change")
            assert changed["spoken"]["execution"] == [
                f"AAPL execution {book.execution_id} is CLOSED, 0 of 10 shares held.",
                False,
            ]

    @pytest.mark.case("A2")
    async def test_in_silence_it_beats_and_sends_nothing_twice(self, analyst: User, requested: Any) -> None:
        execution = await in_database(lambda: requested(analyst))
        answer = await opened(analyst, "execution", id=execution.pk)
        async with followed(answer) as following:
            await following("snapshot")
            assert [await following() for _ in range(12)] == [("beat", {})] * 12

    @pytest.mark.case("A2")
    async def test_it_does_not_beat_while_the_rows_cannot_be_read(
        self, analyst: User, requested: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execution = await in_database(lambda: requested(analyst))
        answer = await opened(analyst, "execution", id=execution.pk)
        async with followed(answer) as following:
            await following("snapshot")

            def gone(*_: object, **__: object) -> None:
                raise ConnectionError("the database is away")

            monkeypatch.setattr(stream, "look_of", gone)
            with pytest.raises(ConnectionError):
                await following("nothing that is ever sent")

    async def test_a_banner_that_changes_is_sent_on_every_page(self, analyst: User) -> None:
        async with followed(await opened(analyst, "plain")) as following:
            await following("snapshot")
            await in_database(lambda: kill_switch_engage(account=None, user=None, reason="news", now=clock.now()))
            _, changed = await following("change")
            assert set(changed["parts"]) == {"banner"}
            assert (
                'Trading is stopped<span class="more"> (all accounts): <bdi>news</bdi></span>'
                in changed["parts"]["banner"]
            )

    async def test_without_redis_it_looks_at_the_rows(
        self, analyst: User, filled: Filled, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "POLL_SECONDS", 0.05)
        book: Book = await in_database(lambda: filled(analyst))
        settings.REDIS_URL = "redis://127.0.0.1:9/0"
        async with followed(await opened(analyst, "execution", id=book.execution_id)) as following:
            await following("snapshot")
            assert await following() == ("beat", {}), "Redis away is no silence"
            await in_database(lambda: Execution.objects.update(status="CLOSED"))
            _, changed = await following("change")
            assert "status big closed" in changed["parts"]["execution-head"]

    async def test_while_it_waits_it_holds_no_database_connection(self, analyst: User, filled: Filled) -> None:
        book: Book = await in_database(lambda: filled(analyst))
        pool = cast("Any", connection).pool
        await in_database(lambda: None)

        def in_use() -> int:
            stats = pool.get_stats()
            return int(stats["pool_size"] - stats["pool_available"])

        before = in_use()
        async with followed(await opened(analyst, "execution", id=book.execution_id)) as following:
            await following("snapshot")
            assert in_use() == before

    async def test_a_page_whose_stream_cannot_be_had_asks_for_the_snapshot(self, analyst: User, requested: Any) -> None:
        execution = await in_database(lambda: requested(analyst))
        client = await logged_in(analyst)
        answer = await client.get(NOW, await asked(analyst, "execution", id=execution.pk))
        [(kind, snapshot)] = events_in(answer.content.decode())
        assert kind == "snapshot"
        assert "REQUESTED" in snapshot["parts"]["execution-head"]


@pytest.mark.case("A9")
class TestLists:
    """Lists follow, by one subscription however long they are."""

    async def test_a_new_row_and_a_changed_row(self, analyst: User, filled: Filled) -> None:
        first: Book = await in_database(lambda: filled(analyst))
        async with followed(await opened(analyst, "executions")) as following:
            _, snapshot = await following("snapshot")
            assert snapshot["lists"]["executions"] == [f"execution-{first.execution_id}"]
            await in_database(lambda: first.hear(fill(first.stop, "10", "184.90")))
            _, changed = await following("change")
            assert set(changed["parts"]) == {f"execution-{first.execution_id}"}
            assert "status closed" in changed["parts"][f"execution-{first.execution_id}"]
            second: Book = await in_database(lambda: filled(analyst))
            _, changed = await following("change")
            new = f"execution-{second.execution_id}"
            assert changed["lists"]["executions"] == [new, f"execution-{first.execution_id}"]
            assert set(changed["parts"]) == {new}

    async def test_it_is_bounded_and_new_rows_are_on_the_first_page_only(
        self, analyst: User, requested: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(paging, "PAGE_SIZE", 2)
        one, two, three = [(await in_database(lambda: requested(analyst))).pk for _ in range(3)]
        newest = followed(await opened(analyst, "executions"))
        older = followed(await opened(analyst, "executions", before=two))
        async with newest as on_first, older as on_second:
            _, first = await on_first("snapshot")
            _, second = await on_second("snapshot")
            assert first["lists"]["executions"] == [f"execution-{three}", f"execution-{two}"]
            assert f'href="?before={two}"' in first["parts"]["older"]
            assert second["lists"]["executions"] == [f"execution-{one}"]
            four = (await in_database(lambda: requested(analyst))).pk
            _, first = await on_first("change")
            assert first["lists"]["executions"] == [f"execution-{four}", f"execution-{three}"]
            assert f'href="?before={three}"' in first["parts"]["older"]
            assert [await on_second() for _ in range(8)] == [("beat", {})] * 8

    async def test_it_shows_only_what_the_user_may_see(
        self, analyst: User, make_user: MakeUser, filled: Filled
    ) -> None:
        other = await in_database(lambda: make_user("bob", "analyst"))
        mine: Book = await in_database(lambda: filled(other))
        async with followed(await opened(other, "executions")) as following:
            await following("snapshot")
            await in_database(lambda: filled(analyst))
            assert [await following() for _ in range(8)] == [("beat", {})] * 8
            await in_database(lambda: mine.hear(fill(mine.stop, "10", "184.90")))
            _, changed = await following("change")
            assert set(changed["parts"]) == {f"execution-{mine.execution_id}"}

    async def test_setups_and_a_setups_page_and_the_alerts_follow(self, analyst: User, make_setup: MakeSetup) -> None:
        setup: Setup = await in_database(lambda: make_setup(analyst))
        state = f"setup-{setup.pk}-state"
        many, one = followed(await opened(analyst, "setups")), followed(await opened(analyst, "setup", id=setup.pk))
        alerts = followed(await opened(analyst, "alerts"))
        async with many as on_list, one as on_page, alerts as on_alerts:
            for following in (on_list, on_page, on_alerts):
                await following("snapshot")
            await in_database(lambda: Setup.objects.update(executed_at=clock.now()))
            for following in (on_list, on_page):
                _, changed = await following("change")
                assert list(changed["parts"]) == [state]
                assert "EXECUTED" in changed["parts"][state]
            alert = await in_database(
                lambda: alert_raise(kind=AlertKind.QUEUE_LAG, subject="x", text="Slow.", now=clock.now())
            )
            _, changed = await on_alerts("change")
            assert changed["lists"]["alerts"] == [f"alert-{alert.pk}"]
            assert changed["shown"]["alerts-none"] is False


@pytest.mark.case("S28")
class TestWhoMayLook:
    """A stream outlives neither the session nor the roles, by more than one look."""

    def test_a_look_comes_often_enough(self) -> None:
        assert LOOK_SECONDS + stream.PAUSE_SECONDS_MAX < 10

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda user: User.objects.filter(pk=user.pk).update(is_active=False), "session"),
            (lambda _user: Session.objects.all().delete(), "session"),
            (lambda user: (user.set_password("another one"), user.save()), "session"),
            (lambda user: user.groups.clear(), "standing"),
            (lambda user: user.groups.add(Group.objects.get(name="trader")), "standing"),
        ],
        ids=["deactivated", "logged out", "new password", "role lost", "role given"],
    )
    async def test_it_ends(self, analyst: User, requested: Any, change: Callable[[User], object], why: str) -> None:
        execution = await in_database(lambda: requested(analyst))
        async with followed(await opened(analyst, "execution", id=execution.pk)) as following:
            await following("snapshot")
            await in_database(lambda: change(analyst))
            _, ended = await following("ended")
            assert ended["why"] == why
            with pytest.raises(StopAsyncIteration):
                await following()
        assert stream_slots.streams_open() == 0

    async def test_another_user_in_the_same_browser_gets_no_part_of_the_first_ones_page(
        self, analyst: User, reviewer: User, requested: Any
    ) -> None:
        execution = await in_database(lambda: requested(analyst))
        client = await logged_in(reviewer)
        page = await asked(analyst, "execution", id=execution.pk)
        answer = await client.get(STREAM, page)
        async with followed(answer) as following:
            assert (await following())[1]["why"] == "standing"

    async def test_it_is_only_for_those_who_may_see_it(
        self, analyst: User, make_user: MakeUser, filled: Filled
    ) -> None:
        book: Book = await in_database(lambda: filled(analyst))
        answer = await AsyncClient().get(STREAM, await asked(analyst, "execution", id=book.execution_id))
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        other = await in_database(lambda: make_user("bob", "analyst"))
        for view, number in (("execution", book.execution_id), ("execution", 10**17), ("setup", 10**17)):
            async with followed(await opened(other, view, id=number)) as following:
                assert (await following())[1]["why"] == "gone"

    @pytest.mark.parametrize("filters", [{"view": ""}, {"view": "x"}, {"view": "execution", "id": "٣"}])
    async def test_no_page_of_ours_is_not_followed(self, analyst: User, filters: dict[str, str]) -> None:
        answer = await opened(analyst, **filters)
        assert (answer.status_code, answer.json()["code"]) == (404, "page_unknown")
        assert stream_slots.streams_open() == 0


@pytest.mark.case("S27")
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("path", [STREAM, NOW])
async def test_it_answers_nothing_but_get(analyst: User, method: str, path: str) -> None:
    client = await logged_in(analyst)
    client.handler.enforce_csrf_checks = True
    answer = await client.generic(method, path)
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert stream_slots.streams_open() == 0


@pytest.mark.case("S9")
class TestHowMany:
    """One person cannot use up what the others need."""

    @pytest.mark.parametrize(
        ("limit", "status", "code"),
        [
            ("STREAMS_OF_USER_MAX", 429, "too_many_windows"),
            ("STREAMS_OF_ADDRESS_MAX", 429, "too_many_windows"),
            ("STREAMS_MAX", 503, "too_many_streams"),
        ],
    )
    async def test_many_at_once_find_no_more_room_than_there_is(
        self, analyst: User, monkeypatch: pytest.MonkeyPatch, limit: str, status: int, code: str
    ) -> None:
        monkeypatch.setattr(stream_slots, limit, 2)
        client, page = await logged_in(analyst), await asked(analyst, "plain")
        answers = await asyncio.gather(*(client.get(STREAM, page) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, status, status, status]
        refusal = next(answer for answer in answers if answer.status_code == status)
        assert (refusal.json()["code"], refusal["Retry-After"]) == (code, "5")
        assert "Too many windows" in refusal.json()["message"]

    async def test_another_user_still_finds_room(
        self, analyst: User, reviewer: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream_slots, "STREAMS_OF_USER_MAX", 1)
        assert [(await opened(user, "plain")).status_code for user in (analyst, analyst, reviewer)] == [200, 429, 200]

    def test_there_are_never_more_than_the_descriptors_allow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for soft, fits in ((1024, 362), (20_000, 500), (256, 1)):
            monkeypatch.setattr(stream_slots.resource, "getrlimit", lambda _, soft=soft: (soft, soft))
            assert stream_slots.streams_max() == fits

    async def test_a_stream_that_was_never_begun_gives_its_place_back(
        self, analyst: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert (await opened(analyst, "plain")).status_code == 200
        assert stream_slots.streams_open() == 1
        monkeypatch.setattr(stream_slots, "BEGIN_SECONDS_MAX", 0.0)
        assert stream_slots.streams_open() == 0


async def test_a_window_left_ends_it_even_where_a_library_loses_the_cancel(
    analyst: User, requested: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = await in_database(lambda: requested(analyst))
    answer = await opened(analyst, "execution", id=execution.pk)
    subscribe = stream._News.__aenter__

    async def cancelled_within(news: stream._News) -> stream._News:
        with suppress(asyncio.CancelledError):
            following.cancel()
            await asyncio.sleep(0)
        return await subscribe(news)

    monkeypatch.setattr(stream._News, "__aenter__", cancelled_within)

    async def follow() -> list[bytes]:
        return [piece async for piece in answer.streaming_content]

    following = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        assert await following == []
    assert stream_slots.streams_open() == 0


async def test_it_ends_in_time_and_is_opened_again(analyst: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STREAM_SECONDS_MAX", 0.2)
    answer = await opened(analyst, "plain")
    kinds = {events_in(piece.decode())[0][0] async for piece in answer.streaming_content}
    assert "ended" not in kinds
