"""Commands about IB's own servers: outages, farms, the nightly reset, a competing session."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, named
from ib_simulator.commands.connections import choice, seconds
from ib_simulator.errors import CommandError
from ib_simulator.faults import resets

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

RESTORED = 1102


def outage(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Tell 1100 and nothing more, for some seconds or until `end_outage`."""
    resets.begin_outage(gateway, seconds=seconds(arguments), restored=_restored(arguments))
    return {}


def end_outage(gateway: "Gateway", arguments: Arguments) -> Answer:
    """End the outage with 1101 or 1102."""
    resets.end_outage(gateway, restored=_restored(arguments))
    return {}


def farm(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Tell the state of a farm of servers; what it serves is silent while it is broken."""
    kind = choice(arguments, "kind", among=list(resets.FARMS), default="market")
    state = choice(arguments, "state", among=list(resets.FARMS[kind].notices))
    resets.change_farm(gateway, kind=kind, state=state, name=arguments.text("name", default=""))
    return {}


def nightly_reset(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Hold execution reports and put simulated stops to sleep, for some seconds or until `end_reset`."""
    resets.begin_reset(gateway, seconds=seconds(arguments))
    return {}


def end_reset(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Tell what was held and wake the stops."""
    resets.end_reset(gateway)
    return {}


def competing_session(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Take the market data away (10197), for some seconds or until `end_competing_session`."""
    resets.begin_competing(gateway, seconds=seconds(arguments))
    return {}


def end_competing_session(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Let market data flow again."""
    resets.end_competing(gateway)
    return {}


def _restored(arguments: Arguments) -> int:
    restored = arguments.integer("restored", default=RESTORED)
    if restored not in resets.RESTORED_TEXTS:
        raise CommandError(code="bad_value", message="restored is 1101 or 1102")
    return restored


COMMANDS = named(
    *(outage, end_outage, farm, nightly_reset, end_reset),
    *(competing_session, end_competing_session),
)
