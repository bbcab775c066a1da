"""What a handler is. A module of handlers exports `HANDLERS`, and `CANCELLERS` for what its subscriptions end with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

# Takes its own class of request. May raise Refusal: it becomes an error on the request's id.
Handler = Callable[["Gateway", "Session", Any], None]
# Takes the id to end.
Canceller = Callable[["Gateway", "Session", int], None]
