"""The command line of `up`, in which everything has a default."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from local_stack.errors import PortTwiceError, UsageError

TRUE_WORDS = ("1", "true", "yes", "on", "y", "t", "ok")
# With --once, which nobody connects to from outside, each is any free one.
DEFAULT_PORTS = {"port": 8000, "simulator_port": 4002, "simulator_control_port": 4102}
PORT_MAX = 65535
# Which variable names a server of the user's own, so that none is started and its port is nobody's.
OWN_SERVERS = {
    "simulator_port": "IB_HOST",
    "simulator_control_port": "IB_HOST",
    "postgres_port": "DATABASE_URL",
    "redis_port": "REDIS_URL",
}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line, with its ports chosen by number or 0 for any free one."""

    once: bool
    demo: bool
    demo_again: bool
    symbol: str
    stop_price: str | None
    port: int
    simulator_port: int
    simulator_control_port: int
    postgres_port: int
    redis_port: int


def options_parse(arguments: Sequence[str], user_values: Mapping[str, str]) -> Options:
    """Read the command line.

    Raises:
        PortTwiceError: two servers were given one port.
        UsageError: the demo needs a stop price that only the user can know, or cannot be reached.
    """
    parser = _Parser(
        prog="scripts/up",
        description="Start everything on this machine, execute a demo setup, print its IB-<entry>:<stop>, stay up.",
    )
    parser.add_argument("--once", action="store_true", help="stop everything after the demo")
    demo = parser.add_mutually_exclusive_group()
    demo.add_argument("--demo", dest="demo_again", action="store_true", help="execute the demo again if it was before")
    demo.add_argument(
        "--no-demo", dest="demo", action="store_false", help="start everything, execute nothing, make no user"
    )
    parser.add_argument("--symbol", default="AAPL", help="what the demo buys (default: %(default)s)")
    parser.add_argument("--stop-price", help="the demo's stop (default: 3 %% under the simulator's price)")
    names = {
        "port": "pages and API",
        "simulator_port": "the simulated Gateway",
        "simulator_control_port": "the simulator's control commands",
        "postgres_port": "the embedded PostgreSQL",
        "redis_port": "the embedded Valkey",
    }
    for name, what in names.items():
        default = DEFAULT_PORTS.get(name, 0)
        text = f"TCP port of {what}; 0 takes any free one (default: {default}" + (
            ", with --once: 0)" if default else ")"
        )
        parser.add_argument("--" + name.replace("_", "-"), type=_port, metavar="N", help=text)
    found = parser.parse_args(arguments)
    ports = {name: getattr(found, name) for name in names}
    chosen = {
        name: value if value is not None else 0 if found.once else DEFAULT_PORTS.get(name, 0)
        for name, value in ports.items()
    }
    _require_different(chosen, user_values)
    if found.demo and user_values.get("IB_HOST") and found.stop_price is None:
        raise UsageError(
            "IB_HOST is set, so the demo would place a real bracket at that Gateway: "
            "give it --stop-price (and --symbol), or --no-demo"
        )
    if found.demo and user_values.get("SECURE", "").lower() in TRUE_WORDS:
        raise UsageError(
            "SECURE is set, so pages and API answer through a TLS proxy only, and the demo cannot reach them: "
            "give --no-demo, or unset SECURE"
        )
    return Options(
        once=found.once,
        demo=found.demo,
        demo_again=found.demo_again,
        symbol=found.symbol,
        stop_price=found.stop_price,
        **chosen,
    )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every error of `up`; `--help` shows all options."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')} (--help shows all options)")


def _require_different(ports: Mapping[str, int], user_values: Mapping[str, str]) -> None:
    """Refuse what would only be noticed when the second server cannot listen, half a minute later."""
    options: dict[int, str] = {}
    for name, port in ports.items():
        if not port or user_values.get(OWN_SERVERS.get(name, "")):
            continue
        option = "--" + name.replace("_", "-")
        if port in options:
            raise PortTwiceError(
                f"{options[port]} and {option} are both {port}: choose another port for one (0 takes any free one)"
            )
        options[port] = option


def _port(text: str) -> int:
    # int() takes blanks, underscores and digits of every script as well; nobody means them.
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; allowed: a whole number from 0 to {PORT_MAX}")
    return int(text)
