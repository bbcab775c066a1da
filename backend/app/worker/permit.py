"""A permit to send, asked from the connection's loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.brokers.base import SendPermit
from app.worker.loop_thread import with_own_connection


@dataclass(frozen=True, kw_only=True, slots=True)
class PermitWhenReady:
    """A permit that holds only while the connection is READY, and is asked with a database connection of its own.

    What waited for its turn through a gap (1100, 1102) is not sent before the reconcile that follows it.
    """

    permit: SendPermit
    require_ready: Callable[[], None]

    def note_ids(self, order_ids: Mapping[str, int]) -> None:
        """See SendPermit.note_ids. Raises NotConnected too."""
        self.require_ready()
        with_own_connection(self.permit.note_ids, order_ids)

    def require_still_ours(self) -> None:
        """See SendPermit.require_still_ours. Raises NotConnected too."""
        self.require_ready()
        with_own_connection(self.permit.require_still_ours)
