"""The control port's language: one JSON object per line in, one JSON line out. No I/O.

{"cmd": "set_price", "symbol": "AAPL", "price": "189.50"}   ->   {"ok": true, ...}
a command that cannot be carried out                        ->   {"ok": false, "code": "...", "message": "..."}
a line that is no JSON object                               ->   the same with `bad_json`, and the end of the connection

Whoever sends a line that is no JSON object speaks another language, and nothing after it is meant for us. A web page
can have a browser send an HTTP request to this port, with commands in its body: its first line ends the connection.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

from ib_simulator.argument_names import ARGUMENT_NAMES
from ib_simulator.arguments import Arguments
from ib_simulator.commands import COMMANDS
from ib_simulator.commands.command import Command
from ib_simulator.errors import CommandError
from ib_simulator.gateway import Gateway

logger = logging.getLogger(__name__)

LINE_LENGTH_MAX = 1_000_000
SHOWN_LENGTH_MAX = 500


@dataclass(frozen=True)
class Reply:
    """The answer's line, and whether the program, or only this connection, is to end after it."""

    line: bytes
    shutdown: bool = False
    hang_up: bool = False


def execute(gateway: Gateway, line: bytes) -> Reply:
    """Carry out one line. Never raises for what the line says."""
    try:
        request = _parse(line)
    except CommandError as error:
        return Reply(_refusal(error), hang_up=error.code == "bad_json")
    try:
        command = _command(request)
        _require_known(request)
        answer = command(gateway, Arguments(request))
    except CommandError as error:
        return Reply(_refusal(error))
    except Exception as error:
        # A mistake in one command must be seen, and must not end what clients are connected to.
        logger.exception("control command failed: %s", line[:SHOWN_LENGTH_MAX].decode(errors="replace"))
        message = f"{type(error).__name__}: {error}"
        return Reply(_line({"ok": False, "code": "internal_error", "message": message}))
    return Reply(_line({"ok": True, **answer}), shutdown=request["cmd"] == "shutdown")


def too_long() -> Reply:
    """Answer a line longer than any command."""
    message = f"a line has at most {LINE_LENGTH_MAX} bytes"
    return Reply(_line({"ok": False, "code": "bad_json", "message": message}), hang_up=True)


def too_many() -> Reply:
    """Answer a control connection for which there is no room."""
    return Reply(_line({"ok": False, "code": "too_many_connections", "message": "there are too many of you"}))


def _command(request: dict[str, Any]) -> Command:
    name = request.get("cmd")
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        raise CommandError(code="unknown_command", message=f"there is no command {name!r}: {', '.join(COMMANDS)}")
    return command


def _parse(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise CommandError(code="bad_json", message=f"the line is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise CommandError(code="bad_json", message="the line is not a JSON object")
    return request


def _require_known(request: dict[str, Any]) -> None:
    known = ARGUMENT_NAMES[request["cmd"]]
    for name in request:
        if name != "cmd" and name not in known:
            takes = ", ".join(sorted(known)) or "no arguments"
            raise CommandError(
                code="unknown_argument", message=f"{request['cmd']} has no argument {name!r}; it takes {takes}"
            )


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise CommandError(code="repeated_argument", message=f"{repeated!r} stands there more than once")
    return found


def _refusal(error: CommandError) -> bytes:
    return _line({"ok": False, "code": error.code, "message": error.message})


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"
