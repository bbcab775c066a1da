"""The web process: `python -m app.config.serve --host 127.0.0.1 --port 8000`.

It is uvicorn with three things of ours: as many file descriptors as it may have, a limit on every wait for a client
(see `connections`), and no belief in X-Forwarded-For, which is read in one place that knows PROXY_COUNT.
"""

import argparse
import asyncio
import os
import resource
from collections import Counter
from collections.abc import Sequence

import uvicorn
from asgiref.sync import sync_to_async

from app.config.connections import Connections, GuardedState, Limits, PatientProtocol
from app.core import clock
from app.core.logging import get_logger

logger = get_logger(__name__)

APPLICATION = "app.config.asgi:application"
# More would be of no use to 2,000 connections, and some systems call their hard limit "unlimited" and refuse it.
DESCRIPTORS_MAX = 65_536
# For the database, Redis, the log, files that are being sent.
DESCRIPTORS_RESERVED = 128
# A page's stream also listens to Redis.
DESCRIPTORS_PER_CONNECTION = 2
CONNECTIONS_MAX = 2_000
# What the system queues before we take it in: less than there are places, so that one rush does not use them all up.
BACKLOG = 128
TICKS_PER_SECOND = 10
REPORT_SECONDS = 10
QUIET_SECONDS = 60
FLOOD_MIN = 100
ALERT_SUBJECT = "web"


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until we are told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")
    parser = argparse.ArgumentParser(prog="python -m app.config.serve")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--timeout-graceful-shutdown", type=int, default=3)
    given = parser.parse_args(arguments)
    config = server_config(
        APPLICATION, host=given.host, port=given.port, timeout_graceful_shutdown=given.timeout_graceful_shutdown
    )
    PatientServer(config, limits=Limits(connections_max=connections_max(descriptors_raise()))).run()


def server_config(
    application: object, *, host: str = "127.0.0.1", port: int = 0, timeout_graceful_shutdown: int = 3
) -> uvicorn.Config:
    """Return how uvicorn serves us. WebSockets are off: nothing of ours speaks them."""
    return uvicorn.Config(
        application,  # type: ignore[arg-type]  # An ASGI application, or where to import it from.
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        backlog=BACKLOG,
        timeout_graceful_shutdown=timeout_graceful_shutdown,
    )


def descriptors_raise() -> int:
    """Raise the limit of file descriptors to what we may have; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return DESCRIPTORS_MAX if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        logger.warning("descriptors_not_raised", limit=soft, wanted=wanted, error=str(error))
        return soft
    return wanted


def connections_max(descriptors: int) -> int:
    """Return how many connections fit: 448 with 1,024 descriptors."""
    return max(16, min(CONNECTIONS_MAX, (descriptors - DESCRIPTORS_RESERVED) // DESCRIPTORS_PER_CONNECTION))


class PatientServer(uvicorn.Server):
    """Ends overdue connections once a second, tells of them in one line, and alerts a person where they are many."""

    def __init__(self, config: uvicorn.Config, *, limits: Limits) -> None:
        super().__init__(config)
        self.guard = Connections(limits)
        self.server_state = GuardedState(self.guard)
        # Not known at first: one that was raised before a restart has to end too.
        self._alerted: bool | None = None
        self._flooded_at = self.guard.now()
        self._telling: asyncio.Task[None] | None = None

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections."""
        if counter % TICKS_PER_SECOND == 0:
            self.guard.sweep()
        if counter % (REPORT_SECONDS * TICKS_PER_SECOND) == 0:
            self._report()
        return await super().on_tick(counter)

    def _report(self) -> None:
        ended, addresses = self.guard.ended()
        count = ended.total()
        if count:
            heaviest, of_those = addresses.most_common(1)[0]
            logger.warning(
                "connections_ended", **ended, address=heaviest, of_address=of_those, addresses=len(addresses)
            )
        if count >= FLOOD_MIN or ended["made_room"] or ended["refused"]:
            self._flooded_at = self.guard.now()
            self._tell(_flood_text(ended, addresses))
        elif self._alerted is not False and self.guard.now() - self._flooded_at >= QUIET_SECONDS:
            self._tell("")

    def _tell(self, text: str) -> None:
        """Raise the alert, or end it where there is nothing to tell; beside the loop, because the database may wait."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_once(text))

    async def _tell_once(self, text: str) -> None:
        try:
            await sync_to_async(_alert_write, thread_sensitive=False)(text)
            self._alerted = bool(text)
        except Exception:  # the next report tries again
            logger.exception("connections_alert_failed")


def _flood_text(ended: Counter[str], addresses: Counter[str]) -> str:
    heaviest, of_those = addresses.most_common(1)[0]
    others = len(addresses) - 1
    beside = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return (
        f"{ended.total()} connections within {REPORT_SECONDS} s were ended because they sent no whole request, did not "
        f"read, or had to make room; {of_those} of them came from {heaviest}{beside}."
    )


def _alert_write(text: str) -> None:
    from django.db import connection  # Django is set up by the application, which is loaded after this module.

    from app.alerts.kinds import AlertKind
    from app.alerts.services import alert_raise, alert_resolve

    try:
        if text:
            alert_raise(kind=AlertKind.CONNECTIONS_FLOODED, subject=ALERT_SUBJECT, text=text, now=clock.now())
        else:
            alert_resolve(kind=AlertKind.CONNECTIONS_FLOODED, subject=ALERT_SUBJECT, now=clock.now())
    finally:
        connection.close()


if __name__ == "__main__":
    main()
