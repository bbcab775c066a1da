"""What the tests of the edges share: people with roles, a paper account, a quoted symbol, setups and executions."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from pytest_django import Settings
from rest_framework.test import APIClient

from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_ensure
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.executions.models import Execution
from app.executions.services.request import execution_request
from app.executions.services.submit import execution_submit
from app.market.models import Instrument
from app.setups.models import Setup
from app.setups.services import setup_create
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import commission, fill, told

__all__ = [
    "PASSWORD",
    "MakeUser",
    "account",
    "analyst",
    "apple",
    "broker",
    "connection",
    "filled",
    "make_setup",
    "make_user",
    "reviewer",
    "script",
    "served_account",
]

PAPER = "DU1234567"
PASSWORD = "correct horse battery"
MakeUser = Callable[..., User]
MakeSetup = Callable[..., Setup]
Filled = Callable[..., Book]


@pytest.fixture(autouse=True)
def served_account(settings: Settings) -> Iterator[None]:
    """The broker worker of these tests serves one paper account; counters of attempts start at zero."""
    settings.IB_ACCOUNT, settings.IB_CLIENT_ID, settings.IB_TRADING_MODE = PAPER, 1, "paper"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # The real one is slow on purpose.
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def connection(db: None) -> BrokerConnection:
    return connection_ensure(account_id=PAPER, client_id=1)


@pytest.fixture
def account(connection: BrokerConnection) -> Account:
    Account.objects.update(currency="USD", net_liquidation=Decimal(100_000))
    return Account.objects.get()


@pytest.fixture
def make_user(db: None) -> MakeUser:
    def make(username: str, *roles: str, **values: bool) -> User:
        user = User.objects.create_user(username, password=PASSWORD, **values)
        user.groups.set(Group.objects.filter(name__in=roles))
        return user

    return make


@pytest.fixture
def analyst(make_user: MakeUser) -> User:
    return make_user("ada", "analyst")


@pytest.fixture
def reviewer(make_user: MakeUser) -> User:
    return make_user("rex", "reviewer", is_staff=True)


def script(user: User | None) -> APIClient:
    """Return a script's client, with this user's token in hand."""
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def apple(db: None) -> Instrument:
    """AAPL, described and quoted at 190, so that nobody has to be asked."""
    now = clock.now()
    return Instrument.objects.create(
        symbol="AAPL",
        con_id=265598,
        long_name="APPLE INC",
        primary_exchange="NASDAQ",
        price_increments=[{"low_edge": "0", "increment": "0.01"}],
        last_price=Decimal(190),
        last_price_at=now + timedelta(minutes=10),  # Young for as long as a slow test runs.
        looked_up_at=now,
    )


@pytest.fixture
def broker(connection: BrokerConnection) -> FakeBroker:
    return FakeBroker(connection=connection)


@pytest.fixture
def make_setup(account: Account, apple: Instrument) -> MakeSetup:
    """A LONG market entry of 10 AAPL with its stop at 185, unless told otherwise."""

    def make(owner: User, **changed: Any) -> Setup:
        values: dict[str, Any] = {
            "symbol": "AAPL",
            "side": "LONG",
            "entry_type": "MARKET",
            "stop_price": Decimal(185),
            "quantity": Decimal(10),
        }
        values |= {name: Decimal(value) if name.endswith("price") else value for name, value in changed.items()}
        return setup_create(owner=owner, account=account, values=values, increments=None, last_price=Decimal(190))

    return make


@pytest.fixture
def requested(make_setup: MakeSetup) -> Callable[..., Execution]:
    """An execution of a new setup that no worker has taken."""

    def request(owner: User, **changed: Any) -> Execution:
        setup = make_setup(owner, **changed)
        key = f"key-{setup.pk}"
        execution, _ = execution_request(setup=setup, user=owner, idempotency_key=key, body={}, now=clock.now())
        return execution

    return request


@pytest.fixture
def filled(requested: Callable[..., Execution], broker: FakeBroker) -> Filled:
    """The book of an execution whose entry was filled in two deals, and whose stop is live."""

    def execute(owner: User, **changed: Any) -> Book:
        execution = requested(owner, **changed)
        execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
        book = Book(execution.pk)
        first, second = fill(book.entry, "4", "190.10"), fill(book.entry, "6", "190.20")
        book.hear(told(book.entry, ToldStatus.SUBMITTED), first, commission(first.exec_id, "0.35"), second)
        book.hear(commission(second.exec_id, "0.65"), told(book.stop, ToldStatus.PRE_SUBMITTED, why_held="trigger"))
        return book

    return execute
