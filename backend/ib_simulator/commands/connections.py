"""Commands that break connections: at a message, silently, at the handshake, with the Gateway itself."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, named
from ib_simulator.commands.wire import at_least_zero
from ib_simulator.errors import CommandError
from ib_simulator.faults import resets
from ib_simulator.faults.faults import ConnectFault, DropRule, PendingConnectFault, When

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def drop_on(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Break a connection before or after a message of the client is processed."""
    when = choice(arguments, "when", default=When.BEFORE.value, among=[one.value for one in When])
    rule = DropRule(
        name=arguments.text("message"),
        when=When(when),
        client_id=arguments.optional_integer("client_id"),
        left=_count(arguments),
    )
    gateway.scenario.faults.drops.append(rule)
    return {}


def freeze(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Leave sockets open but move no bytes, in or out: a half-open connection."""
    gateway.scenario.faults.frozen.add(arguments.optional_integer("client_id"))
    return {}


def thaw(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let frozen sockets go on where they stopped."""
    client_id = arguments.optional_integer("client_id")
    if client_id is None:
        gateway.scenario.faults.frozen.clear()
    else:
        gateway.scenario.faults.frozen.discard(client_id)
    for session in list(gateway.sessions.values()):
        session.wake()
    return {}


def fail_connect(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let the next connections go wrong."""
    kind = choice(arguments, "kind", among=[one.value for one in ConnectFault])
    client_id = arguments.optional_integer("client_id")
    if client_id is not None and kind in {ConnectFault.CLOSE_AT_ONCE, ConnectFault.NO_HANDSHAKE}:
        raise CommandError(code="bad_value", message=f"{kind} comes before the client id is known")
    fault = PendingConnectFault(ConnectFault(kind), client_id=client_id, left=_count(arguments))
    gateway.scenario.faults.connects.append(fault)
    return {}


def hold_client_id(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Keep a client id busy (326) for a while, as when the Gateway has not noticed that the old socket is gone."""
    client_id, held = arguments.integer("client_id"), gateway.scenario.faults.held_ids
    held.add(client_id)
    duration = seconds(arguments)
    if duration:
        gateway.after(duration, lambda: held.discard(client_id), key=f"hold_client_id {client_id}")
    return {}


def restart_gateway(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Drop everybody, refuse connections for a while, forget drafts and, if asked to, the last order ids."""
    by = at_least_zero(arguments, "roll_back_ids_by") if arguments.has("roll_back_ids_by") else 0
    return {"dropped": resets.restart(gateway, seconds=seconds(arguments), roll_back_ids_by=by)}


def reset_port(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Tell 1300 and drop everybody. The simulator itself goes on listening where it does."""
    return {"dropped": resets.reset_port(gateway, port=arguments.integer("port"))}


def daily_restart(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Restart every day at this time of the Gateway's zone (US/Eastern); without `at`, never."""
    at = arguments.text("at", default="")
    try:
        resets.plan_daily_restart(gateway, at)
    except ValueError:
        raise CommandError(code="bad_value", message=f"at must be a time like 23:45, not {at!r}") from None
    return {}


def set_limit(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Change a number that limits clients."""
    gateway.scenario.set_limit(arguments.text("name"), arguments.integer("value"))
    return {"limits": dict(gateway.scenario.limits)}


def seconds(arguments: Arguments) -> float:
    """Read `seconds`; 0 when not given. Raises CommandError for less than zero."""
    value = float(arguments.optional_decimal("seconds") or 0)
    if value < 0:
        raise CommandError(code="bad_value", message="seconds must not be below zero")
    return value


def choice(arguments: Arguments, name: str, *, among: list[str], default: str | None = None) -> str:
    """Read one of the words in `among`. Raises CommandError for another."""
    value = arguments.text(name, default=default)
    if value not in among:
        raise CommandError(code="bad_value", message=f"{name} is one of: {', '.join(among)}")
    return value


def _count(arguments: Arguments) -> int:
    count = arguments.integer("count", default=1)
    if count <= 0:
        raise CommandError(code="bad_value", message="count must be above zero")
    return count


COMMANDS = named(
    *(drop_on, freeze, thaw, fail_connect, hold_client_id),
    *(restart_gateway, reset_port, daily_restart, set_limit),
)
