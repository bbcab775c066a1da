"""System checks that refuse settings under which somebody loses money or a secret.

    trading.E001  IB_TRADING_MODE is neither paper nor live
    trading.E002  live trading without naming the account
    trading.E003  BROKER_TYPE is unknown
    trading.E004  SECURE without a SECRET_KEY of its own: every process would sign with another one
    trading.E005  DEBUG together with SECURE or live trading: error pages show what no client may see
    trading.E006  the broker worker and the data worker share one client id: each would throw the other out
    trading.W001  paper mode, but the account named is a live one: every execution will be refused

`manage.py check` names them all; the web and worker processes refuse to start with an error among them.
"""

import sys
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register, run_checks

from app.accounts.models import Account

BROKER_TYPES = ("ib", "paper", "alpaca")
TRADING_MODES = ("paper", "live")


@register("trading")
def trading_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Return what is wrong about how we trade."""
    found: list[CheckMessage] = []
    live = settings.IB_TRADING_MODE == "live"
    if settings.IB_TRADING_MODE not in TRADING_MODES:
        found.append(
            Error(f"IB_TRADING_MODE is {settings.IB_TRADING_MODE!r}.", hint="Say paper or live.", id="trading.E001")
        )
    if live and not settings.IB_ACCOUNT:
        found.append(
            Error("IB_TRADING_MODE=live without IB_ACCOUNT.", hint="Name the live account.", id="trading.E002")
        )
    if settings.BROKER_TYPE not in BROKER_TYPES:
        hint = f"Say one of {', '.join(BROKER_TYPES)}."
        found.append(Error(f"BROKER_TYPE is {settings.BROKER_TYPE!r}.", hint=hint, id="trading.E003"))
    if settings.IB_CLIENT_ID == settings.IB_DATA_CLIENT_ID:
        found.append(
            Error(
                f"IB_CLIENT_ID and IB_DATA_CLIENT_ID are both {settings.IB_CLIENT_ID}.",
                hint="A Gateway accepts each client id once.",
                id="trading.E006",
            )
        )
    if not live and settings.IB_ACCOUNT and not Account(account_id=settings.IB_ACCOUNT).is_paper:
        found.append(
            checks.Warning(
                f"{settings.IB_ACCOUNT} is a live account, but IB_TRADING_MODE is not live: it will be refused.",
                hint="Name a paper account (it begins with D), or set IB_TRADING_MODE=live.",
                id="trading.W001",
            )
        )
    return found


@register("security")
def secret_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Return what is wrong about how secrets are kept."""
    found: list[CheckMessage] = []
    if settings.SECURE and not settings.SECRET_KEY_GIVEN and not settings.DEBUG:
        found.append(Error("SECURE=true without a SECRET_KEY.", hint="Set one for all processes.", id="trading.E004"))
    if settings.DEBUG and (settings.SECURE or settings.IB_TRADING_MODE == "live"):
        found.append(Error("DEBUG together with SECURE or live trading.", hint="Set DEBUG=false.", id="trading.E005"))
    return found


def require_safe_settings() -> None:
    """End the process where a check finds an error; a start is the one moment at which that costs nothing."""
    errors = [message for message in run_checks() if message.is_serious()]
    if errors:
        sys.exit("\n".join(str(message) for message in errors))
