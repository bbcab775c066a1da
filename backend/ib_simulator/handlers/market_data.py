"""Contract look-ups, quotes and historical bars."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.clock import parse_moment
from ib_simulator.errors import Refusal
from ib_simulator.market import bars as history
from ib_simulator.market.bars import Bar, BarRequest
from ib_simulator.market.instruments import MARKET_RULE_ID, TICK, Instrument
from ib_simulator.market.prices import Quote
from ib_simulator.messages import answers
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.requests import (
    ReqContractDetails,
    ReqHistoricalData,
    ReqMarketRule,
    ReqMatchingSymbols,
    ReqMktData,
)
from ib_simulator.subscriptions import DELAYED, REAL_TIME, BarSubscription, QuoteSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

NO_DEFINITION = "No security definition has been found for the request"
MATCHES_MAX = 16
HOURS_DAYS = 6
# Tick types of live data and of delayed data.
LIVE_TYPES = {"bid": 1, "ask": 2, "last": 4, "high": 6, "low": 7, "close": 9, "open": 14}
DELAYED_TYPES = {"bid": 66, "ask": 67, "last": 68, "high": 72, "low": 73, "close": 75, "open": 76}
SIZED = ("bid", "ask", "last")
LIVE_SIZE_TYPES = {"bid": 0, "ask": 3, "last": 5, "volume": 8}
DELAYED_SIZE_TYPES = {"bid": 69, "ask": 70, "last": 71, "volume": 74}
LAST_TIME_TYPE, HALTED_TYPE = 45, 49
VOLUME_UNIT = 100


def _find(gateway: "Gateway", query: ContractQuery) -> Instrument:
    instrument = gateway.instruments.find(query)
    if instrument is None:
        raise Refusal(code=200, text=NO_DEFINITION)
    return instrument


def request_contract_details(gateway: "Gateway", session: "Session", request: ReqContractDetails) -> None:
    """Raises Refusal 200 for a contract that does not exist."""
    instrument = _find(gateway, request.contract)
    now = gateway.clock.now().astimezone(gateway.zone)
    session.send(
        answers.contract_details(
            request.request_id,
            instrument,
            exchange=request.contract.exchange or "SMART",
            trading_hours=_hours(now, history.EXTENDED_OPEN.strftime("%H%M"), history.EXTENDED_CLOSE.strftime("%H%M")),
            liquid_hours=_hours(now, history.SESSION_OPEN.strftime("%H%M"), history.SESSION_CLOSE.strftime("%H%M")),
        )
    )
    session.send(answers.contract_details_end(request.request_id))


def _hours(now: datetime, opens: str, closes: str) -> str:
    """Write sessions as IB does: `20260105:0930-20260105:1600;20260110:CLOSED`."""
    parts = []
    for ahead in range(HOURS_DAYS):
        day = now + timedelta(days=ahead)
        date = f"{day:%Y%m%d}"
        parts.append(f"{date}:{opens}-{date}:{closes}" if day.weekday() < 5 else f"{date}:CLOSED")
    return ";".join(parts)


def request_matching_symbols(gateway: "Gateway", session: "Session", request: ReqMatchingSymbols) -> None:
    found = gateway.instruments.matching(request.pattern)[:MATCHES_MAX]
    session.send(answers.symbol_samples(request.request_id, found))


def request_market_rule(_gateway: "Gateway", session: "Session", request: ReqMarketRule) -> None:
    """Raises Refusal 10015 for a rule that does not exist."""
    if request.rule_id != MARKET_RULE_ID:
        raise Refusal(code=10015, text=f"No market rule has been found for the request:{request.rule_id}")
    session.send(answers.market_rule(MARKET_RULE_ID, [(Decimal(0), TICK)]))


# --- quotes --------------------------------------------------------------------------------------------------


def request_market_data(gateway: "Gateway", session: "Session", request: ReqMktData) -> None:
    """Send the quote, then its end (snapshot) or its changes (streaming).

    Raises Refusal 200 (no such contract), 321 (snapshot with generic ticks), 322 (request id in use), 354 (no live
    data, by switch).
    """
    instrument = _find(gateway, request.contract)
    if request.snapshot and request.generic_ticks:
        cause = "Snapshot market data subscription is not applicable to generic ticks"
        raise Refusal(code=321, text=f"Error validating request.-'bO' : cause - {cause}")
    if request.request_id in session.subscriptions.quotes:
        raise Refusal(code=322, text="Error processing request.-'bO' : cause - Duplicate ticker id")
    delayed = _must_be_delayed(gateway, session, request.request_id)
    session.send(answers.tick_request_parameters(request.request_id, instrument.tick))
    session.send(answers.market_data_type(request.request_id, DELAYED if delayed else REAL_TIME))
    subscription = QuoteSubscription(instrument, delayed=delayed)
    _send_quote(gateway, session, request.request_id, subscription)
    if request.snapshot:
        session.send(answers.tick_snapshot_end(request.request_id))
    else:
        session.subscriptions.quotes[request.request_id] = subscription


def _must_be_delayed(gateway: "Gateway", session: "Session", request_id: int) -> bool:
    if gateway.scenario.is_on("market_data", "live"):
        return False
    if session.subscriptions.market_data_type < DELAYED:
        raise Refusal(code=354, text="Requested market data is not subscribed.")
    text = "Requested market data is not subscribed. Displaying delayed market data."
    session.send_error(request_id=request_id, code=10167, text=text)
    return True


def push_quotes(gateway: "Gateway") -> None:
    """Send what changed to everyone who streams."""
    for session in gateway.connected():
        for request_id, subscription in session.subscriptions.quotes.items():
            _send_quote(gateway, session, request_id, subscription)
        for request_id, kept in session.subscriptions.bars.items():
            _send_bar_update(gateway, session, request_id, kept)


def _send_quote(gateway: "Gateway", session: "Session", request_id: int, subscription: QuoteSubscription) -> None:
    quote, known = gateway.market.quote(subscription.instrument), subscription.sent
    types = DELAYED_TYPES if subscription.delayed else LIVE_TYPES
    sizes = DELAYED_SIZE_TYPES if subscription.delayed else LIVE_SIZE_TYPES
    for name, tick_type in types.items():
        price = getattr(quote, name)
        if known is None or price != getattr(known, name):
            size = quote.size if name in SIZED else 0
            session.send(answers.tick_price(request_id, tick_type, price, size))
            if name in SIZED:
                session.send(answers.tick_size(request_id, sizes[name], size))
    if known is None or quote.volume != known.volume:
        session.send(answers.tick_size(request_id, sizes["volume"], quote.volume // VOLUME_UNIT))
    if not subscription.delayed and _traded(quote, known):
        moment = str(int(gateway.clock.now().timestamp()))
        session.send(answers.tick_string(request_id, LAST_TIME_TYPE, moment))
    if known is None and not subscription.delayed:
        session.send(answers.tick_generic(request_id, HALTED_TYPE, Decimal(0)))
    subscription.sent = quote


def _traded(quote: Quote, known: Quote | None) -> bool:
    return known is None or quote.last != known.last or quote.volume != known.volume


# --- bars ----------------------------------------------------------------------------------------------------


def request_historical_data(gateway: "Gateway", session: "Session", request: ReqHistoricalData) -> None:
    """Raises Refusal 200, 321 (size, duration, time or kind that IB doesn't have), 162 (too many bars)."""
    instrument = _find(gateway, request.contract)
    if request.what_to_show not in history.WHAT_TO_SHOW:
        raise Refusal(
            code=321, text="Error validating request.-'bP' : cause - What to show field is missing or incorrect."
        )
    if request.keep_up_to_date and request.end:
        text = "Error validating request.-'bP' : cause - End date not supported with keepUpToDate subscriptions."
        raise Refusal(code=321, text=text)
    end = _end_time(gateway, request.end)
    wanted = BarRequest(instrument, end, request.bar_size, request.duration, use_rth=request.use_rth)
    found = history.historical_bars(wanted, seed=gateway.config.seed, last=gateway.market.quote(instrument).last)
    rows = [_row(bar, daily=_is_daily(wanted), format_date=request.format_date) for bar in found]
    start = end - timedelta(seconds=history.check_duration(request.duration))
    session.send(
        answers.historical_data(
            request.request_id, start=gateway.wire_time(start), end=gateway.wire_time(end), rows=rows
        )
    )
    if request.keep_up_to_date:
        session.subscriptions.bars[request.request_id] = BarSubscription(wanted, request.format_date)


def _send_bar_update(gateway: "Gateway", session: "Session", request_id: int, kept: BarSubscription) -> None:
    seconds = history.check_bar_size(kept.request.bar_size)
    duration = f"{seconds} S" if seconds < history.DURATION_SECONDS["D"] else "1 D"
    now = gateway.clock.now().astimezone(gateway.zone)
    wanted = replace(kept.request, end=now, duration=duration)
    last = gateway.market.quote(wanted.instrument).last
    for bar in history.historical_bars(wanted, seed=gateway.config.seed, last=last)[-1:]:
        row = _row(bar, daily=_is_daily(wanted), format_date=kept.format_date)
        session.send(answers.historical_data_update(request_id, row))


def _is_daily(request: BarRequest) -> bool:
    return history.check_bar_size(request.bar_size) >= history.DURATION_SECONDS["D"]


def _row(bar: Bar, *, daily: bool, format_date: int) -> answers.BarRow:
    if daily:
        date = f"{bar.start:%Y%m%d}"
    elif format_date == 1:
        date = f"{bar.start:%Y%m%d %H:%M:%S} US/Eastern"
    else:
        date = str(int(bar.start.timestamp()))
    weighted = ((bar.high + bar.low + bar.close) / 3).quantize(Decimal("0.0001"))
    return (date, bar.open, bar.high, bar.low, bar.close, bar.volume, weighted, bar.count)


def _end_time(gateway: "Gateway", text: str) -> datetime:
    """Read the end of a series; empty means now."""
    if not text:
        return gateway.clock.now().astimezone(gateway.zone)
    moment = parse_moment(text, zone=gateway.zone)
    if moment is None:
        raise _bad_end()
    return moment.astimezone(gateway.zone)


def _bad_end() -> Refusal:
    return Refusal(
        code=321,
        text="Error validating request.-'bP' : cause - Historical data query end date/time string is invalid. "
        "Format is 'YYYYMMDD{SPACE}hh:mm:ss[{SPACE}TMZ]'.",
    )
