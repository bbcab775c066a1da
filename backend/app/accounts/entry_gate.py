"""May a new entry be begun now? Not while the broker resets its servers, and not after repeated failures.

Protective orders, cancels and reconciles never ask here: they go on whenever there is a connection.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from app.accounts.models import Account, BrokerConnection
from app.core.logging import get_logger
from app.domain.circuit import COOL_DOWN, FAILURES_MAX, Circuit, circuit_at
from app.domain.maintenance import maintenance_at

logger = get_logger(__name__)

GATEWAY_MAINTENANCE = "gateway_maintenance"
CIRCUIT_OPEN = "circuit_open"


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryRefusal:
    """Why no entry is begun now, and from when on one may be, unless something new happens meanwhile."""

    code: str
    reason: str
    until: datetime | None


def entry_refusal(account: Account | None, *, now: datetime) -> EntryRefusal | None:
    """Return why no entry is begun on the account now, or None. While no account is known, only the hour can refuse."""
    return _refusal(BrokerConnection.objects.filter(account=account).exclude(failures=[]), now=now)


def entry_refusal_on(connection: BrokerConnection, *, now: datetime) -> EntryRefusal | None:
    """Return the same for the one connection, whose row was read."""
    return _refusal([connection], now=now)


def _refusal(connections: Iterable[BrokerConnection], *, now: datetime) -> EntryRefusal | None:
    window = maintenance_at(settings.GATEWAY_MAINTENANCE, now=now)
    if window is not None:
        reason = f"The broker resets its servers ({window}); new entries wait until it is over."
        return EntryRefusal(code=GATEWAY_MAINTENANCE, reason=reason, until=window.ends_at(now))
    for connection in connections:
        if circuit_of(connection, now=now) is Circuit.OPEN:
            last = connection.failures[-1]["code"]
            reason = f"The broker failed {FAILURES_MAX} times lately ({last}); entries wait for it to settle."
            return EntryRefusal(code=CIRCUIT_OPEN, reason=reason, until=failed_last_at(connection) + COOL_DOWN)
    return None


def circuit_of(connection: BrokerConnection, *, now: datetime) -> Circuit:
    """Return where the connection's circuit breaker stands."""
    return circuit_at([datetime.fromisoformat(failure["at"]) for failure in connection.failures], now=now)


def failed_last_at(connection: BrokerConnection) -> datetime:
    """Return when the connection failed last. Only where it has failed."""
    return datetime.fromisoformat(connection.failures[-1]["at"])


def failures_forget(connection: BrokerConnection) -> None:
    """Close the circuit: the broker has answered again. Call it with the row locked."""
    connection.failures = []
    connection.save(update_fields=["failures"])
    logger.info("circuit", connection=connection.pk, before=Circuit.HALF_OPEN.value, after=Circuit.CLOSED.value)


@transaction.atomic
def failure_note(*, connection_id: int, code: str, now: datetime) -> None:
    """Note that connecting, asking or placing failed: enough of them open the circuit."""
    connection = BrokerConnection.objects.select_for_update(no_key=True).filter(pk=connection_id).first()
    if connection is None:
        return
    before = circuit_of(connection, now=now)
    connection.failures = [*connection.failures, {"at": now.isoformat(), "code": code}][-FAILURES_MAX:]
    connection.save(update_fields=["failures"])
    after = circuit_of(connection, now=now)
    if after is not before:
        logger.error("circuit", connection=connection_id, before=before.value, after=after.value, code=code)
