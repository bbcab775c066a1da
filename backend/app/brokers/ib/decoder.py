"""Reads what the Gateway says: a message that cannot be decoded is heard, and one odd part does not cost the rest."""

# mypy: allow-untyped-calls
# The library's client has no annotations.

import logging
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol

from ib_async.decoder import Decoder
from ib_async.util import UNSET_DOUBLE
from ib_async.wrapper import Wrapper

from app.brokers.ib import translate
from app.brokers.ib.deal_time import deal_time
from app.brokers.ib.told_again import ToldAgain, told_as
from app.domain.broker_events import CommissionTold, FillTold
from app.domain.order_ref import parse_order_ref

# Orders, answers about orders, deals, costs and errors: losing one of these is losing truth.
_PRECIOUS_MESSAGES = frozenset({"3", "4", "5", "11", "53", "55", "59", "61", "62", "101", "102"})

# Places in a deal's message, by which the library unpacks it: its time; strike, liquidation, what the order filled so
# far and at which average price, the multiplier of economic value, and how liquidity was taken.
_DEAL_REQUEST, _DEAL_ID, _DEAL_TIME, _DEAL_SIDE, _DEAL_REF = 1, 14, 15, 18, 26
_DEAL_NUMBERS = {"shares": 19, "price": 20}
_DEAL_IDS = {"order id": 2, "contract id": 3, "permanent id": 21, "client id": 22}
_DEAL_FIGURES_NOT_NEEDED = (7, 23, 24, 25, 28, 30)
_YIELD_DATE = 7  # of a cost

OnUnreadable = Callable[[str], None]


class DealListener(Protocol):
    """Who hears of deals what the library's wrapper does not."""

    def deal_unreadable(self, **deal: Any) -> None:
        """Take in a deal of an answer that could not be read."""
        ...

    def told_again(self, event: FillTold | CommissionTold, *, request_id: int = -1) -> None:
        """Take in a deal, or the cost of one, that was told before, word for word."""
        ...


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

    Of a deal only what is needed has to be readable: shares, price, side and names. See `deal_time` for its time. Where
    that is not, everything is asked for; a deal that cannot be read in the answer either is told as such, and costs the
    answer nothing: it would be told so each time. Of a cost nothing is needed.
    """

    def __init__(
        self,
        wrapper: Wrapper,
        server_version: int,
        on_unreadable: OnUnreadable,
        *,
        deals: DealListener,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(wrapper, server_version)
        self.gateway_zone: tzinfo = UTC
        # The time of the deal that is being handed on, as it was told, where it could not be read.
        self.unreadable_time = ""
        self.told_again = ToldAgain()
        self._told_as = b""
        self._message_id = ""
        self._on_unreadable = on_unreadable
        self._deals = deals
        # Of this session's answers.
        self._unreadable_deals: set[str] = set()
        self._now = now
        self.logger = _Alarm(self.logger, self._report)  # type: ignore[assignment]  # an adapter is a logger in all but type

    def interpret(self, fields: list[str]) -> None:
        """Decode one message."""
        self._message_id = fields[0] if fields else ""
        super().interpret(fields)

    def execDetails(self, fields: list[str]) -> None:  # noqa: N802  # the library's name
        """Decode a deal, its time by our own rules and without the figures that nobody needs where they are none."""
        self._told_as = told_as(fields[_DEAL_REQUEST + 1 :])  # Whatever question it answers, it is the same deal.
        if isinstance(known := self.told_again.event_of(self._told_as), FillTold):
            self._deals.told_again(known, request_id=int(fields[_DEAL_REQUEST]))
            return
        if unread := _unreadable_of(fields):
            self._deal_unreadable(fields, unread)
            return
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

    def _deal_unreadable(self, fields: list[str], unread: str) -> None:
        deal_id = fields[_DEAL_ID]
        was_asked_for = not fields[_DEAL_REQUEST].startswith("-")
        if was_asked_for and deal_id not in self._unreadable_deals:
            self._unreadable_deals.add(deal_id)
            ids = {name: _identifier(fields[place]) for name, place in _DEAL_IDS.items()}
            self._deals.deal_unreadable(
                deal_id=deal_id,
                account=fields[16],
                order_id=ids["order id"],
                con_id=ids["contract id"],
                perm_id=ids["permanent id"],
                client_id=ids["client id"],
                order_ref=fields[_DEAL_REF],
                symbol=fields[4],
                unread=unread,
            )
        elif deal_id not in self._unreadable_deals:  # Heard by itself: the answer may tell it readably.
            self._report(f"Deal {deal_id} could not be read: {unread}")

    def commissionReport(self, fields: list[str]) -> None:  # noqa: N802  # the library's name
        """Decode a cost; a figure that is none is one that was not told."""
        self._told_as = told_as(fields)
        if isinstance(known := self.told_again.event_of(self._told_as), CommissionTold):
            self._deals.told_again(known)
            return
        for place in (3, 5, 6, 7):
            if place < len(fields) and not _is_figure(fields[place]):
                fields[place] = "" if place == _YIELD_DATE else str(UNSET_DOUBLE)
        super().commissionReport(fields)

    def note_read(self, event: FillTold | CommissionTold) -> None:
        """Remember what the deal or the cost that is being handed on says: told again, it is not decoded again."""
        self.told_again.note(self._told_as, event)

    def _report(self, text: str) -> None:
        if self._message_id in _PRECIOUS_MESSAGES:
            self._on_unreadable(text)


def _unreadable_of(fields: list[str]) -> str:
    """Return what of a deal cannot be read and is needed, with what was told; "" where all of it can."""
    unread = [f"{name} {fields[place]!r}" for name, place in _DEAL_NUMBERS.items() if not _is_told(fields[place])]
    if fields[_DEAL_SIDE] not in translate.SIDES:
        unread.append(f"side {fields[_DEAL_SIDE]!r}")
    is_ours = parse_order_ref(fields[_DEAL_REF]) is not None
    for name, place in _DEAL_IDS.items():
        if _is_whole(fields[place]):
            continue
        if is_ours:
            fields[place] = "0"  # Its name says which order it is on.
        else:
            unread.append(f"{name} {fields[place]!r}")
    return ", ".join(unread)


def _is_told(text: str) -> bool:
    try:
        return translate.to_decimal(text) is not None
    except ValueError:
        return False


def _is_whole(text: str) -> bool:
    return text == "" or text.lstrip("-").isdecimal()


def _identifier(text: str) -> int:
    return translate.to_identifier(int(text)) if text and _is_whole(text) else 0


def _is_figure(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True
