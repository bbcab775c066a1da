"""The only place that speaks to mail servers, webhooks and Telegram: one Apprise address is one channel.

Addresses hold secrets, so nothing here logs or returns one: a channel is named by its scheme and a digest, and what
the library says of a failure is told without the address's parts.
"""

import hashlib
import logging
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote

from django.conf import settings

from app.alerts.kinds import Severity
from app.core.errors import RetryLater

_TELLING_LENGTH_MIN = 4
_SCHEME = re.compile(r"[a-z0-9+.-]{1,20}")


class NotDelivered(RetryLater):
    """The channel did not take it; the message says why, without the address."""

    code = "not_delivered"


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts are sent. `name` may be shown and stored, `address` never."""

    address: str = field(repr=False)

    @property
    def name(self) -> str:
        """`mailto:3f2a91bc`: the scheme, and enough of a digest to tell two addresses apart."""
        scheme = self.address.partition("://")[0].lower()
        shown = scheme if _SCHEME.fullmatch(scheme) else "unreadable"
        return f"{shown}:{hashlib.sha256(self.address.encode()).hexdigest()[:8]}"


def channels() -> list[Channel]:
    """Return the channels of ALERT_URLS, each once."""
    return [Channel(address) for address in dict.fromkeys(settings.ALERT_URLS)]


def channels_unreadable(addresses: Sequence[str]) -> list[int]:
    """Return the places of the addresses that no service can read; the first is 1.

    Loads the library, which takes a second.
    """
    library = _library()
    return [
        number
        for number, address in enumerate(addresses, start=1)
        if library.Apprise.instantiate(address, suppress_exceptions=True) is None
    ]


def send(channel: Channel, *, title: str, body: str, severity: Severity) -> None:
    """Send one notification and wait until the channel has taken it. Raises NotDelivered."""
    library = _library()
    # A request that is led elsewhere arrives there without its text: it is no delivery.
    asset = library.AppriseAsset(http_redirects=False)
    service = library.Apprise.instantiate(channel.address, asset=asset, suppress_exceptions=True)
    if service is None:
        raise NotDelivered("The address cannot be read.")
    kind = library.NotifyType.FAILURE if severity is Severity.CRITICAL else library.NotifyType.WARNING
    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        taken = service.notify(title=title, body=body, notify_type=kind)
    except Exception as error:  # a fault of the library or of the service is a failed delivery
        raise NotDelivered(f"{type(error).__name__} while sending.") from None
    finally:
        logger.removeHandler(heard)
    if not taken:
        raise NotDelivered(_without_address("; ".join(heard.texts) or "The service did not take it.", channel.address))


class _Heard(logging.Handler):
    """Keeps what the library says in this thread while it sends."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.texts: list[str] = []
        self._thread_id = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        if record.thread == self._thread_id and len(self.texts) < 5:
            self.texts.append(record.getMessage())


@cache
def _library() -> Any:
    # Loaded when the first alert is sent: it takes a second, which no other process needs to spend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        apprise.Apprise.instantiate("json://localhost")  # Loads every service it knows.
    # They tell addresses, with what is secret in them.
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.INFO)
    return apprise


def _without_address(text: str, address: str) -> str:
    """Return the text without anything that stands in the address after its scheme."""
    rest = address.partition("://")[2]
    parts = {part for whole in (rest, unquote(rest)) for part in re.split(r"[/:@?&=,\s]+", whole)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _TELLING_LENGTH_MIN:
            text = text.replace(part, "***")
    return text
