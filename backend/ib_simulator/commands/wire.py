"""Commands that spoil lines and messages: late, in small pieces, twice, in another order, never."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, named
from ib_simulator.errors import CommandError
from ib_simulator.faults.faults import Kind, Rule
from ib_simulator.faults.garbling import field_place
from ib_simulator.faults.wire import Line

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

UNREADABLE = "?"
LINE_PROPERTIES = tuple(Line.__dataclass_fields__)


def set_line(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Change how bytes travel to one client or to all: delay, jitter, merging, small pieces, a slow line."""
    client_id = arguments.optional_integer("client_id")
    faults = gateway.scenario.faults
    changes = {name: at_least_zero(arguments, name) for name in LINE_PROPERTIES if arguments.has(name)}
    piece_max = changes.get("piece_max", faults.line(client_id).piece_max)
    if changes.get("piece_min", 0) > piece_max:
        raise CommandError(code="bad_value", message="piece_min must not be above piece_max")
    if changes.get("merge_bytes") and not changes.get("merge_ms", faults.line(client_id).merge_ms):
        raise CommandError(code="missing_argument", message="merge_bytes needs merge_ms: bytes are not kept for ever")
    line = faults.change_line(client_id, **changes)
    return {"line": {name: getattr(line, name) for name in LINE_PROPERTIES}}


def lose(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Lose the next messages of these names: requests that never end, a status that never comes."""
    return _add(gateway, _rule(Kind.LOSE, arguments))


def duplicate(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send the next messages of these names twice."""
    return _add(gateway, _rule(Kind.DUPLICATE, arguments))


def delay_messages(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send the next messages of these names late; others overtake them."""
    late_ms = at_least_zero(arguments, "ms")
    rule = _rule(Kind.LATE, arguments)
    rule.late_ms = late_ms
    return _add(gateway, rule)


def reorder(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Keep the next messages of these names until one called `after` has been sent."""
    after = arguments.text("after")
    rule = _rule(Kind.REORDER, arguments)
    if after in rule.names:
        raise CommandError(code="bad_value", message="a message cannot wait for itself")
    rule.after = after
    return _add(gateway, rule)


def garble(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send the next messages of these names with `text` in the place of one field: what nobody can read."""
    rule = _rule(Kind.GARBLE, arguments)
    field = arguments.text("field")
    place = field_place(sorted(rule.names), field)
    if place is None:
        raise CommandError(code="bad_value", message=f"these messages have no field {field!r}; a place is a number")
    rule.place, rule.text = place, arguments.text("text", default=UNREADABLE)
    return _add(gateway, rule)


def clear_faults(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Take back every fault of lines, messages and connections; what waits goes out."""
    gateway.scenario.faults.clear()
    for session in list(gateway.sessions.values()):
        session.release_overtaken()
        session.wake()
    return {}


def faults(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """What is in force."""
    return {"faults": gateway.scenario.faults.as_json()}


def at_least_zero(arguments: Arguments, name: str) -> int:
    """Read an integer that must be given. Raises CommandError for one below zero."""
    value = arguments.integer(name)
    if value < 0:
        raise CommandError(code="bad_value", message=f"{name} must not be below zero")
    return value


def _rule(kind: Kind, arguments: Arguments) -> Rule:
    names = frozenset(arguments.texts("messages"))
    count = arguments.optional_integer("count")
    if not names:
        raise CommandError(code="bad_value", message="messages must not be empty")
    if count is not None and count <= 0:
        raise CommandError(code="bad_value", message="count must be above zero")
    return Rule(kind, names, client_id=arguments.optional_integer("client_id"), left=count)


def _add(gateway: "Gateway", rule: Rule) -> Answer:
    gateway.scenario.faults.rules.append(rule)
    return {}


COMMANDS = named(set_line, lose, duplicate, delay_messages, reorder, garble, clear_faults, faults)
