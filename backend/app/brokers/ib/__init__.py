"""Interactive Brokers over the socket API of IB Gateway or TWS. The only folder that imports ib_async."""

from app.brokers.ib.broker import IBBroker
from app.brokers.ib.data_provider import IBDataProvider
from app.brokers.ib.settings import IBSettings

__all__ = ["IBBroker", "IBDataProvider", "IBSettings"]
