"""What is written about accounts and their connections."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import QuerySet

from app.accounts.models import Account, BrokerConnection, WorkerSign
from app.brokers.base import AccountSummary, ConnectionState
from app.core.errors import RetryLater

# What the reason says of a connection that was ended on purpose: its silence alarms nobody.
STOPPED_ON_PURPOSE = "the worker stopped"


def account_ensure(account_id: str) -> Account:
    """Return the account's row, made where there is none."""
    account, _ = Account.objects.get_or_create(account_id=account_id)
    return account


def account_worth_record(*, summary: AccountSummary, now: datetime) -> None:
    """Store what the broker says the account is worth."""
    Account.objects.filter(account_id=summary.account).update(
        currency=summary.currency,
        net_liquidation=summary.net_liquidation,
        available_funds=summary.available_funds,
        buying_power=summary.buying_power,
        worth_updated_at=now,
    )


def connection_ensure(*, account_id: str, client_id: int) -> BrokerConnection:
    """Return the row of this client id on this account, made where there is none."""
    connection, _ = BrokerConnection.objects.get_or_create(account=account_ensure(account_id), client_id=client_id)
    return connection


def _held_by(connection_id: int, fence: int | None) -> QuerySet[BrokerConnection]:
    """Return the connection's row; with a fence, only while that is the holder's."""
    row = BrokerConnection.objects.filter(pk=connection_id)
    return row if fence is None else row.filter(fence=fence)


def connection_state_record(
    *,
    connection_id: int,
    state: ConnectionState,
    reason: str,
    now: datetime,
    server_version: int | None = None,
    fence: int | None = None,
) -> None:
    """Store where the connection stands and why; with `fence`, only while that is the holder's."""
    changed: dict[str, object] = {"state": state.value, "reason": reason, "state_changed_at": now, "heartbeat_at": now}
    if state is ConnectionState.READY:
        changed["gateway_heard_at"] = now
    if server_version is not None:
        changed["server_version"] = server_version
    _held_by(connection_id, fence).update(**changed)


def connection_heartbeat(
    *,
    connection_id: int,
    now: datetime,
    events_waiting: int = 0,
    oldest_event_at: datetime | None = None,
    fence: int | None = None,
) -> bool:
    """Store that the worker lives, and how many of the broker's events wait to be recorded, the oldest since when.

    With `fence`, only while that is the holder's; says whether it was stored.
    """
    row = _held_by(connection_id, fence)
    return bool(row.update(heartbeat_at=now, events_waiting=events_waiting, oldest_event_at=oldest_event_at))


def connection_gateway_heard(*, connection_id: int, now: datetime, fence: int | None = None) -> None:
    """Store that the Gateway answered, on a connection that can execute.

    With `fence`, only while that is the holder's.
    """
    _held_by(connection_id, fence).update(gateway_heard_at=now)


def connection_reconciled(*, connection_id: int, now: datetime, fence: int | None = None) -> None:
    """Store that our rows agreed with the broker's complete answer at `now`.

    With `fence`, only while that is the holder's.
    """
    _held_by(connection_id, fence).update(reconciled_at=now, gateway_heard_at=now)


def worker_sign(*, client_id: int, state: ConnectionState, reason: str, started_at: datetime, now: datetime) -> None:
    """Store that a worker lives and where its connection stands, while it has no row to say so in."""
    said = {"state": state.value, "reason": reason, "started_at": started_at, "seen_at": now}
    WorkerSign.objects.update_or_create(client_id=client_id, defaults=said)


def worker_sign_remove(*, client_id: int) -> None:
    """Forget the sign of a worker that ends on purpose: nobody waits for the next."""
    WorkerSign.objects.filter(client_id=client_id).delete()


class OrderIdTooLow(RetryLater):
    """A reserved order id is not above the floor; nothing was sent."""

    code = "order_id_too_low"


def order_id_floor_raise(*, connection_id: int, order_ids: Collection[int]) -> BrokerConnection:
    """Raise the floor to the highest of `order_ids` and return the row, which the caller's transaction keeps locked.

    Raises OrderIdTooLow when any id is not above the floor: sent with it, an order would change an older one.
    """
    connection = BrokerConnection.objects.select_for_update(no_key=True).get(pk=connection_id)
    if min(order_ids) <= connection.order_id_floor:
        raise OrderIdTooLow(
            f"Order id {min(order_ids)} is not above the floor {connection.order_id_floor}.",
            details={"order_ids": sorted(order_ids), "floor": connection.order_id_floor},
        )
    connection.order_id_floor = max(order_ids)
    BrokerConnection.objects.filter(pk=connection_id).update(order_id_floor=connection.order_id_floor)
    return connection
