"""What is read about accounts and their connections."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from app.accounts.models import Account, BrokerConnection
from app.brokers.base import ConnectionState
from app.core.errors import FixRequest

HEARTBEAT_AGE_SECONDS_MAX = 10


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


def is_alive(connection: BrokerConnection, *, now: datetime) -> bool:
    """Say whether the worker that holds the connection has shown itself lately."""
    limit = timedelta(seconds=HEARTBEAT_AGE_SECONDS_MAX)
    return connection.heartbeat_at is not None and now - connection.heartbeat_at <= limit


def is_ready(connection: BrokerConnection, *, now: datetime) -> bool:
    """Say whether the connection can send new entries now."""
    return connection.state == ConnectionState.READY.value and is_alive(connection, now=now)


def broker_connection() -> BrokerConnection | None:
    """Return the connection that executes here (IB_CLIENT_ID on IB_ACCOUNT), or None where none was ever made."""
    connections = BrokerConnection.objects.select_related("account").filter(client_id=settings.IB_CLIENT_ID)
    if settings.IB_ACCOUNT:
        connections = connections.filter(account__account_id=settings.IB_ACCOUNT)
    return connections.order_by(F("heartbeat_at").desc(nulls_last=True)).first()
