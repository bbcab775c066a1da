"""`python -m ib_simulator.replay`: check a recording against this simulator, or play its server to a client.

check FILE            exit status 0 and `same`, or 1 and the first difference
serve FILE --port N   the recorded server answers a client that asks the same things, until the client is gone
"""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from ib_simulator.tape.replaying import SAME, Recording, RecordingError, check, read_recording
from ib_simulator.tape.understudy import Understudy

EXIT_DIFFERENT, EXIT_UNREADABLE = 1, 2


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; argparse ends the program with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="ib_simulator.replay", description="Replay a recorded conversation.")
    modes = parser.add_subparsers(dest="mode", required=True)
    checking = modes.add_parser("check", help="let the recorded clients speak to a fresh gateway and compare")
    serving = modes.add_parser("serve", help="play the recorded server to a client that asks the same")
    for mode in (checking, serving):
        mode.add_argument("file", type=Path)
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=4002, help="0 = any free one")
    serving.add_argument("--connection", type=int, help="which connection of the recording (default: the first)")
    return parser.parse_args(arguments)


async def serve(recording: Recording, options: argparse.Namespace) -> int:
    """Play one connection to one client. Returns 0 when it asked everything that was recorded, else 1."""
    understudy = Understudy(recording, connection=options.connection)
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(understudy.hear(data))
                await writer.drain()
        except ConnectionError:
            logging.getLogger(__name__).info("the client broke the connection")
        finally:
            writer.close()
            if not finished.done():
                finished.set_result(None)

    server = await asyncio.start_server(talk, options.host, options.port)
    host, port = server.sockets[0].getsockname()[:2]
    _say(f"ib_simulator.replay listening host={host} port={port} file={options.file}")
    await finished
    server.close()
    for line in understudy.report():
        _say(line)
    return 0 if understudy.is_content else EXIT_DIFFERENT


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the program. Returns 0, 1 for a difference, 2 with the reason on stderr for a file that cannot be used."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        with options.file.open("rb") as file:
            recording = read_recording(file)
        if options.mode == "serve":
            return asyncio.run(serve(recording, options))
        outcome = check(recording)
    except (OSError, RecordingError) as error:
        sys.stderr.write(f"ib_simulator.replay: {error}\n")
        return EXIT_UNREADABLE
    _say(outcome)
    return 0 if outcome == SAME else EXIT_DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
