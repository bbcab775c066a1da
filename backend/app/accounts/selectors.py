"""What is read about accounts and their connections."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from app.accounts.models import Account, BrokerConnection, WorkerSign
from app.accounts.services import STOPPED_ON_PURPOSE
from app.brokers.base import ConnectionState
from app.core import clock
from app.core.errors import FixRequest

HEARTBEAT_AGE_SECONDS_MAX = 10
DATA_WORKER_AGE_SECONDS_MAX = 15


def account_to_trade(account_id: str = "") -> Account:
    """Return the named account, or the configured one, or the only one.

    Raises FixRequest `account_unknown` when the name is not known, `account_missing` when none can be chosen.
    """
    wanted = account_id or settings.IB_ACCOUNT
    accounts = Account.objects.filter(is_active=True)
    if wanted:
        account = accounts.filter(account_id=wanted).first()
        if account is None:
            raise FixRequest(f"No account {wanted} is known here.", code="account_unknown")
        return account
    found = list(accounts[:2])
    if len(found) != 1:
        raise FixRequest("Name the account: there is not exactly one.", code="account_missing")
    return found[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSeen:
    """The last that the broker worker said of itself and of its connection.

    `connection` is None while the worker knows no account: the Gateway has not told it one yet. `gateway_heard_at` is
    then when the worker began to ask.
    """

    seen_at: datetime | None
    state: str
    reason: str
    gateway_heard_at: datetime | None
    connection: BrokerConnection | None

    def is_alive(self, *, now: datetime) -> bool:
        """Say whether the worker has shown itself lately."""
        return _is_lately(self.seen_at, now=now)

    @property
    def was_stopped(self) -> bool:
        """Whether the worker said that somebody stopped it."""
        return self.reason == STOPPED_ON_PURPOSE

    @property
    def standing(self) -> str:
        """Where the connection stands and why, in one line."""
        return f"{self.state}: {self.reason}" if self.reason else self.state


def is_alive(connection: BrokerConnection, *, now: datetime) -> bool:
    """Say whether the worker that holds the connection has shown itself lately."""
    return _is_lately(connection.heartbeat_at, now=now)


def _is_lately(seen_at: datetime | None, *, now: datetime) -> bool:
    return seen_at is not None and now - seen_at <= timedelta(seconds=HEARTBEAT_AGE_SECONDS_MAX)


def is_ready(connection: BrokerConnection, *, now: datetime) -> bool:
    """Say whether the connection can send new entries now."""
    return connection.state == ConnectionState.READY.value and is_alive(connection, now=now)


def broker_connection() -> BrokerConnection | None:
    """Return the connection that executes here (IB_CLIENT_ID on IB_ACCOUNT), or None where none was ever made."""
    connections = BrokerConnection.objects.select_related("account").filter(client_id=settings.IB_CLIENT_ID)
    if settings.IB_ACCOUNT:
        connections = connections.filter(account__account_id=settings.IB_ACCOUNT)
    return connections.order_by(F("heartbeat_at").desc(nulls_last=True)).first()


def worker_seen() -> WorkerSeen | None:
    """Return what the broker worker last said, or None where none ever showed itself.

    The fresher of two rows speaks: a connection's, or the sign of a worker that knows no account. An old connection's
    row must not speak for a worker that was started since and cannot reach the Gateway.
    """
    connection = broker_connection()
    if connection is not None and is_alive(connection, now=clock.now()):
        return _seen_of(connection)
    sign = WorkerSign.objects.filter(client_id=settings.IB_CLIENT_ID).first()
    heartbeat_at = connection.heartbeat_at if connection else None
    if sign is not None and (heartbeat_at is None or sign.seen_at > heartbeat_at):
        return WorkerSeen(
            seen_at=sign.seen_at,
            state=sign.state,
            reason=sign.reason,
            gateway_heard_at=sign.started_at,
            connection=None,
        )
    return _seen_of(connection) if connection else None


def data_worker_silent_since(*, now: datetime) -> datetime | None:
    """Return since when a data worker that should be there has given no sign, None while it does."""
    seen_at = data_worker_seen_at()
    is_late = seen_at is not None and now - seen_at > timedelta(seconds=DATA_WORKER_AGE_SECONDS_MAX)
    return seen_at if is_late else None


def data_worker_seen_at() -> datetime | None:
    """Return when the data worker last showed itself, None where none did or it was stopped on purpose."""
    signs = WorkerSign.objects.filter(client_id=settings.IB_DATA_CLIENT_ID)
    return signs.values_list("seen_at", flat=True).first()


def _seen_of(connection: BrokerConnection) -> WorkerSeen:
    return WorkerSeen(
        seen_at=connection.heartbeat_at,
        state=connection.state,
        reason=connection.reason,
        gateway_heard_at=connection.gateway_heard_at,
        connection=connection,
    )
