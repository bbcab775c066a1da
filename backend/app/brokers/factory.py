"""Which broker stands behind the protocol: chosen from plain arguments, so that nobody above names an adapter."""

from app.brokers.base import Broker, Confirm, ConnectionState, DataProvider, EventSink, StateSink
from app.brokers.ib import IBBroker, IBDataProvider, IBSettings
from app.core.errors import FixRequest

IB = "ib"


def get_broker(
    settings: IBSettings,
    *,
    on_event: EventSink,
    on_state: StateSink,
    confirm: Confirm | None = None,
    broker_type: str = IB,
) -> Broker:
    """Return a broker that is not connected yet. Raises FixRequest `broker_type_unknown`."""
    _require_known(broker_type)
    return IBBroker(settings, on_event=on_event, on_state=on_state, confirm=confirm)


def get_data_provider(
    settings: IBSettings, *, on_state: StateSink | None = None, broker_type: str = IB
) -> DataProvider:
    """Return a data provider that is not connected yet; `settings.client_id` must be one of its own.

    Raises FixRequest `broker_type_unknown`.
    """
    _require_known(broker_type)
    return IBDataProvider(settings, on_state=on_state or _ignore_state)


def _require_known(broker_type: str) -> None:
    if broker_type != IB:
        raise FixRequest(f"There is no broker {broker_type!r}; known is {IB!r}.", code="broker_type_unknown")


def _ignore_state(_state: ConnectionState, _reason: str) -> None:
    pass
