"""The first seconds of a connection: every way they can fail has its name, and the account decides whether we stay."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from app.brokers.errors import BrokerTimeout, ClientIdInUse, ConnectionRefused, LiveAccountRefused
from app.brokers.ib.settings import IBSettings
from app.core.errors import FixRequest, TradingError

WHAT_TO_CHECK = (
    "Check that IB Gateway or TWS runs and is logged in, that its API is enabled (Configure > API > Settings), that "
    "the port is the one shown there (Gateway 4001 live, 4002 paper; TWS 7496 live, 7497 paper, unless changed) and "
    "that this machine's address is among its trusted IPs."
)


async def shake_hands(
    failed: asyncio.Future[TradingError], connecting: Coroutine[Any, Any, None], settings: IBSettings
) -> None:
    """Run `connecting` until it is through, or until `failed` names a reason: the library itself would wait it out.

    Raises ConnectionRefused, ClientIdInUse, BrokerTimeout.
    """
    attempt = asyncio.ensure_future(connecting)
    either: set[asyncio.Future[Any]] = {attempt, failed}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt})
    if failed.done():
        if not attempt.cancelled():
            attempt.exception()
        raise failed.result()
    error = attempt.exception()
    if error is not None:
        raise _named(error, settings) from error


def fail(failed: asyncio.Future[TradingError], error: TradingError) -> None:
    """Name the reason; the first one stands, because what follows it is its consequence."""
    if not failed.done():
        failed.set_result(error)


def client_id_in_use(settings: IBSettings, text: str) -> ClientIdInUse:
    """Return the error for 326."""
    return ClientIdInUse(
        f"Client id {settings.client_id} is in use at {_where(settings)}: another program is connected with it, or the "
        "last connection is not closed there yet. Give this program an id of its own, or wait.",
        details={"broker_code": 326, "broker_text": text, "client_id": settings.client_id},
    )


def closed_while_connecting(settings: IBSettings, reason: str) -> ConnectionRefused:
    """Return the error for a peer that hung up on us."""
    return ConnectionRefused(
        f"{_where(settings)} closed the connection while we were connecting ({reason}). {WHAT_TO_CHECK}",
        details={"host": settings.host, "port": settings.port},
    )


def check_version(server_version: int, newest_known: int) -> None:
    """Raise ConnectionRefused `gateway_version_unsupported` for a protocol newer than the one we offered."""
    if server_version > newest_known:
        raise ConnectionRefused(
            f"The Gateway speaks protocol version {server_version}, newer than the {newest_known} it was offered.",
            code="gateway_version_unsupported",
        )


def is_paper(account: str) -> bool:
    """Say whether an account is a paper account: its id begins with D (DU, DUH, DF). No port decides that."""
    return account.startswith("D")


def choose_account(managed: Sequence[str], settings: IBSettings) -> str:
    """Return the account to trade.

    Raises FixRequest `account_not_managed`, `account_ambiguous`, and LiveAccountRefused.
    """
    if settings.account and settings.account not in managed:
        raise FixRequest(
            f"The login manages {', '.join(managed)}, but not {settings.account}: correct IB_ACCOUNT.",
            code="account_not_managed",
            details={"account": settings.account, "managed": list(managed)},
        )
    if not settings.account and len(managed) > 1:
        raise FixRequest(
            f"The login manages several accounts ({', '.join(managed)}): name one in IB_ACCOUNT.",
            code="account_ambiguous",
            details={"managed": list(managed)},
        )
    account = settings.account or managed[0]
    if not is_paper(account) and not (settings.trading_mode == "live" and settings.account == account):
        raise LiveAccountRefused(
            f"{account} is a live account. To trade it, set IB_TRADING_MODE=live and name it in IB_ACCOUNT.",
            details={"account": account, "trading_mode": settings.trading_mode},
        )
    return account


def _named(error: BaseException, settings: IBSettings) -> BaseException:
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return BrokerTimeout(
            f"{_where(settings)} did not answer in {settings.connect_timeout_seconds:g} s. Something may listen there "
            f"that is no Gateway, or the Gateway waits for a person (a dialog, a login). {WHAT_TO_CHECK}",
            details={"host": settings.host, "port": settings.port},
        )
    # A port above 65535, or a name that no resolver takes, is refused by Python before it reaches the network.
    if isinstance(error, OSError | OverflowError | UnicodeError):
        return ConnectionRefused(
            f"No connection to {_where(settings)}: {error}. {WHAT_TO_CHECK}",
            details={"host": settings.host, "port": settings.port},
        )
    return error


def _where(settings: IBSettings) -> str:
    return f"{settings.host}:{settings.port}"
