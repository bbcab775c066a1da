"""Everything a person is ever alerted to, and how loudly. `docs/operations.md` says what to do about each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How loud an alert is. CRITICAL ones are on every page."""

    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class AlertKind(StrEnum):
    """What happened."""

    WORKER_SILENT = "worker_silent"
    GATEWAY_SILENT = "gateway_silent"
    QUEUE_LAG = "queue_lag"
    ATTENTION = "attention"
    KILL_SWITCH = "kill_switch"
    LIVE_CONNECTED = "live_connected"
    GUARD_GAVE_UP = "guard_gave_up"
    RECONCILE_FAILED = "reconcile_failed"
    POSITION_DRIFT = "position_drift"
    DELIVERY_FAILED = "delivery_failed"
    CONNECTIONS_FLOODED = "connections_flooded"
    LOGIN_ATTEMPTS = "login_attempts"
    ACCOUNT_CHANGED = "account_changed"
    MARKET_DATA_SILENT = "market_data_silent"
    GUARD_HELD_UP = "guard_held_up"


@dataclass(frozen=True, kw_only=True, slots=True)
class Nature:
    """How an alert of a kind is told. `ends_with_person`: it is over when somebody acknowledges it, not by itself."""

    severity: Severity
    title: str
    ends_with_person: bool = False


NATURE: Mapping[AlertKind, Nature] = {
    AlertKind.WORKER_SILENT: Nature(severity=Severity.CRITICAL, title="The broker worker is silent"),
    AlertKind.GATEWAY_SILENT: Nature(severity=Severity.CRITICAL, title="The Gateway is silent"),
    AlertKind.QUEUE_LAG: Nature(severity=Severity.WARNING, title="The broker's news is recorded late"),
    AlertKind.ATTENTION: Nature(severity=Severity.CRITICAL, title="An execution needs a person", ends_with_person=True),
    AlertKind.KILL_SWITCH: Nature(severity=Severity.WARNING, title="The kill switch is engaged"),
    AlertKind.LIVE_CONNECTED: Nature(severity=Severity.WARNING, title="A live account is connected"),
    AlertKind.GUARD_GAVE_UP: Nature(
        severity=Severity.CRITICAL, title="Shares could not be protected", ends_with_person=True
    ),
    AlertKind.GUARD_HELD_UP: Nature(severity=Severity.CRITICAL, title="The guard waits for the database"),
    AlertKind.RECONCILE_FAILED: Nature(severity=Severity.WARNING, title="The broker's answer was not complete"),
    AlertKind.POSITION_DRIFT: Nature(
        severity=Severity.CRITICAL, title="The position is not what we know of", ends_with_person=True
    ),
    AlertKind.DELIVERY_FAILED: Nature(
        severity=Severity.WARNING, title="An alert could not be delivered", ends_with_person=True
    ),
    AlertKind.CONNECTIONS_FLOODED: Nature(severity=Severity.WARNING, title="The web process is flooded"),
    AlertKind.ACCOUNT_CHANGED: Nature(severity=Severity.CRITICAL, title="The Gateway has another account"),
    AlertKind.MARKET_DATA_SILENT: Nature(severity=Severity.WARNING, title="The data worker is silent"),
    AlertKind.LOGIN_ATTEMPTS: Nature(
        severity=Severity.WARNING, title="Somebody guesses passwords", ends_with_person=True
    ),
}
