"""`python -m ib_simulator`: read the options, listen, say so in one line on stdout, run until told to stop."""

import argparse
import asyncio
import logging
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from ib_simulator.clock import SystemClock
from ib_simulator.errors import JournalError
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.journal import Journal
from ib_simulator.recording import Recorder
from ib_simulator.replaying import played
from ib_simulator.server import Addresses, PortInUse, Server

EXIT_CANNOT_START = 2


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; argparse ends the program with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="ib_simulator", description="A peer that speaks the TWS socket protocol and keeps an order book."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4002, help="port for clients, 0 = any free one")
    parser.add_argument("--control-port", type=int, default=4102, help="port for JSON commands, 0 = any free one")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same prices and ids (default: %(default)s)")
    parser.add_argument("--account", action="append", help="an account to serve; repeat for more (default: DU1234567)")
    parser.add_argument("--tick-seconds", type=float, default=1.0, help="time between price steps, 0 = only when told")
    parser.add_argument("--state-dir", type=Path, help="keep the book here, so that it survives a restart")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write every message of every client to this file")
    parser.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    options = parser.parse_args(arguments)
    options.account = options.account or ["DU1234567"]
    if options.seed < 0:
        parser.error("--seed must not be negative")
    if len(set(options.account)) < len(options.account) or any("," in name for name in options.account):
        parser.error("--account names must be different and have no comma")
    return options


async def run(options: argparse.Namespace) -> int:
    """Serve until a signal or the control command `shutdown`. Returns the exit status."""
    with ExitStack() as stack:
        journal = Journal(options.state_dir) if options.state_dir else None
        if journal is not None:
            stack.callback(journal.close)
        record = stack.enter_context(options.record.open("wb")) if options.record else None
        return await _serve(options, journal, record)


async def _serve(options: argparse.Namespace, journal: Journal | None, record: IO[bytes] | None) -> int:
    config = GatewayConfig(accounts=tuple(options.account), seed=options.seed)
    gateway = Gateway(config, clock=SystemClock(), journal=journal)
    recorder = None if record is None else Recorder(record, clock=gateway.clock, played=played(config))
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
    await server.stopped.wait()
    await server.stop()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the program. Returns 0, or 2 when it cannot start, with the reason on stderr."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return asyncio.run(run(options))
    except (PortInUse, JournalError, OSError) as error:
        print(f"ib_simulator: {error}", file=sys.stderr)
        return EXIT_CANNOT_START


if __name__ == "__main__":
    sys.exit(main())
