"""Who holds a connection, proved by a number: each new holder raises `fence`, and an older one's writes are refused.

    old holder ── fence 7 ──> writes pass          stopped, or cut off from the database
    new holder ── depose: end its process, end its database sessions ── raise the fence to 8 ──> connect, reconcile
    old holder wakes ── fence 7 ──> Fenced: every write-ahead, cancel, event and conclusion is refused

A write-ahead compares under the lock of the connection's row, so no order passes after the fence was raised. Who was
stopped between it and the first byte compares once more before that leaves. And nothing reaches the broker beside the
new holder: both use one client id, and the Gateway refuses the new one (326) while the old one's socket is open.
"""

import os
import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection as database
from django.db import transaction
from django.db.models import F

from app.accounts.models import BrokerConnection
from app.brokers.errors import NotConnected
from app.core.logging import get_logger

logger = get_logger(__name__)


class Fenced(NotConnected):
    """Another worker has taken the connection over: this one must stop. Nothing was written or sent."""

    code = "fenced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """The right to write as holder of a connection: its row, and the fence that this holder raised."""

    connection_id: int
    fence: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HolderSeen:
    """What a stand-by sees of the holder: whether it changes is its sign of life."""

    connection_id: int
    fence: int
    name: str
    process: str
    heartbeat_at: datetime | None


@transaction.atomic
def fence_raise(*, connection_id: int, name: str, process: str, now: datetime) -> Holding:
    """Become the holder. `name` is what our database sessions are called, `process` what `process_identity` says."""
    row = BrokerConnection.objects.select_for_update().get(pk=connection_id)
    row.fence += 1
    row.holder_name, row.holder_process, row.heartbeat_at = name, process, now
    row.save(update_fields=["fence", "holder_name", "holder_process", "heartbeat_at"])
    logger.info("fence_raised", connection=connection_id, fence=row.fence, holder=name)
    return Holding(connection_id=connection_id, fence=row.fence)


def fence_check(row: BrokerConnection, *, fence: int) -> None:
    """Raise Fenced unless `fence` is the row's. Read it locked where what follows must not overlap a new holder."""
    if row.fence != fence:
        raise Fenced(
            "Another worker has taken the connection over; nothing was sent.",
            details={"fence": fence, "fence_now": row.fence},
        )


def fence_require(holding: Holding) -> None:
    """Raise Fenced unless this is still the holder; one short query. Call it inside the transaction that writes."""
    fence_check(BrokerConnection.objects.only("fence").get(pk=holding.connection_id), fence=holding.fence)


def fence_require_of(holding: Holding | None) -> None:
    """Raise Fenced unless this is still the holder; None writes by no such right: a person, or who holds nothing."""
    if holding is not None:
        fence_require(holding)


def holder_seen(*, account_id: str, client_id: int) -> HolderSeen | None:
    """Return the present holder's signs of life; of any account where `account_id` is "" (not known before connect)."""
    rows = BrokerConnection.objects.filter(client_id=client_id, fence__gt=0)
    rows = rows.filter(account__account_id=account_id) if account_id else rows
    row = rows.order_by(F("heartbeat_at").desc(nulls_last=True)).first()
    if row is None:
        return None
    return HolderSeen(
        connection_id=row.pk,
        fence=row.fence,
        name=row.holder_name,
        process=row.holder_process,
        heartbeat_at=row.heartbeat_at,
    )


def holder_depose(seen: HolderSeen) -> bool:
    """Take the right to write from a holder that shows no life; say whether its process is certainly gone.

    Its process is killed where it runs on this machine: that frees its client id at the Gateway too. Elsewhere its
    database sessions are ended, which frees the lock; the Gateway refuses the client id until that process is gone.
    """
    is_gone = process_end(seen.process)
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND usename = current_user AND pid <> pg_backend_pid()",
            [seen.name],
        )
        sessions = len(cursor.fetchall())
    logger.error("holder_deposed", holder=seen.name, fence=seen.fence, sessions=sessions, process_gone=is_gone)
    return is_gone


def process_identity() -> str:
    """Return a name of this process that no other has, on any machine; "" where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')} {os.getpid()} {_started(os.getpid())}"
    except (OSError, IndexError):
        return ""


def process_end(identity: str) -> bool:
    """Kill the process of that name where it runs here; say whether it is certainly gone. Never kills ourselves."""
    mine, parts = process_identity().rsplit(" ", 2), identity.rsplit(" ", 2)
    if len(mine) != len(parts) or mine[0] != parts[0] or mine[1:] == parts[1:]:
        return False
    pid, started = int(parts[1]), parts[2]
    try:
        if _started(pid) != started:
            return True  # Another process has its number now.
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, IndexError) as error:
        logger.warning("holder_not_killed", pid=pid, error=str(error))
        return False
    return True


def _started(pid: int) -> str:
    """Return when a process was started, in ticks since the machine was."""
    # After the name in parentheses, which may hold spaces, the start is the twentieth field (proc(5), field 22).
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
