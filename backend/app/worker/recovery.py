"""How a connection that is DEGRADED is left: by asking, or for a new one."""

import time
from collections.abc import Callable

from app.brokers.base import Broker
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, NotConnected, RequestRefused
from app.core.logging import get_logger

logger = get_logger(__name__)

# The broker is asked for everything this often, and the connection is given up after so long.
RECOVER_EVERY_SECONDS, DEGRADED_SECONDS_MAX = 3.0, 120.0


class Recovery:
    """Tries to leave DEGRADED. Used by the connection's loop alone."""

    def __init__(self, broker: Broker, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self._monotonic = monotonic
        self._since: float | None = None
        self._next_at = 0.0

    def begins(self) -> bool:
        """Say whether this is the first look at it, and begin to count."""
        if self._since is not None:
            return False
        self._since = self._next_at = self._monotonic()
        return True

    def ended(self) -> None:
        """Note that the connection is READY, or gone."""
        self._since = None

    async def attempt(self, reason: str) -> None:
        """Ask for everything where it is time to. Raises NotConnected where the connection is to be made anew."""
        moment = self._monotonic()
        if self._since is not None and moment - self._since >= DEGRADED_SECONDS_MAX:
            raise NotConnected(f"Nothing could be sent for {DEGRADED_SECONDS_MAX:.0f} s ({reason}).")
        if moment < self._next_at:
            return
        self._next_at = moment + RECOVER_EVERY_SECONDS
        try:
            await self._broker.recover()
        except (BrokerTimeout, IncompleteAnswer, RequestRefused) as error:
            logger.warning("not_recovered", reason=f"{error.code}: {error.message}")
