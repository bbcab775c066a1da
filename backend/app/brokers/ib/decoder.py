"""Reads what the Gateway says: a message that cannot be decoded is heard, and one odd part does not cost the rest."""

# mypy: allow-untyped-calls
# The library's client has no annotations.

import logging
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from ib_async.decoder import Decoder
from ib_async.wrapper import Wrapper

from app.brokers.ib.deal_time import deal_time

# Orders, answers about orders, deals, costs and errors: losing one of these is losing truth.
_PRECIOUS_MESSAGES = frozenset({"3", "4", "5", "11", "53", "55", "59", "61", "62", "101", "102"})

# Places in a deal's message, by which the library unpacks it: its time; strike, liquidation, what the order filled so
# far and at which average price, the multiplier of economic value, and how liquidity was taken.
_DEAL_TIME = 15
_DEAL_FIGURES_NOT_NEEDED = (7, 23, 24, 25, 28, 30)

OnUnreadable = Callable[[str], None]


class _Alarm(logging.LoggerAdapter[logging.Logger]):
    """The decoder's logger: it logs what could not be decoded, and says so to us as well."""

    def __init__(self, logger: logging.Logger, report: OnUnreadable) -> None:
        super().__init__(logger, {})
        self._report = report

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        super().exception(msg, *args, **kwargs)
        self._report(str(msg))


class WireDecoder(Decoder):
    """The library's decoder, which logs a message it cannot decode and goes on; here that is heard.

    Of a deal only what is needed has to be readable: shares, price, side and names. See `deal_time` for its time.
    """

    def __init__(
        self, wrapper: Wrapper, server_version: int, on_unreadable: OnUnreadable, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(wrapper, server_version)
        self.gateway_zone: tzinfo = UTC
        # The time of the deal that is being handed on, as it was told, where it could not be read.
        self.unreadable_time = ""
        self._message_id = ""
        self._on_unreadable = on_unreadable
        self._now = now
        self.logger = _Alarm(self.logger, self._report)  # type: ignore[assignment]  # an adapter is a logger in all but type

    def interpret(self, fields: list[str]) -> None:
        """Decode one message."""
        self._message_id = fields[0] if fields else ""
        super().interpret(fields)

    def execDetails(self, fields: list[str]) -> None:  # noqa: N802  # the library's name
        """Decode a deal, its time by our own rules and without the figures that nobody needs where they are none."""
        told = fields[_DEAL_TIME]
        moment = deal_time(told, gateway_zone=self.gateway_zone)
        fields[_DEAL_TIME] = str(int((moment or self._now()).timestamp()))
        for place in _DEAL_FIGURES_NOT_NEEDED:
            if place < len(fields) and not _is_figure(fields[place]):
                fields[place] = ""
        self.unreadable_time = "" if moment else told
        try:
            super().execDetails(fields)
        finally:
            self.unreadable_time = ""

    def _report(self, text: str) -> None:
        if self._message_id in _PRECIOUS_MESSAGES:
            self._on_unreadable(text)


def _is_figure(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True
