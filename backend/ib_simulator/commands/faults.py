"""Commands that make the connection or the answers fail."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, named
from ib_simulator.errors import CommandError
from ib_simulator.faults.scenario import MessageFilter
from ib_simulator.messages.answer import error

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def drop_connections(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Close the sockets of one client or of all, handshakes under way too."""
    client_id = arguments.optional_integer("client_id")
    dropped = [session for session in gateway.sessions.values() if client_id in {None, session.client_id}]
    for session in dropped:
        session.close()
    return {"dropped": len(dropped)}


def refuse_connections(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Stop listening: new connections are refused, existing ones stay."""
    gateway.scenario.accepting = False
    return {}


def accept_connections(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Listen again on the same port."""
    gateway.scenario.accepting = True
    return {}


def _filters(arguments: Arguments) -> set[MessageFilter]:
    client_id = arguments.optional_integer("client_id")
    return {(name, client_id) for name in arguments.texts("messages", default=["*"])}


def mute(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Lose messages of these names from now on (all without names)."""
    gateway.scenario.muted |= _filters(arguments)
    return {}


def unmute(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send messages of these names again (all without names); what was lost stays lost."""
    _take_back(gateway.scenario.muted, arguments)
    return {}


def hold_answers(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Keep messages of these names back (all without names)."""
    gateway.scenario.held |= _filters(arguments)
    return {}


def release_answers(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send what was held back and hold no more (all without names)."""
    _take_back(gateway.scenario.held, arguments)
    for session in gateway.sessions.values():
        session.release_held()
    return {}


def _take_back(filters: set[MessageFilter], arguments: Arguments) -> None:
    if arguments.has("messages"):
        names = set(arguments.texts("messages"))
        filters -= {wanted for wanted in filters if wanted[0] in names}
    else:
        filters.clear()


def send_error(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send an error or a notice to one client or to all."""
    client_id = arguments.optional_integer("client_id")
    answer = error(arguments.integer("id", default=-1), arguments.integer("code"), arguments.text("text", default=""))
    told = [session for session in gateway.connected() if client_id in {None, session.client_id}]
    for session in told:
        session.send(answer)
    return {"told": len(told)}


def roll_back_next_id(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Give out the last order ids of every client again, as a Gateway restart can."""
    by = arguments.integer("by")
    if by <= 0:
        raise CommandError(code="bad_value", message="by must be above zero")
    gateway.book.roll_back_ids(by)
    return {}


def set_switch(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Choose between behaviours where the real one is not known for sure."""
    gateway.scenario.set_switch(arguments.text("name"), arguments.text("value"))
    return {"switches": dict(gateway.scenario.switches)}


COMMANDS = named(
    *(drop_connections, refuse_connections, accept_connections),
    *(mute, unmute, hold_answers, release_answers),
    *(send_error, roll_back_next_id, set_switch),
)
