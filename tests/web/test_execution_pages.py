"""One execution, kept up to date; and the banner above every page."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries, Settings

from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_state_record
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_acknowledge, alert_raise
from app.brokers.base import ConnectionState
from app.core import clock
from app.domain.broker_events import MessageMeaning
from app.executions.models import Execution
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from app.web import stream
from tests.api.desk import Filled, MakeUser
from tests.services.book import Book
from tests.services.heard import fill, message
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
T = TypeVar("T")


def html_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return str(answer.content.decode())


def test_it_shows_orders_fills_costs_and_what_was_told(visit: Client, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    book.hear(message(book.stop, 399, "Outside <hours>", MessageMeaning.WARNING))
    page = html_of(visit, f"/executions/{book.execution_id}/")
    for shown in (
        f"IB-{book.entry.order_id}:{book.stop.order_id}",
        "190.16",
        "0.65 USD",
        "185.00",
        "ACCEPTED",
        "399: Outside &lt;hours&gt;",
        "fill_told ENTRY BUY 4 at 190.10",
        "commission_told ENTRY 0.65 USD",
        "order_told STOP_LOSS PreSubmitted",
        str(book.stop.perm_id),
    ):
        assert shown in page, shown
    assert "Cancel what is not filled" not in page, "the entry is filled"


def test_what_needs_a_person_stands_out(visit: Client, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    book.hear(message(book.stop, 99999, "Something new", MessageMeaning.UNKNOWN))
    assert "A person must look" in html_of(visit, f"/executions/{book.execution_id}/")
    assert 'class="look"' in html_of(visit, "/executions/?attention=1")
    assert "No executions here" in html_of(visit, "/executions/?attention=1&symbol=MSFT")


def test_the_analyst_cancels_what_is_not_filled(visit: Client, analyst: User, requested: Any) -> None:
    path = f"/executions/{requested(analyst).pk}/"
    assert "Cancel what is not filled" in html_of(visit, path)
    assert visit.get(path + "cancel/").status_code == 405
    page = visit.post(path + "cancel/", follow=True).content.decode()
    assert "NOT_PLACED" in page
    assert "cancelled_before_sending" in page
    assert "sse-connect" not in page, "what is finished needs no stream"
    answer = visit.post(path + "cancel/")
    assert (answer.status_code, "execution_finished" in answer.content.decode()) == (409, True)


def test_others_see_nothing_and_reviewers_cancel_nothing(
    analyst: User, reviewer: User, make_user: MakeUser, requested: Any
) -> None:
    path = f"/executions/{requested(analyst).pk}/"
    html_of(visit_of(make_user("bob", "analyst")), path, 404)
    visit = visit_of(reviewer)
    assert "Cancel what is not filled" not in html_of(visit, path)
    answer = visit.post(path + "cancel/")
    assert (answer.status_code, "role_missing" in answer.content.decode()) == (403, True)
    assert Execution.objects.get().cancel_requested_at is None


def test_a_browser_whose_stream_broke_polls_until_it_is_finished(visit: Client, analyst: User, requested: Any) -> None:
    path = f"/executions/{requested(analyst).pk}/"
    assert "REQUESTED" in html_of(visit, path + "live/")
    visit.post(path + "cancel/")
    assert "NOT_PLACED" in html_of(visit, path + "live/", 286)


def test_a_list_takes_as_many_queries_for_one_row_as_for_many(
    analyst: User, filled: Filled, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 3):
        while Execution.objects.count() < count:
            filled(analyst)
        visit = visit_of(analyst)
        # Session, user, permissions twice, three of executions; connection, kill switches, alerts.
        with django_assert_num_queries(12):
            assert html_of(visit, "/executions/").count('<span class="status open">') == count


async def in_database(work: Callable[[], T]) -> T:
    """Do `work` in the thread that stands for the database, and give its connection back."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return await sync_to_async(run)()


class TestBanner:
    """The same above every page."""

    def test_it_says_paper_and_that_all_is_well(self, visit: Client, connection: BrokerConnection) -> None:
        connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=clock.now())
        page = html_of(visit, "/setups/")
        assert '<body class="paper">' in page
        assert 'class="connection good"' in page
        assert "DU1234567" in page

    @pytest.mark.parametrize(
        ("state", "age_seconds", "shown"),
        [
            (ConnectionState.DEGRADED, 0, "Broker: DEGRADED – lost IB"),
            (ConnectionState.READY, 11, "The broker worker has been silent since"),
        ],
    )
    def test_it_is_red_when_nothing_can_be_executed(
        self, visit: Client, connection: BrokerConnection, state: ConnectionState, age_seconds: int, shown: str
    ) -> None:
        connection_state_record(connection_id=connection.pk, state=state, reason="lost IB", now=clock.now())
        BrokerConnection.objects.update(heartbeat_at=clock.now() - timedelta(seconds=age_seconds))
        for path in ("/setups/", "/banner/"):
            page = html_of(visit, path)
            assert 'class="connection bad"' in page
            assert shown in page

    def test_it_is_red_when_no_worker_ever_was_there(self, visit: Client, account: Account) -> None:
        BrokerConnection.objects.all().delete()
        assert "never showed itself" in html_of(visit, "/banner/")

    def test_real_money_looks_different(self, visit: Client, settings: Settings) -> None:
        settings.IB_ACCOUNT = "U1234567"  # Also while the mode is still paper: the account decides.
        page = html_of(visit, "/setups/")
        assert '<body class="live">' in page
        assert "LIVE – real money" in page

    def test_it_says_that_trading_is_stopped_and_why(self, visit: Client, account: Account) -> None:
        kill_switch_engage(account=account, user=None, reason="odd <prices>", now=clock.now())
        for path in ("/setups/", "/banner/"):
            page = html_of(visit, path)
            assert f"Trading is stopped ({account}): odd &lt;prices&gt;" in page
        kill_switch_release(account=account, user=None, reason="over", now=clock.now())
        assert "Trading is stopped" not in html_of(visit, "/banner/")

    def test_it_counts_the_critical_alerts_that_nobody_has_seen(self, visit: Client, analyst: User) -> None:
        now = clock.now()
        alert_raise(kind=AlertKind.QUEUE_LAG, subject="x", text="x", now=now)
        assert "critical alert" not in html_of(visit, "/banner/"), "a warning is no critical one"
        alert = alert_raise(kind=AlertKind.WORKER_SILENT, subject="x", text="x", now=now)
        assert "1 critical alert</a>" in html_of(visit, "/banner/")
        alert_acknowledge(alert_id=alert.pk, user=analyst, now=now)
        assert "critical alert" not in html_of(visit, "/banner/")


@pytest.mark.django_db(transaction=True)
class TestStream:
    """The stream that keeps the page current."""

    @pytest.fixture(autouse=True)
    async def _connection_given_back(self) -> AsyncIterator[None]:
        yield
        await in_database(lambda: None)

    async def opened(self, user: User, execution_id: int) -> Any:
        client = AsyncClient()
        await in_database(lambda: client.force_login(user))
        return await client.get(f"/executions/{execution_id}/stream")

    async def read(self, pieces: AsyncIterator[bytes]) -> str:
        return (await asyncio.wait_for(anext(pieces), timeout=10)).decode()

    async def test_it_begins_with_the_present_and_follows_the_news(self, analyst: User, filled: Filled) -> None:
        book: Book = await in_database(lambda: filled(analyst))
        answer = await self.opened(analyst, book.execution_id)
        assert answer["Content-Type"] == "text/event-stream"
        assert answer["Cache-Control"] == "no-cache"
        async with aclosing(aiter(answer.streaming_content)) as pieces:
            first = await self.read(pieces)
            assert first.startswith("event: execution\ndata: ")
            assert "status big open" in first

            def stopped_out() -> None:
                book.hear(fill(book.stop, "10", "184.90"))

            await in_database(stopped_out)
            closed = await self.read(pieces)
            assert "status big closed" in closed
            assert all(line.startswith(("event: ", "data: ")) for line in closed.strip().splitlines())
            assert await self.read(pieces) == "event: finished\ndata: \n\n"
            with pytest.raises(StopAsyncIteration):
                await anext(pieces)
        assert not stream._open_streams

    async def test_a_banner_that_changes_is_sent_as_well(
        self, analyst: User, filled: Filled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
        book: Book = await in_database(lambda: filled(analyst))
        answer = await self.opened(analyst, book.execution_id)
        async with aclosing(aiter(answer.streaming_content)) as pieces:
            assert "event: banner\n" in await self.read(pieces)
            await in_database(lambda: kill_switch_engage(account=None, user=None, reason="news", now=clock.now()))
            told_of = await self.read(pieces)
            while told_of == ": ping\n\n":
                told_of = await self.read(pieces)
            assert told_of.startswith("event: banner\n")
            assert "Trading is stopped (all accounts): news" in told_of

    async def test_what_is_finished_is_told_and_the_stream_ends(self, analyst: User, requested: Any) -> None:
        execution = await in_database(lambda: requested(analyst))
        await in_database(lambda: Execution.objects.update(status="NOT_PLACED"))
        answer = await self.opened(analyst, execution.pk)
        pieces = [piece.decode() async for piece in answer.streaming_content]
        assert [piece.split("\n")[0] for piece in pieces] == ["event: execution", "event: finished"]

    async def test_a_window_left_ends_it_even_where_a_library_loses_the_cancel(
        self, analyst: User, requested: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
        execution = await in_database(lambda: requested(analyst))
        answer = await self.opened(analyst, execution.pk)
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
        assert not stream._open_streams

    async def test_in_silence_it_pings_and_sends_nothing_twice(
        self, analyst: User, requested: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
        execution = await in_database(lambda: requested(analyst))
        answer = await self.opened(analyst, execution.pk)
        async with aclosing(aiter(answer.streaming_content)) as pieces:
            assert "csrfmiddlewaretoken" in await self.read(pieces)  # The form to cancel is there.
            assert [await self.read(pieces) for _ in range(3)] == [": ping\n\n"] * 3

    async def test_without_redis_it_looks_at_the_rows(
        self, analyst: User, filled: Filled, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "POLL_SECONDS", 0.05)
        book: Book = await in_database(lambda: filled(analyst))
        settings.REDIS_URL = "redis://127.0.0.1:9/0"
        answer = await self.opened(analyst, book.execution_id)
        async with aclosing(aiter(answer.streaming_content)) as pieces:
            assert "status big open" in await self.read(pieces)
            await in_database(lambda: Execution.objects.update(status="CLOSED"))
            told_of = await self.read(pieces)
            while told_of == ": ping\n\n":
                told_of = await self.read(pieces)
            assert "status big closed" in told_of

    async def test_while_it_waits_it_holds_no_database_connection(self, analyst: User, filled: Filled) -> None:
        book: Book = await in_database(lambda: filled(analyst))
        pool = cast("Any", connection).pool
        await in_database(lambda: None)

        def in_use() -> int:
            stats = pool.get_stats()
            return int(stats["pool_size"] - stats["pool_available"])

        before = in_use()
        answer = await self.opened(analyst, book.execution_id)
        async with aclosing(aiter(answer.streaming_content)) as pieces:
            await self.read(pieces)
            assert in_use() == before

    async def test_it_ends_in_time_and_is_opened_again(
        self, analyst: User, filled: Filled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
        monkeypatch.setattr(stream, "STREAM_SECONDS_MAX", 0.2)
        book: Book = await in_database(lambda: filled(analyst))
        answer = await self.opened(analyst, book.execution_id)
        pieces = [piece.decode() async for piece in answer.streaming_content]
        assert not any("finished" in piece.split("\n")[0] for piece in pieces)

    async def test_it_is_only_for_those_who_may_see_it(
        self, analyst: User, make_user: MakeUser, filled: Filled
    ) -> None:
        book: Book = await in_database(lambda: filled(analyst))
        assert (await AsyncClient().get(f"/executions/{book.execution_id}/stream")).status_code == 401
        other = await in_database(lambda: make_user("bob", "analyst"))
        assert (await self.opened(other, book.execution_id)).status_code == 404

    async def test_there_is_a_limit_of_open_streams(
        self, analyst: User, filled: Filled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stream, "STREAMS_MAX", 0)
        book: Book = await in_database(lambda: filled(analyst))
        assert (await self.opened(analyst, book.execution_id)).status_code == 503
