"""`python -m ib_simulator`: read the options, listen, say so in one line on stdout, run until told to stop."""

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import ExitStack
from typing import IO

from ib_simulator.errors import JournalError
from ib_simulator.faults.scenario_player import ScenarioPlayer
from ib_simulator.gateway import Gateway
from ib_simulator.journal import Journal
from ib_simulator.options import banner, clock_of, config_of, parse_arguments, read_scenario
from ib_simulator.overview import overview
from ib_simulator.server import Addresses, PortInUse, Server
from ib_simulator.tape.recording import Recorder
from ib_simulator.tape.replaying import played
from ib_simulator.watch import follow

EXIT_CANNOT_START = 2


async def run(options: argparse.Namespace) -> int:
    """Serve until a signal or the control command `shutdown`. Returns the exit status."""
    with ExitStack() as stack:
        journal = Journal(options.state_dir) if options.state_dir else None
        if journal is not None:
            stack.callback(journal.close)
        record = stack.enter_context(options.record.open("wb")) if options.record else None
        return await _serve(options, journal, record)


async def _serve(options: argparse.Namespace, journal: Journal | None, record: IO[bytes] | None) -> int:
    config = config_of(options)
    plan = None if options.scenario is None else read_scenario(options.scenario)
    gateway = Gateway(config, clock=clock_of(options), journal=journal)
    if plan is not None:
        ScenarioPlayer(plan, gateway=gateway).start()
    resumed = len(gateway.book) > 0
    recorder = None if record is None else Recorder(record, clock=gateway.clock, played=played(config, resumed=resumed))
    server = Server(gateway, tick_seconds=options.tick_seconds, recorder=recorder)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stopped.set)
    listening = await server.start(Addresses(options.host, options.port, options.control_port))
    print(
        f"ib_simulator listening host={listening.host} port={listening.port} control_port={listening.control_port} "
        f"accounts={','.join(options.account)} seed={options.seed}",
        flush=True,
    )
    # Programs read the line above; people read what follows.
    print(banner(options, now=gateway.clock.now()), file=sys.stderr, flush=True)
    watching = asyncio.create_task(follow(lambda: overview(gateway), sys.stderr)) if options.watch else None
    await server.stopped.wait()
    if watching is not None:
        watching.cancel()
        # It leaves the terminal as it was.
        await asyncio.gather(watching, return_exceptions=True)
    await server.stop()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the program. Returns 0, or 2 when it cannot start, with the reason on stderr."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return asyncio.run(run(options))
    except (PortInUse, JournalError, OSError, ValueError) as error:
        print(f"ib_simulator: {error}", file=sys.stderr)
        return EXIT_CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
