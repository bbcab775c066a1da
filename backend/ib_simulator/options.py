"""The command line: its options by kind, and what they make: what is played, and by which clock."""

import argparse
import math
from datetime import datetime
from pathlib import Path

from ib_simulator.clock import SimulatedClock
from ib_simulator.faults.scenario_file import ScenarioPlan, parse_scenario
from ib_simulator.gateway import GatewayConfig
from ib_simulator.market.hours import HOURS
from ib_simulator.market.plans import FROM_FILE, PLAIN, PricePlan
from ib_simulator.messages.ids import SERVER_VERSION_MAX, SERVER_VERSION_MIN

_EXAMPLES = """examples:
  python -m ib_simulator --port 4002 --account DU1234567 --account DU7654321
  python -m ib_simulator --hours us_equities --clock 2026-11-27T09:29:55-05:00 --clock-speed 60
  python -m ib_simulator --prices script:ticks.csv --clock 2026-11-25T10:00:00-05:00 --clock-speed 0 --tick-seconds 0
"""


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; argparse ends the program with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="ib_simulator",
        description="A peer that speaks the TWS socket protocol and keeps an order book.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_connections(parser)
    _add_market(parser)
    _add_time(parser)
    _add_files(parser)
    options = parser.parse_args(arguments)
    options.account = options.account or ["DU1234567"]
    if options.seed < 0:
        parser.error("--seed must not be negative")
    if len(set(options.account)) < len(options.account) or any("," in name for name in options.account):
        parser.error("--account names must be different and have no comma")
    return options


def _add_connections(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connections")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    group.add_argument("--port", type=int, default=4002, help="port for clients, 0 = any free one")
    group.add_argument("--control-port", type=int, default=4102, help="port for JSON commands, 0 = any free one")
    group.add_argument("--account", action="append", help="an account to serve; repeat for more (default: DU1234567)")


def _add_market(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("market")
    group.add_argument("--seed", type=int, default=0, help="same seed, same prices and ids (default: %(default)s)")
    group.add_argument("--tick-seconds", type=float, default=1.0, help="time between price steps, 0 = only when told")
    group.add_argument(
        "--prices",
        type=_prices,
        default=(PLAIN[0], None),
        metavar="PROCESS",
        help="walk, fixed, csv:FILE (bars, a price per step), timed-csv:FILE (bars at their time), "
        "script:FILE (ticks at their time) (default: walk)",
    )
    group.add_argument("--hours", choices=sorted(HOURS), default="always", help="when the exchange trades")


def _add_time(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("time")
    group.add_argument(
        "--clock", type=_moment, metavar="MOMENT", help="begin at this time (ISO 8601 with its offset) instead of now"
    )
    group.add_argument(
        "--clock-speed", type=_speed, default=1.0, help="simulated seconds per real second, 0 = stands still"
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("files")
    group.add_argument("--state-dir", type=Path, help="keep the book here, so that it survives a restart")
    group.add_argument("--record", type=Path, metavar="FILE", help="write every message of every client to this file")
    group.add_argument("--scenario", type=Path, metavar="FILE", help="what is to go wrong, and when (TOML)")
    group.add_argument("--watch", action="store_true", help="show book, positions and traffic on stderr, live")
    group.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])


def config_of(options: argparse.Namespace) -> GatewayConfig:
    """Return what is to be played; reads the prices' file. Raises OSError or ValueError when it cannot be read."""
    process, path = options.prices
    plan = PricePlan(process)
    if path is not None:
        try:
            plan = PricePlan(process, text=path.read_text(encoding="utf-8-sig"), name=str(path))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    return GatewayConfig(accounts=tuple(options.account), seed=options.seed, hours=options.hours, prices=plan)


def read_scenario(path: Path) -> ScenarioPlan:
    """Read a scenario file. Raises OSError or ValueError, naming the file and what is wrong in it."""
    return parse_scenario(path.read_text(encoding="utf-8"), name=str(path))


def clock_of(options: argparse.Namespace) -> SimulatedClock:
    """Return the clock to play by: the machine's until an option or a command leads it."""
    return SimulatedClock(start=options.clock, speed=options.clock_speed)


def banner(options: argparse.Namespace, *, now: datetime) -> str:
    """Say in a few lines what is played."""
    process, path = options.prices
    speed = {0.0: "stands still", 1.0: "real time"}.get(options.clock_speed, f"{options.clock_speed:g} times real time")
    rows = {
        "protocol": f"TWS socket API, server versions {SERVER_VERSION_MIN} to {SERVER_VERSION_MAX}",
        "accounts": ", ".join(options.account),
        "prices": process if path is None else f"{process} from {path}",
        "steps": f"every {options.tick_seconds:g} s" if options.tick_seconds > 0 else "only when told",
        "hours": options.hours,
        "clock": f"{now.isoformat(timespec='seconds')}, {speed}",
        "seed": str(options.seed),
        "state": "in memory" if options.state_dir is None else str(options.state_dir),
        "scenario": "none" if options.scenario is None else str(options.scenario),
        "recording": "none" if options.record is None else str(options.record),
    }
    return "\n".join(f"  {name:<10} {value}" for name, value in rows.items())


def _prices(text: str) -> tuple[str, Path | None]:
    process, colon, path = text.partition(":")
    if (process in PLAIN and not colon) or (process in FROM_FILE and path):
        return process, Path(path) if path else None
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of {', '.join([*PLAIN, *(f'{name}:FILE' for name in FROM_FILE)])}"
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no offset from UTC, such as -05:00 or Z")
    return moment


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not math.isfinite(speed) or speed < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return speed
