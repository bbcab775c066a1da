"""The table of variables: name, default, how it is read, and what is allowed, in words for a person.

A reader takes the text without blanks around it, never an empty one but for a default, and raises ValueError for what
is not allowed. docs/configuration.md says what each variable means.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.brokers.registry import BROKER_TYPES
from app.config.addresses import (
    DATABASE_URL_ALLOWED,
    REDIS_URL_ALLOWED,
    database_url_read,
    host_read,
    origin_read,
    redis_url_read,
    served_host_read,
)
from app.domain.close import CloseRoad
from app.domain.exposure import AccountUse
from app.domain.maintenance import NORTH_AMERICA, maintenance_read
from app.domain.order_room import ORDERS_PER_CONTRACT_MAX

OWN_PREFIX = "IB_"
# Read by others than the settings: Docker Compose, the tests, and commands.
FOREIGN_NAMES = frozenset({"TWS_USERID", "TWS_PASSWORD", "DEMO_PASSWORD", "CHROMIUM"})
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
TRADING_MODES = ("paper", "live")
# The Gateway keeps a client id in 32 bits with a sign. Id 0 is refused: orders that a person places in TWS are bound to
# it (source: IBKR Campus on reqOpenOrders and reqAutoOpenOrders).
CLIENT_ID_MAX = 2**31 - 1
# A second must hold the largest turn (a protective order with the orders that it replaces); IB's limit is half the
# account's market data lines, 50 by default and some hundreds for the largest accounts.
MESSAGES_PER_SECOND_MIN, MESSAGES_PER_SECOND_MAX = 10, 500
POOL_SIZE_MIN, POOL_SIZE_MAX = 4, 1000
PROXY_COUNT_MAX = 10
# Two years is what browsers' preload lists ask for.
HSTS_SECONDS_MAX = 2 * 366 * 24 * 3600

_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_ACCOUNT = re.compile(r"[A-Z]{1,4}[0-9]{1,12}[A-Z0-9]{0,4}")
_ALERT_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
# Apprise would take what follows for a part of the address before it, and tell nobody.
_ALERT_URLS_JOINED = re.compile(r"[,;|]([A-Za-z][A-Za-z0-9+.-]*://|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """One variable. `read` gets the default too, as text; a secret's value is never shown.

    `is_number` is of one that holds numbers; `words` are those it takes, where it takes words.
    """

    name: str
    read: Callable[[str], Any]
    allowed: str
    default: str = ""
    is_secret: bool = False
    is_number: bool = False
    words: tuple[str, ...] = ()


def _boolean(text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise ValueError


def _whole(text: str, *, least: int, most: int) -> int:
    # int() takes underscores and digits of every script as well; nobody means them.
    if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise ValueError
    return int(text)


def _one_of(text: str, *, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValueError
    return text


def _level(text: str) -> str:
    return _one_of(text.upper(), words=LOG_LEVELS)


def _matching(text: str, *, pattern: re.Pattern[str]) -> str:
    if text and not pattern.fullmatch(text):
        raise ValueError
    return text


def _list(text: str, *, read: Callable[[str], str], separator: str | None = ",") -> list[str]:
    found = [read(part.strip()) for part in text.split(separator) if part.strip()]
    if text and not found:
        raise ValueError  # Only separators: whoever wrote them meant something.
    return found


def _alert_url(text: str) -> str:
    if not _ALERT_URL.fullmatch(text) or _ALERT_URLS_JOINED.search(text):
        raise ValueError
    return text


def _windows(text: str) -> Any:
    windows = maintenance_read(text)
    if not windows and text.lower() != "none":
        raise ValueError
    return windows


def _client_ids(text: str) -> tuple[int, ...]:
    return tuple(_whole(part.strip(), least=0, most=CLIENT_ID_MAX) for part in text.split(",")) if text else ()


def _time_zone(text: str) -> str:
    if text:
        try:
            ZoneInfo(text)
        except (OSError, ZoneInfoNotFoundError):
            raise ValueError from None
    return text


_flag = partial(Variable, read=_boolean, allowed="true or false", default="false", words=(*_YES, *_NO))


def _number(name: str, *, least: int, most: int, default: int) -> Variable:
    read, allowed = partial(_whole, least=least, most=most), f"a whole number from {least} to {most}"
    return Variable(name=name, read=read, allowed=allowed, default=str(default), is_number=True)


def _word(name: str, *, words: tuple[str, ...], default: str) -> Variable:
    read = partial(_one_of, words=words)
    return Variable(name=name, read=read, allowed=" or ".join(words), default=default, words=words)


def _secret(name: str, *, read: Callable[[str], Any] = str, allowed: str = "any text") -> Variable:
    return Variable(name=name, read=read, allowed=allowed, is_secret=True)


VARIABLES: tuple[Variable, ...] = (
    _word("BROKER_TYPE", words=BROKER_TYPES, default=BROKER_TYPES[0]),
    Variable(name="IB_HOST", read=host_read, allowed="a name or an address, without a port", default="127.0.0.1"),
    _number("IB_PORT", least=1, most=65535, default=4002),
    _number("IB_CLIENT_ID", least=1, most=CLIENT_ID_MAX, default=1),
    _number("IB_DATA_CLIENT_ID", least=1, most=CLIENT_ID_MAX, default=2),
    Variable(
        name="IB_ACCOUNT",
        read=partial(_matching, pattern=_ACCOUNT),
        allowed="an account's id as IB writes it, capital letters and digits: DU1234567",
    ),
    _word("IB_TRADING_MODE", words=TRADING_MODES, default="paper"),
    _number("IB_MESSAGES_PER_SECOND", least=MESSAGES_PER_SECOND_MIN, most=MESSAGES_PER_SECOND_MAX, default=45),
    Variable(name="IB_TIME_ZONE", read=_time_zone, allowed="a zone of the zone database: America/New_York"),
    _word("ACCOUNT_USE", words=tuple(use.value for use in AccountUse), default=AccountUse.SHARED.value),
    Variable(
        name="OTHERS_CLIENT_IDS",
        read=_client_ids,
        allowed=f"whole numbers from 0 to {CLIENT_ID_MAX}, separated by commas",
        is_number=True,
    ),
    _number("MARKET_ENTRY_RETAKE_SECONDS", least=0, most=60, default=10),
    _number("ORDERS_PER_CONTRACT_MAX", least=0, most=1000, default=ORDERS_PER_CONTRACT_MAX),
    _word("CLOSE_ROAD", words=tuple(road.value for road in CloseRoad), default=CloseRoad.AUTO.value),
    Variable(
        name="GATEWAY_MAINTENANCE",
        read=_windows,
        allowed="windows such as `Sun-Fri 00:15-01:45 America/New_York`, separated by `;`, each with an end other than "
        "its begin, or `none`",
        default=NORTH_AMERICA,
    ),
    _secret("DATABASE_URL", read=database_url_read, allowed=DATABASE_URL_ALLOWED),
    _secret("REDIS_URL", read=redis_url_read, allowed=REDIS_URL_ALLOWED),
    _secret(
        "DATABASE_OWNER_URL",
        read=database_url_read,
        allowed="the same as DATABASE_URL, with the role that owns the tables",
    ),
    _secret("POSTGRES_PASSWORD"),
    _secret("POSTGRES_OWNER_PASSWORD"),
    _secret("REDIS_PASSWORD"),
    _number("DATABASE_POOL_SIZE", least=POOL_SIZE_MIN, most=POOL_SIZE_MAX, default=28),
    _secret(
        "ALERT_URLS",
        read=partial(_list, read=_alert_url, separator=None),
        allowed="Apprise addresses such as jsons://hooks.example/trading, separated by blanks, not by commas",
    ),
    _secret("SECRET_KEY"),
    Variable(
        name="ALLOWED_HOSTS",
        read=partial(_list, read=served_host_read),
        allowed="names of letters, digits and hyphens, without scheme and port, separated by commas; "
        "`.trading.example` for all below it; `[::1]`",
        default="localhost,127.0.0.1,[::1]",
    ),
    Variable(
        name="CSRF_TRUSTED_ORIGINS",
        read=partial(_list, read=origin_read),
        allowed="origins with their scheme and without a path, separated by commas: https://trading.example",
    ),
    _number("WEB_PORT", least=1, most=65535, default=8000),
    _flag(name="SECURE"),
    _number("SECURE_HSTS_SECONDS", least=0, most=HSTS_SECONDS_MAX, default=3600),
    _number("PROXY_COUNT", least=0, most=PROXY_COUNT_MAX, default=0),
    _flag(name="DEBUG"),
    Variable(name="LOG_LEVEL", read=_level, allowed=", ".join(LOG_LEVELS), default="INFO", words=LOG_LEVELS),
)
