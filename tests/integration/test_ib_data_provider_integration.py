"""IBDataProvider against the simulator, or the Gateway that IB_HOST names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC
from decimal import Decimal

import pytest

from app.brokers.errors import BrokerTimeout, NotConnected, RequestRefused, UnknownSymbol
from app.brokers.ib import IBBroker, IBDataProvider, IBSettings
from app.core.errors import FixRequest, RetryLater
from ib_simulator.process import SimulatorProcess
from tests.integration.scripted_peer import ScriptedPeer, frame

simulator_only = pytest.mark.simulator_only


@pytest.fixture
async def data(data_settings: IBSettings) -> AsyncIterator[IBDataProvider]:
    provider = IBDataProvider(data_settings)
    await provider.connect()
    yield provider
    await provider.disconnect()


# What runs against a real paper Gateway as well.


async def test_a_symbol_is_described(data: IBDataProvider) -> None:
    # When a symbol is asked for
    info = await data.get_symbol_info("AAPL")
    # Then the description is the US stock's, with its ticks
    assert (info.contract.symbol, info.contract.currency, info.contract.exchange) == ("AAPL", "USD", "SMART")
    assert (info.con_id, info.primary_exchange) == (265598, "NASDAQ")
    assert "APPLE" in info.long_name.upper()
    assert info.price_increments[-1].increment == Decimal("0.01")


async def test_an_unknown_symbol_is_named(data: IBDataProvider) -> None:
    for ask in (data.get_symbol_info, data.last_price):
        with pytest.raises(UnknownSymbol) as raised:
            await ask("NOSUCHSYMBOL")
        assert raised.value.details["symbol"] == "NOSUCHSYMBOL"


async def test_a_last_price_and_bars_are_answered(data: IBDataProvider) -> None:
    # When the last price and quarter-hour bars are asked for
    last = await data.last_price("AAPL")
    bars = await data.fetch_bars("AAPL", "15 mins", duration="2 D")
    # Then prices are positive decimals, and bars are in order, in UTC, each within its own range
    assert last > 0
    assert bars
    starts = [bar.start for bar in bars]
    assert starts == sorted(starts)
    assert {start.tzinfo for start in starts} == {UTC}
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(start.minute % 15 == 0 for start in starts)


async def test_daily_bars_start_at_midnight(data: IBDataProvider) -> None:
    bars = await data.fetch_bars("AAPL", "1 day", duration="5 D")
    assert bars
    assert all((bar.start.hour, bar.start.minute, bar.start.tzinfo) == (0, 0, UTC) for bar in bars)


@pytest.mark.parametrize(
    ("bar_size", "more", "code"),
    [
        ("15 minutes", {}, "bar_size_unknown"),
        ("15 mins", {"duration": "one day"}, "duration_unknown"),
        ("15 mins", {"what_to_show": "RUMOURS"}, "what_to_show_unknown"),
    ],
)
async def test_nonsense_is_refused_before_it_is_sent(bar_size: str, more: dict[str, str], code: str) -> None:
    # Given a provider that is not even connected
    with pytest.raises(FixRequest) as raised:
        await IBDataProvider(IBSettings()).fetch_bars("AAPL", bar_size, **more)  # type: ignore[arg-type]
    assert raised.value.code == code


# What needs the simulator's controls.


@simulator_only
async def test_the_price_is_the_markets(data: IBDataProvider, simulator: SimulatorProcess) -> None:
    # Given prices that come live, and then delayed only
    simulator.control.set_price("AAPL", "187.35")
    live = await data.last_quote("AAPL")
    simulator.control.set_switch("market_data", "delayed_only")
    delayed = await data.last_quote("AAPL")
    # Then both are answered, and the delayed one says so
    assert (live.price, live.is_delayed, live.is_close) == (Decimal("187.35"), False, False)
    assert (delayed.price, delayed.is_delayed) == (Decimal("187.35"), True)


@simulator_only
async def test_no_orders_are_asked_for_and_a_description_is_asked_once(
    data: IBDataProvider, simulator: SimulatorProcess
) -> None:
    # When one symbol is described twice, and another that shares its market rule
    for symbol in ("AAPL", "AAPL", "MSFT"):
        await data.get_symbol_info(symbol)
    # Then each was asked for once, the rule once, and nothing about orders
    names = [message["name"] for message in simulator.control.messages()]
    assert names == ["startApi", "reqPositions", "reqContractDetails", "reqMarketRule", "reqContractDetails"]


@simulator_only
async def test_it_runs_beside_the_broker(
    data: IBDataProvider, broker_settings: IBSettings, simulator: SimulatorProcess
) -> None:
    broker = IBBroker(broker_settings)
    await broker.connect()
    clients = {connection["client_id"] for connection in simulator.control.state()["connections"]}
    assert clients == {1, 2}
    await broker.disconnect()
    assert await data.last_price("AAPL") > 0


@simulator_only
async def test_an_unanswered_question_is_a_timeout(data_settings: IBSettings, simulator: SimulatorProcess) -> None:
    # Given a Gateway whose answers get lost
    provider = IBDataProvider(replace(data_settings, request_timeout_seconds=0.3))
    await provider.connect()
    simulator.control.mute()
    # When it is asked, then every question says that it has no answer
    for ask in (provider.get_symbol_info, provider.last_price, lambda symbol: provider.fetch_bars(symbol, "1 day")):
        with pytest.raises(BrokerTimeout):
            await ask("AAPL")
    await provider.disconnect()


@simulator_only
async def test_without_a_connection_it_says_so_and_can_be_connected_again(
    data: IBDataProvider, simulator: SimulatorProcess
) -> None:
    await data.disconnect()
    assert not data.is_connected
    with pytest.raises(NotConnected):
        await data.get_symbol_info("AAPL")
    with pytest.raises(NotConnected):
        await data.last_price("AAPL")
    await data.connect()
    assert data.is_connected
    assert await data.last_price("AAPL") > 0


@asynccontextmanager
async def connected_to(peer: ScriptedPeer) -> AsyncIterator[IBDataProvider]:
    provider = IBDataProvider(IBSettings(host=peer.host, port=peer.port, client_id=2, request_timeout_seconds=1))
    await provider.connect()
    try:
        yield provider
    finally:
        await provider.disconnect()


@simulator_only
async def test_an_empty_description_is_an_unknown_symbol() -> None:
    async with ScriptedPeer() as peer, connected_to(peer) as data:
        peer.answer("9", lambda fields: [frame(52, 1, fields[2])])
        with pytest.raises(UnknownSymbol):
            await data.get_symbol_info("AAPL")


@simulator_only
async def test_without_a_trade_the_close_is_the_last_price_and_without_that_there_is_none() -> None:
    async with ScriptedPeer() as peer, connected_to(peer) as data:
        # Given a snapshot with a warning, a last price that is none, and a close
        peer.answer(
            "1",
            lambda fields: [
                frame(4, 2, fields[2], 10167, "Displaying delayed market data", ""),
                frame(1, 6, fields[2], 68, -1, 0, 0),
                frame(1, 6, fields[2], 75, 188.25, 0, 0),
                frame(57, 1, fields[2]),
            ],
        )
        quote = await data.last_quote("AAPL")
        # Then the close is the price, and says what it is
        assert (quote.price, quote.is_delayed, quote.is_close) == (Decimal("188.25"), True, True)
        # And a snapshot without any price is no price
        peer.answer("1", lambda fields: [frame(57, 1, fields[2])])
        with pytest.raises(RetryLater) as raised:
            await data.last_price("AAPL")
        assert raised.value.code == "price_unknown"


@simulator_only
async def test_a_refused_question_has_ibs_code_and_text() -> None:
    async with ScriptedPeer() as peer, connected_to(peer) as data:
        # Given a Gateway without market data
        peer.answer("1", lambda fields: [frame(4, 2, fields[2], 354, "Requested market data is not subscribed.", "")])
        with pytest.raises(RequestRefused, match="354 Requested market data") as raised:
            await data.last_price("AAPL")
        assert raised.value.details["broker_code"] == 354


@simulator_only
async def test_no_bars_is_an_answer_and_a_pacing_violation_is_not() -> None:
    async with ScriptedPeer() as peer, connected_to(peer) as data:
        text = "Historical Market Data Service error message:HMDS query returned no data: AAPL@SMART Trades"
        peer.answer("20", lambda fields: [frame(4, 2, fields[1], 162, text, "")])
        assert await data.fetch_bars("AAPL", "1 min") == ()
        text = "Historical Market Data Service error message:Historical data request pacing violation"
        peer.answer("20", lambda fields: [frame(4, 2, fields[1], 162, text, "")])
        with pytest.raises(RequestRefused, match="pacing violation"):
            await data.fetch_bars("AAPL", "1 min")
