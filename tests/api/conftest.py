"""What the tests of the edge share: users with roles, an account, an instrument with a price, executions with news."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.core import clock
from app.market.models import Instrument

ACCOUNT = "DU1234567"
MakeUser = Callable[..., User]


@pytest.fixture(autouse=True)
def _paper_account_is_served(settings: settings) -> Iterator[None]:
    settings.IB_ACCOUNT = ACCOUNT
    settings.IB_CLIENT_ID = 1
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(account_id=ACCOUNT, currency="USD", net_liquidation=Decimal("100000"))


@pytest.fixture
def make_user(db: None) -> MakeUser:
    def make(username: str, *roles: str, **values: bool) -> User:
        user = User.objects.create_user(username, password="correct horse", **values)
        user.groups.set(Group.objects.filter(name__in=roles))
        return user

    return make


@pytest.fixture
def analyst(make_user: MakeUser) -> User:
    return make_user("ana", "analyst")


@pytest.fixture
def reviewer(make_user: MakeUser) -> User:
    return make_user("rex", "reviewer")


@pytest.fixture
def api(analyst: User, account: Account) -> APIClient:
    """A script with the analyst's token in hand."""
    return client_of(analyst)


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def apple(db: None) -> Instrument:
    """AAPL, described and priced just now, so that nobody has to be asked."""
    now = clock.now()
    return Instrument.objects.create(
        symbol="AAPL",
        con_id=265598,
        long_name="APPLE INC",
        primary_exchange="NASDAQ",
        price_increments=[{"low_edge": "0", "increment": "0.01"}],
        last_price=Decimal("190"),
        # Young for as long as a slow test runs.
        last_price_at=now + timedelta(minutes=10),
        looked_up_at=now,
    )
