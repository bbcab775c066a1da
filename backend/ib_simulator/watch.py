"""A live view on the console: `python -m ib_simulator.watch --control-port N`, or `--watch` on the simulator itself.

Both draw the same screen from the command `overview`, at most twice a second, with plain ANSI sequences on a screen of
its own that is left again at the end. Where the output is no terminal a plain block is printed every few seconds.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from ib_simulator.client import ControlError, SimulatorControl

REDRAW_SECONDS = 0.5
BLOCK_SECONDS = 5.0
EXIT_UNREACHABLE = 2
# A screen of its own without a cursor, and back.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"

Overview = dict[str, Any]
_DIRECTIONS = (("in", "received"), ("out", "sent"))


def screen(now: Overview, before: Overview | None, *, seconds: float, width: int, height: int) -> list[str]:
    """Return the lines to show; `before` is the overview of `seconds` ago, for messages per second."""
    flags = [name for name in ("fills_paused", "outage", "refusing") if now[name]]
    lines = [
        f"ib_simulator  {now['now']}  seed {now['seed']}  accounts {','.join(now['accounts'])}  "
        + "  ".join(flag.replace("_", " ").upper() for flag in flags),
        _traffic(now, before, seconds=seconds)
        + f"   orders: {now['active_orders']} active of {now['all_orders']}   executions: {now['executions']}",
        "",
    ]
    lines += _table("CONNECTION CLIENT VERSION", [_connection(row) for row in now["connections"]], (10, 8, 8))
    lines += _table(
        "ACCOUNT SYMBOL POSITION COST PRICE UNREALIZED",
        [_position(row) for row in now["positions"]],
        (12, 22, 12, 14, 14, 14),
    )
    lines += _table(
        "CLIENT ORDER ACTION FILLED SYMBOL TYPE LIMIT STOP STATUS HELD REFERENCE",
        [_order(row) for row in now["orders"]],
        (7, 7, 7, 13, 22, 9, 11, 11, 14, 14, 20),
    )
    return [line[:width] for line in lines[:height]]


def _traffic(now: Overview, before: Overview | None, *, seconds: float) -> str:
    counts = [f"{name} {_rate(now, before, key, seconds)}/s ({now[key]})" for name, key in _DIRECTIONS]
    return "messages: " + "  ".join(counts)


def _rate(now: Overview, before: Overview | None, name: str, seconds: float) -> int:
    return 0 if before is None or seconds <= 0 else round((now[name] - before[name]) / seconds)


def _table(heading: str, rows: Sequence[Sequence[object]], widths: Sequence[int]) -> list[str]:
    if not rows:
        return []
    return [_row(heading.split(), widths), *(_row(row, widths) for row in rows), ""]


def _row(cells: Sequence[object], widths: Sequence[int]) -> str:
    texts = ("" if cell is None else str(cell) for cell in cells)
    return " ".join(text[:width].ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()


def _connection(row: dict[str, Any]) -> list[object]:
    return [row["connection"], row["client_id"], row["server_version"]]


def _position(row: dict[str, Any]) -> list[object]:
    return [row[name] for name in ("account", "symbol", "quantity", "average_cost", "price", "unrealized")]


def _order(row: dict[str, Any]) -> list[object]:
    filled = f"{row['filled']}/{row['quantity']}"
    names = ("symbol", "order_type", "limit_price", "stop_price", "status", "why_held", "order_ref")
    return [row["client_id"], row["order_id"], row["action"], filled, *(row[name] for name in names)]


class View:
    """Draws overviews on a stream, or prints them as blocks where that is no terminal. Used with `with`."""

    def __init__(self, stream: TextIO, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._seconds = seconds
        self._before: Overview | None = None
        self._drawn_at = 0.0
        self.is_terminal = stream.isatty()
        self.pause_seconds = REDRAW_SECONDS if self.is_terminal else BLOCK_SECONDS

    def __enter__(self) -> "View":
        if self.is_terminal:
            self._write(ENTER)
        return self

    def __exit__(self, *_error: object) -> None:
        if self.is_terminal:
            self._write(LEAVE)

    def draw(self, overview: Overview) -> None:
        now = self._seconds()
        # A block has no bounds; a terminal keeps its last line free, or it would scroll.
        size = shutil.get_terminal_size() if self.is_terminal else os.terminal_size((200, 1000))
        lines = screen(overview, self._before, seconds=now - self._drawn_at, width=size.columns, height=size.lines - 1)
        self._before, self._drawn_at = overview, now
        if self.is_terminal:
            self._write(HOME + "".join(f"{line}{END_OF_LINE}\n" for line in lines) + END_OF_SCREEN)
        else:
            self._write("\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


async def follow(ask: Callable[[], Overview], stream: TextIO) -> None:
    """Draw until cancelled: the view within the simulator's own process."""
    with View(stream) as view:
        while True:
            view.draw(ask())
            await asyncio.sleep(view.pause_seconds)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; argparse ends the program with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="ib_simulator.watch", description="Watch a running simulator.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--control-port", type=int, default=4102)
    parser.add_argument("--once", action="store_true", help="show one overview and end")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Watch until interrupted or until the simulator ends. Returns 0, or 2 when there is none."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with SimulatorControl(options.host, options.control_port) as control:
            _watch(control, once=options.once)
    except KeyboardInterrupt:
        return 0
    except (OSError, ControlError) as error:
        sys.stderr.write(f"ib_simulator.watch: {options.host} port {options.control_port}: {error}\n")
        return EXIT_UNREACHABLE
    return 0


def _watch(control: SimulatorControl, *, once: bool) -> None:
    if once:
        View(sys.stdout).draw(control.overview())
        return
    with View(sys.stdout) as view:
        while True:
            view.draw(control.overview())
            time.sleep(view.pause_seconds)


if __name__ == "__main__":
    sys.exit(main())
