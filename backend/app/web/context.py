"""What every page is told: paper or live, whether the broker worker is there, and what is alarming.

Everything is read only where a template asks for it, so that the admin's pages pay nothing.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from app.accounts.access import may_see_accounts
from app.accounts.kill_switch import kill_switches_engaged
from app.accounts.models import Account, KillSwitch
from app.accounts.selectors import worker_seen
from app.alerts.selectors import critical_count
from app.brokers.base import ConnectionState
from app.core import clock
from app.web.visitor import standing_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Trading:
    """What the banner shows. `mode` is `paper` or `live`; `state` is the connection's, `detail` why it is not READY."""

    mode: str
    account: str
    ready: bool
    state: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Notices:
    """What the banner warns of: the engaged kill switches, and how many critical alerts nobody has seen."""

    kill_switches: list[KillSwitch]
    critical: int


def trading_mode(request: HttpRequest) -> dict[str, Any]:
    """Return `trading`, `notices` and the user's `standing`, each read when it is used."""
    return {
        "standing": SimpleLazyObject(lambda: standing_of(request.user)),
        "trading": SimpleLazyObject(lambda: trading_for(request)),
        "notices": SimpleLazyObject(lambda: notices_for(request)),
    }


def notices_for(request: HttpRequest) -> Notices:
    """Return what the banner warns of; nothing for who has no role."""
    switches = list(kill_switches_engaged()) if may_see_accounts(getattr(request, "user", AnonymousUser())) else []
    return Notices(kill_switches=switches, critical=critical_count(request.user))


def trading_for(request: HttpRequest) -> Trading:
    """Return what the banner says of trading: to who has no role, the mode alone."""
    trading = trading_now()
    if may_see_accounts(getattr(request, "user", AnonymousUser())):
        return trading
    return replace(trading, account="", detail="")


def trading_now() -> Trading:
    """Return what we trade on and whether it can execute now."""
    seen = worker_seen()
    connection = seen.connection if seen else None
    account = Account(account_id=settings.IB_ACCOUNT) if settings.IB_ACCOUNT else connection and connection.account
    # Not the setting but the account's id decides whether money is real.
    mode = account.mode if account else settings.IB_TRADING_MODE
    name = account.account_id if account else ""
    if seen is None:
        return Trading(
            mode=mode, account=name, ready=False, state="AWAY", detail="The broker worker never showed itself."
        )
    now = clock.now()
    if not seen.is_alive(now=now):
        since = f" since {seen.seen_at:%H:%M:%S} UTC" if seen.seen_at else ""
        detail = f"The broker worker has been silent{since}."
        return Trading(mode=mode, account=name, ready=False, state="AWAY", detail=detail)
    ready = seen.state == ConnectionState.READY.value
    return Trading(mode=mode, account=name, ready=ready, state=seen.state, detail=seen.reason)
