"""Read a scenario file: what is to go wrong, and when, written down before the start. TOML, no I/O.

[switches]                                   [[step]]
pacing = "reject"                            at = 5                                   # seconds after the start
                                             do = { cmd = "outage", seconds = 10 }
[limits]
messages_per_second = 20                     [[step]]
                                             after = "placeOrder"                     # a message of a client
[random]                                     client_id = 1
seed = 7                                     count = 2                                # the second one
every_seconds = 30                           do = [{ cmd = "freeze" }, { cmd = "pause_fills" }]
faults = [{ cmd = "drop_connections" }]
                                             [[step]]
                                             when_filled = "entry"                    # an order's reference
                                             wait = 0.5                               # seconds
                                             do = { cmd = "drop_connections" }
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_simulator.argument_names import ARGUMENT_NAMES
from ib_simulator.commands import COMMANDS
from ib_simulator.faults.scenario import LIMITS, SWITCHES

Command = dict[str, Any]

NOT_IN_A_FILE = frozenset({"shutdown", "state", "messages", "ping", "faults"})
TRIGGERS = ("at", "after", "when_filled")
SECONDS_MAX = 10_000_000


class ScenarioFileError(ValueError):
    """The file is wrong; the message names the file, the line or key, and the reason."""


@dataclass
class Step:
    """Commands and what sets them off: exactly one of `at`, `after` and `when_filled`."""

    key: str
    commands: list[Command]
    at: float | None = None
    after: str = ""
    client_id: int | None = None
    count: int = 1
    when_filled: str = ""
    wait: float = 0.0


@dataclass(frozen=True)
class Adversary:
    """One of the faults, chosen by chance, every so many seconds."""

    seed: int
    every_seconds: float
    faults: list[Command]


@dataclass(frozen=True)
class ScenarioPlan:
    """What a file says."""

    name: str
    switches: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    adversary: Adversary | None = None


def parse_scenario(text: str, *, name: str) -> ScenarioPlan:
    """Read the text of a file. Raises ScenarioFileError."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioFileError(f"{name}: {error}") from error
    try:
        _check_keys(found, {"switches", "limits", "step", "random"}, where="")
        steps = _list(found.get("step", []), "step")
        return ScenarioPlan(
            name=name,
            switches=_switches(_table(found.get("switches", {}), "switches")),
            limits=_limits(_table(found.get("limits", {}), "limits")),
            steps=[_step(_table(step, f"step[{at}]"), f"step[{at}]") for at, step in enumerate(steps, start=1)],
            adversary=_adversary(_table(found["random"], "random")) if "random" in found else None,
        )
    except _Wrong as error:
        raise ScenarioFileError(f"{name}: {error}") from error


class _Wrong(Exception):
    """`key: reason`."""


def _switches(table: Mapping[str, Any]) -> dict[str, str]:
    for name, value in table.items():
        if name not in SWITCHES:
            raise _Wrong(f"switches.{name}: there is no such switch")
        if value not in SWITCHES[name]:
            raise _Wrong(f"switches.{name}: {value!r} is none of {', '.join(SWITCHES[name])}")
    return dict(table)


def _limits(table: Mapping[str, Any]) -> dict[str, int]:
    for name in table:
        if name not in LIMITS:
            raise _Wrong(f"limits.{name}: there is no such limit")
    return {name: _integer(table, name, "limits", least=0 if LIMITS[name] == 0 else 1) for name in table}


def _step(table: Mapping[str, Any], where: str) -> Step:
    _check_keys(table, {*TRIGGERS, "client_id", "count", "wait", "do"}, where=where)
    triggers = [name for name in TRIGGERS if name in table]
    if len(triggers) != 1:
        raise _Wrong(f"{where}: needs exactly one of {', '.join(TRIGGERS)}")
    if "after" not in table and ("client_id" in table or "count" in table):
        raise _Wrong(f"{where}: client_id and count belong to after")
    return Step(
        key=where,
        commands=_commands(table.get("do"), f"{where}.do"),
        at=_number(table, "at", where) if "at" in table else None,
        after=_text(table, "after", where) if "after" in table else "",
        client_id=_integer(table, "client_id", where) if "client_id" in table else None,
        count=_integer(table, "count", where, least=1) if "count" in table else 1,
        when_filled=_text(table, "when_filled", where) if "when_filled" in table else "",
        wait=_number(table, "wait", where) if "wait" in table else 0.0,
    )


def _adversary(table: Mapping[str, Any]) -> Adversary:
    _check_keys(table, {"seed", "every_seconds", "faults"}, where="random")
    every = _number(table, "every_seconds", "random")
    if every <= 0:
        raise _Wrong("random.every_seconds: must be above zero")
    return Adversary(
        seed=_integer(table, "seed", "random"),
        every_seconds=every,
        faults=_commands(table.get("faults"), "random.faults"),
    )


def _commands(value: Any, where: str) -> list[Command]:
    commands = [value] if isinstance(value, dict) else _list(value, where)
    if not commands:
        raise _Wrong(f"{where}: names no command")
    for at, command in enumerate(commands, start=1):
        key = f"{where}[{at}]" if len(commands) > 1 else where
        name = _table(command, key).get("cmd")
        if name not in COMMANDS or name in NOT_IN_A_FILE:
            raise _Wrong(f"{key}.cmd: there is no command {name!r} for a scenario")
        _check_keys(command, {"cmd", *ARGUMENT_NAMES[name]}, where=key)
    return list(commands)


def _check_keys(table: Mapping[str, Any], known: Collection[str], *, where: str) -> None:
    for name in table:
        if name not in known:
            raise _Wrong(f"{where}{'.' if where else ''}{name}: is none of {', '.join(sorted(known))}")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{where}: must be a table, not {value!r}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong(f"{where}: must be a list, not {value!r}")
    return value


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise _Wrong(f"{where}.{name}: must be a text, not {value!r}")
    return value


def _integer(table: Mapping[str, Any], name: str, where: str, *, least: int | None = None) -> int:
    value = table.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise _Wrong(f"{where}.{name}: must be an integer{'' if least is None else f' from {least}'}, not {value!r}")
    return value


def _number(table: Mapping[str, Any], name: str, where: str) -> float:
    value = table.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= SECONDS_MAX:
        raise _Wrong(f"{where}.{name}: must be a number of seconds, not {value!r}")
    return float(value)
