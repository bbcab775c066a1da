"""A Gateway that comes back with another account while executions are unfinished on the first."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_ensure
from app.alerts.models import Alert
from app.brokers.base import ConnectionState
from app.core import clock
from app.executions.models import Execution
from app.worker.broker_thread import BrokerThread
from app.worker.watchdog import watchdog_look
from ib_simulator.process import running_simulator
from tests.eventually import eventually
from tests.worker.test_broker_thread import ACCOUNT, analyst, requested  # noqa: F401 - Fixtures, by name.
from tests.worker.test_who_is_to_blame import CLIENT_ID, Address, _no_account_named, started  # noqa: F401 - Fixtures.

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.case("T30")]

OTHER = "DU7654321"
Start = Callable[[Address], BrokerThread]


def left_open(owner: User, *, client_id: int = CLIENT_ID) -> Execution:
    """Return an execution that is unfinished on the account that this client id has served."""
    connection_ensure(account_id=ACCOUNT, client_id=client_id)
    return requested(owner)


def open_alerts() -> list[tuple[str, str]]:
    watchdog_look(now=clock.now())
    return list(Alert.objects.filter(resolved_at__isnull=True).values_list("kind", "subject"))


@pytest.mark.parametrize("served_by", [CLIENT_ID, 7], ids=["this client id", "one that was set before"])
def test_another_account_is_not_adopted_while_executions_are_unfinished(
    analyst: User,  # noqa: F811
    started: Start,  # noqa: F811
    client: Client,
    served_by: int,
) -> None:
    # Given an execution that is unfinished on one paper account, and a Gateway that has another
    execution = left_open(analyst, client_id=served_by)
    # And our own connection was alive a moment ago, whereas another worker has been silent for an hour
    silent = timedelta() if served_by == CLIENT_ID else timedelta(hours=1)
    BrokerConnection.objects.filter(client_id=served_by).update(heartbeat_at=clock.now() - silent)
    with running_simulator(seed=7, accounts=[OTHER], tick_seconds=0) as peer:
        started((peer.host, peer.port))
        row = BrokerConnection.objects.filter(account__account_id=ACCOUNT, client_id=CLIENT_ID)
        # Then the first one's row says what is wrong and what to do, and nothing is done on the other
        eventually(lambda: row.filter(reason__startswith="account_changed: ").exists())
        assert f"has account {OTHER}" in row.get().reason
        assert f"on {ACCOUNT}: log in" in row.get().reason
        assert row.get().state == ConnectionState.DISCONNECTED
        assert not Account.objects.filter(account_id=OTHER).exists()
        # And it is red, an alert, and what waited still waits
        assert client.get("/readyz").status_code == 503
        assert ("account_changed", f"{ACCOUNT}/{CLIENT_ID}") in open_alerts()
        execution.refresh_from_db()
        assert execution.status == "REQUESTED"


def test_it_is_served_again_once_the_first_account_is_back(
    analyst: User,  # noqa: F811
    started: Start,  # noqa: F811
) -> None:
    left_open(analyst)
    with running_simulator(seed=7, accounts=[ACCOUNT], tick_seconds=0) as peer:
        thread = started((peer.host, peer.port))
        eventually(lambda: thread.state is ConnectionState.READY)
    assert "account_changed" not in {kind for kind, _subject in open_alerts()}


def test_another_account_is_adopted_where_nothing_is_unfinished(
    started: Start,  # noqa: F811
) -> None:
    connection_ensure(account_id=ACCOUNT, client_id=CLIENT_ID)
    with running_simulator(seed=7, accounts=[OTHER], tick_seconds=0) as peer:
        thread = started((peer.host, peer.port))
        eventually(lambda: thread.state is ConnectionState.READY)
        assert thread.account_id == OTHER


def test_another_account_is_adopted_where_another_worker_serves_the_first(
    analyst: User,  # noqa: F811
    started: Start,  # noqa: F811
) -> None:
    left_open(analyst, client_id=7)
    BrokerConnection.objects.filter(client_id=7).update(heartbeat_at=clock.now())
    with running_simulator(seed=7, accounts=[OTHER], tick_seconds=0) as peer:
        thread = started((peer.host, peer.port))
        eventually(lambda: thread.state is ConnectionState.READY)
        assert thread.account_id == OTHER
