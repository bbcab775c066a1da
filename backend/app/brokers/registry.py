"""Which brokers there are: the one list that `BROKER_TYPE` is judged by and that the factory makes brokers from.

An adapter is imported when it is asked for, because the web process judges the name and must not load the adapter's
client library.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from app.core.errors import FixRequest

if TYPE_CHECKING:
    from app.brokers.ib import IBBroker, IBDataProvider

IB = "ib"


class Adapter(NamedTuple):
    """The classes of one broker."""

    broker: "type[IBBroker]"
    data_provider: "type[IBDataProvider]"


def _ib() -> Adapter:
    from app.brokers.ib import IBBroker, IBDataProvider

    return Adapter(broker=IBBroker, data_provider=IBDataProvider)


_ADAPTERS: Mapping[str, Callable[[], Adapter]] = {IB: _ib}
BROKER_TYPES = tuple(_ADAPTERS)


def adapter(broker_type: str) -> Adapter:
    """Return the classes of a broker. Raises FixRequest `broker_type_unknown`."""
    if broker_type not in _ADAPTERS:
        raise FixRequest(
            f"There is no broker {broker_type!r}; there is {', '.join(BROKER_TYPES)}.", code="broker_type_unknown"
        )
    return _ADAPTERS[broker_type]()
