"""That the broker worker lives, told in a row: its connection's, or, while no account is known, a sign of its own.

IB_ACCOUNT names the account ──────────────> the connection's row, from the first second
the Gateway is to tell it, and has not yet ─> WorkerSign: why, and since when
"""

from app.accounts.services import connection_heartbeat, worker_sign
from app.brokers.base import ConnectionState
from app.core import clock
from app.worker.event_recorder import EventRecorder
from app.worker.holder import Holder


class SignOfLife:
    """Shows that this worker lives. A stand-by shows nothing: it is the holder who is asked for."""

    def __init__(self, *, client_id: int, holder: Holder, recorder: EventRecorder) -> None:
        self._client_id, self._holder, self._recorder = client_id, holder, recorder
        self._started_at = clock.now()

    def show(self, *, connection_id: int, state: ConnectionState, reason: str) -> None:
        """Store it now. Raises DatabaseError."""
        if self._holder.fence:
            waiting, oldest_at = self._recorder.waiting()
            connection_heartbeat(
                connection_id=connection_id,
                fence=self._holder.fence,
                events_waiting=waiting,
                oldest_event_at=oldest_at,
                now=clock.now(),
            )
        elif self._holder.is_holder:
            worker_sign(
                client_id=self._client_id, state=state, reason=reason, started_at=self._started_at, now=clock.now()
            )
