"""Commands about the program itself: is it there, what is in its book, what did it hear, end."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.book_state import book_state
from ib_simulator.commands.command import Answer, named
from ib_simulator.overview import overview as at_a_glance

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def ping(_gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Answer."""
    return {}


def state(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """The whole book."""
    return book_state(gateway)


def overview(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """What a person wants to see at a glance."""
    return at_a_glance(gateway)


def messages(gateway: "Gateway", arguments: Arguments) -> Answer:
    """What clients sent, in order, with the time of receipt."""
    client_id = arguments.optional_integer("client_id")
    name = arguments.text("name", default="")
    limit = arguments.integer("limit", default=gateway.received.maxlen)
    found = [
        message.as_json()
        for message in gateway.received
        if client_id in {None, message.client_id} and name in {"", message.name}
    ]
    return {"messages": found[-limit:] if limit > 0 else []}


def shutdown(_gateway: "Gateway", _arguments: Arguments) -> Answer:
    """End the program after this answer."""
    return {}


def reset(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Begin anew: no orders, positions, faults or connections, prices as at the start."""
    gateway.reset()
    return {}


COMMANDS = named(ping, state, overview, messages, reset, shutdown)
