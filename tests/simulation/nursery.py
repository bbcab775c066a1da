"""Broker workers in a fraction of a second: a process that has imported everything once, and forks one on request.

    > start NAME LOGFILE PLACE USE ROAD          < PID

What is forked is a real Celery worker of the real application; it dies with this process. `SIMULATION_SABOTAGE` names
a rule of the application to be switched off in all of them, which proves that a run would see it missing.
"""

import ctypes
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

# Silence after which a stand-by takes over; shorter than in earnest, so that a run can wait for it.
SILENT_SECONDS = 2.5
# After so long without IB a new connection is tried: a Gateway that never says that it is back is left that way.
DEGRADED_SECONDS = 20.0


def main() -> None:
    """Serve until the input ends."""
    from app.core import clock
    from tests.simulation.shared_clock import SharedClock

    # Before anything else of the application has taken the function.
    clock.now = SharedClock(Path(os.environ["SIMULATION_CLOCK"])).moved(clock.now)
    import django

    django.setup()
    from django.conf import settings

    from app.config.celery import app as celery_app
    from app.executions.services import exposure, positions
    from app.worker import (  # noqa: F401 - What every worker would import by itself.
        broker_thread,
        holder,
        life,
        reconcile_plan,
        recovery,
        tasks,
    )
    from tests.simulation import sabotage
    from tests.simulation.setting import LAG_SECONDS, Setting

    broker_thread.BrokerThread.__init__.__kwdefaults__["silent_seconds"] = SILENT_SECONDS
    lag = timedelta(seconds=LAG_SECONDS)
    exposure.LAG = positions.LAG = lag
    reconcile_plan.LOOK_AGAIN_SECONDS = LAG_SECONDS
    recovery.DEGRADED_SECONDS_MAX = DEGRADED_SECONDS
    sabotage.apply_named(os.environ.get("SIMULATION_SABOTAGE", ""))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        _start, name, log, place, use, road = line.split()
        pid = os.fork()
        if pid == 0:
            settings.ACCOUNT_USE, settings.CLOSE_ROAD = use, road
            settings.OTHERS_CLIENT_IDS = sorted(Setting(use=use).others_client_ids)
            if place != "here":
                # Its process cannot be ended by a successor, as if it ran on another machine.
                holder.process_identity = lambda place=place: f"{place} 1 1"
            _become_worker(celery_app, name=name, log=log)
        print(pid, flush=True)


def _become_worker(celery_app: object, *, name: str, log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: no worker outlives the run
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    status = 1
    try:
        options = ["-Q", "broker", "-P", "threads", "-c", "8", "-n", f"{name}@simulation", "-l", "INFO"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        celery_app.worker_main(["worker", *options, *quiet])  # type: ignore[attr-defined]
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
