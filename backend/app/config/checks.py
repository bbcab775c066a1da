"""System checks that refuse settings under which somebody loses money or a secret.

What a single variable may hold is judged where it is read (variables.py), which settings contradict each other in
rules.py; the rest needs the loaded application:

    trading.W001  paper mode, but the account named is a live one: every execution will be refused
    trading.W002  more messages a second than IB admits by default
    trading.W003  fewer database connections than a worker uses in a burst
    trading.E009  an address in ALERT_URLS that no service of Apprise can read

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
from app.config.rules import contradictions, unreadable_alert_urls

TAG = "trading"
# Source: IBKR Campus, "Pacing limitations".
MESSAGES_PER_SECOND_BY_DEFAULT = 50
# The 16 tasks of a worker without a connection to the broker. One that has it needs 15: for 5 tasks and the 4 that it
# asks itself for, each of which holds one while it waits for its turn; and for what they wait for: the write-ahead, the
# holder's sign of life, recorder, guard, close, reconcile. With fewer nothing is confirmed in a burst, so nothing is
# sent until the first of them gives up.
POOL_SIZE_OF_A_BURST = 16


@register(TAG)
def trading_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Return what is wrong about how we trade and how secrets are kept."""
    found: list[CheckMessage] = [
        Error(one.message, hint=one.hint, id=one.id)
        for one in contradictions(
            allowed_hosts=settings.ALLOWED_HOSTS,
            account_use=settings.ACCOUNT_USE,
            debug=settings.DEBUG,
            ib_account=settings.IB_ACCOUNT,
            ib_client_id=settings.IB_CLIENT_ID,
            ib_data_client_id=settings.IB_DATA_CLIENT_ID,
            ib_trading_mode=settings.IB_TRADING_MODE,
            others_client_ids=settings.OTHERS_CLIENT_IDS,
            secret_key=settings.SECRET_KEY_GIVEN,
            secure=settings.SECURE,
        )
    ]
    live = settings.IB_TRADING_MODE == "live"
    if not live and settings.IB_ACCOUNT and not Account(account_id=settings.IB_ACCOUNT).is_paper:
        found.append(
            checks.Warning(
                f"{settings.IB_ACCOUNT} is a live account, but IB_TRADING_MODE is not live: it will be refused.",
                hint="Name a paper account (it begins with D), or set IB_TRADING_MODE=live.",
                id="trading.W001",
            )
        )
    rate = settings.IB_MESSAGES_PER_SECOND
    # What left late is made up for by at most a fifteenth more in a second (see the pacer).
    if rate + rate // 15 > MESSAGES_PER_SECOND_BY_DEFAULT:
        found.append(
            checks.Warning(
                f"IB_MESSAGES_PER_SECOND={rate} can be {rate + rate // 15} in one second; IB disconnects above 50, "
                "unless the account has more than 100 market data lines.",
                hint="Set half the number of the account's market data lines, less a tenth.",
                id="trading.W002",
            )
        )
    pool_size = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]
    if pool_size < POOL_SIZE_OF_A_BURST:
        found.append(
            checks.Warning(
                f"DATABASE_POOL_SIZE={pool_size} is fewer than the {POOL_SIZE_OF_A_BURST} of a worker in a burst.",
                hint="Orders may wait up to 10 seconds for a connection.",
                id="trading.W003",
            )
        )
    return found


@register(TAG)
def alert_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Return which alerts could never be sent, by the places of their addresses, which are secret."""
    return [Error(one.message, hint=one.hint, id=one.id) for one in unreadable_alert_urls(settings.ALERT_URLS)]


def require_safe_settings(*, with_pages: bool = True) -> None:
    """End the process, with one line each, where a check finds an error: at a start that costs nothing.

    `with_pages` checks all that Django can, which loads every page: 11 MB that a worker has no use for.
    """
    errors = [message for message in run_checks(tags=None if with_pages else [TAG]) if message.is_serious()]
    if errors:
        lines = [f"settings: {error.msg} {error.hint or ''} ({error.id})\n" for error in errors]
        # Celery sends what is written to sys.stderr through its log.
        (sys.__stderr__ or sys.stderr).write("".join(lines))
        sys.exit(1)
