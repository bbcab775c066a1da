"""An analyst, a paper account with its connection, a symbol that was just quoted, and setups on it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import redis
from django.contrib.auth.models import User
from django.db import connections
from pytest_django import Settings

from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_ensure
from app.core import clock
from app.domain.contract import Contract, SymbolInfo
from app.executions import dispatch, news
from app.executions.models import Execution
from app.executions.services.request import execution_request
from app.executions.services.submit import execution_submit
from app.market.models import Instrument
from app.market.services import instrument_record
from app.setups.models import Setup
from app.setups.services import setup_create
from tests.services.book import Book
from tests.services.data_worker import DataWorker
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, begin
from tests.services.world import World, open_position

PAPER = "DU1234567"

MakeSetup = Callable[..., Setup]
Submitted = Callable[..., Book]


@pytest.fixture
def another() -> Iterator[psycopg.Connection]:
    """Somebody else's database session."""
    parameters = connections["default"].get_connection_params()
    parameters.pop("cursor_factory", None)
    with psycopg.connect(**parameters) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _day_of_each_test() -> None:
    begin()


@pytest.fixture(autouse=True)
def _news_client_of_each_test() -> Iterator[None]:
    news._client.cache_clear()
    yield
    news._client.cache_clear()


@pytest.fixture(autouse=True)
def _empty_queue_of_each_test(settings: Settings) -> None:
    """No worker takes the tasks that the tests before this one sent."""
    dispatch.MESSENGER.flush(seconds_max=5)
    with suppress(redis.ConnectionError), redis.Redis.from_url(settings.REDIS_URL) as queue:
        queue.delete("broker")


@pytest.fixture
def analyst(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def connection(db: None) -> BrokerConnection:
    return connection_ensure(account_id=PAPER, client_id=1)


@pytest.fixture
def account(connection: BrokerConnection) -> Account:
    return connection.account


@pytest.fixture
def broker(connection: BrokerConnection) -> FakeBroker:
    return FakeBroker(connection=connection)


@pytest.fixture
def apple(db: None) -> Instrument:
    info = SymbolInfo(contract=Contract(symbol="AAPL"), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")
    return instrument_record(info=info, last_price=Decimal(190), now=clock.now())


@pytest.fixture
def make_setup(analyst: User, account: Account, apple: Instrument) -> MakeSetup:
    """A LONG market entry of 10 shares with its stop at 185, unless told otherwise."""

    def make(**changed: Any) -> Setup:
        values: dict[str, Any] = {
            "symbol": "AAPL",
            "side": "LONG",
            "entry_type": "MARKET",
            "stop_price": Decimal(185),
            "quantity": Decimal(10),
        }
        return setup_create(
            owner=analyst, account=account, values=values | changed, increments=None, last_price=Decimal(190)
        )

    return make


@pytest.fixture
def requested(make_setup: MakeSetup, analyst: User) -> Callable[..., Execution]:
    """An execution of a new setup, requested at the day's begin."""

    def request(**changed: Any) -> Execution:
        setup = make_setup(**changed)
        execution, _ = execution_request(
            setup=setup, user=analyst, idempotency_key=f"key-{setup.pk}", body={}, now=at(0)
        )
        return execution

    return request


@pytest.fixture
def submitted(requested: Callable[..., Execution], broker: FakeBroker) -> Submitted:
    """The book of an execution that was put on the wire at the day's begin."""

    def submit(**changed: Any) -> Book:
        execution = requested(**changed)
        execution_submit(execution_id=execution.pk, broker=broker, now=at(0))
        return Book(execution.pk)

    return submit


@pytest.fixture
def in_thread() -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Wrap a function so that the thread it runs in gives its database connection back."""

    def wrap(work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            finally:
                connections.close_all()

        return run

    return wrap


@pytest.fixture
def data_worker(settings: Settings) -> Iterator[DataWorker]:
    worker = DataWorker(settings.REDIS_URL)
    yield worker
    worker.stop()


@pytest.fixture
def world(broker: FakeBroker) -> World:
    return World(broker)


@pytest.fixture
def held(submitted: Submitted, broker: FakeBroker, world: World) -> Book:
    """Ten shares of AAPL held behind a stop; the account was looked at and agreed."""
    book = submitted()
    open_position(book, broker)
    world.holds(10)
    assert world.reconcile() == []
    return book
