"""Makes the broker that `broker_type` names, from plain arguments, so that nobody above names an adapter."""

from app.brokers.base import Broker, Confirm, ConnectionState, DataProvider, EntriesWait, EventSink, StateSink
from app.brokers.ib import IBSettings
from app.brokers.registry import adapter


def get_broker(
    settings: IBSettings,
    *,
    broker_type: str,
    on_event: EventSink,
    on_state: StateSink,
    confirm: Confirm | None = None,
    entries_wait: EntriesWait = lambda: False,
) -> Broker:
    """Return a broker that is not connected yet. Raises FixRequest `broker_type_unknown`."""
    return adapter(broker_type).broker(
        settings, on_event=on_event, on_state=on_state, confirm=confirm, entries_wait=entries_wait
    )


def get_data_provider(settings: IBSettings, *, broker_type: str, on_state: StateSink | None = None) -> DataProvider:
    """Return a data provider that is not connected yet; `settings.client_id` must be one of its own.

    Raises FixRequest `broker_type_unknown`.
    """
    return adapter(broker_type).data_provider(settings, on_state=on_state or _ignore_state)


def _ignore_state(_state: ConnectionState, _reason: str) -> None:
    pass
