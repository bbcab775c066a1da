"""The data worker's connection: made on first use, made again when it was lost, and shared by its tasks.

Every few seconds it leaves a sign of life, which `/readyz` and the watchdog look for: a worker that hangs takes no task
and says nothing by itself. One that ends on purpose takes its sign with it.
"""

import asyncio
import contextlib
from decimal import Decimal

import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from psycopg_pool import PoolTimeout

from app.accounts.services import worker_sign, worker_sign_remove
from app.brokers.base import ConnectionState, DataProvider
from app.core import clock
from app.core.errors import TradingError
from app.core.logging import get_logger
from app.domain.contract import SymbolInfo
from app.market.services import instrument_record
from app.worker.loop_thread import LoopThread, in_database_thread, with_own_connection

logger = get_logger(__name__)

ANSWER_SECONDS_MAX = 15.0
SIGN_EVERY_SECONDS = 3.0
DATABASE_AWAY = (DatabaseError, InterfaceError, PoolTimeout, psycopg.Error)


class DataThread:
    """Owns the one data connection of this process."""

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._loop_thread = LoopThread("data")
        self._connecting = asyncio.Lock()

    def start(self) -> None:
        """Start the thread and connect; a failure to connect is tried again by the first task."""
        self._loop_thread.start()
        self._loop_thread.submit(self._warm_up())
        self._loop_thread.submit(self._show_signs())

    def stop(self, *, seconds_max: float) -> None:
        """Close the connection and end the thread."""
        self._loop_thread.call(self._provider.disconnect(), seconds_max=seconds_max)
        self._loop_thread.stop(seconds_max=seconds_max)
        with contextlib.suppress(*DATABASE_AWAY):
            with_own_connection(worker_sign_remove, client_id=settings.IB_DATA_CLIENT_ID)

    def look_up(self, symbol: str) -> None:
        """Ask what the symbol is and what it trades at, and store both. Raises UnknownSymbol and RetryLater's kinds.

        A price that does not come is no reason to refuse the description: it is stored without one.
        """
        info = self._loop_thread.call(self._symbol_info(symbol), seconds_max=ANSWER_SECONDS_MAX)
        price: Decimal | None = None
        try:
            price = self._loop_thread.call(self._provider.last_price(symbol), seconds_max=ANSWER_SECONDS_MAX)
        except TradingError as error:
            logger.warning("no_price", symbol=symbol, error=error.code)
        instrument_record(info=info, last_price=price, now=clock.now())

    async def _symbol_info(self, symbol: str) -> SymbolInfo:
        await self._ensure_connected()
        return await self._provider.get_symbol_info(symbol)

    async def _ensure_connected(self) -> None:
        async with self._connecting:
            if not self._provider.is_connected:
                await self._provider.connect()

    async def _warm_up(self) -> None:
        try:
            await self._ensure_connected()
        except TradingError as error:
            logger.warning("data_connection", error=error.code, reason=error.message)

    async def _show_signs(self) -> None:
        started_at = clock.now()
        while True:
            is_connected = self._provider.is_connected
            sign = {
                "client_id": settings.IB_DATA_CLIENT_ID,
                "state": ConnectionState.READY if is_connected else ConnectionState.DISCONNECTED,
                "reason": "",
                "started_at": started_at,
                "now": clock.now(),
            }
            try:
                await in_database_thread(worker_sign, **sign)
            except DATABASE_AWAY as error:  # The next one says that we live.
                logger.warning("sign_not_stored", error=type(error).__name__)
            await asyncio.sleep(SIGN_EVERY_SECONDS)
