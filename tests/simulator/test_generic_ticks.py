"""Quotes beyond prices: generic ticks, frozen and delayed data, and what happens without a subscription."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ib_simulator.gateway import Gateway, GatewayConfig
from tests.simulator.joined import AAPL, HandClock, JoinedClient, Table

VERSIONS = [157, 163, 170, 176, 178]


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def told(client: JoinedClient) -> dict[int, Any]:
    """Return the latest value by type of tick, whatever message it came in."""
    names = {"priceSizeTick", "tickSize", "tickGeneric", "tickString"}
    return {call.arguments[1]: call.arguments[2] for call in client.read() if call.name in names}


@pytest.mark.parametrize(
    ("number", "types"),
    [
        ("100", {29, 30}),
        ("101", {27, 28}),
        ("104", {23}),
        ("105", {87}),
        ("106", {24}),
        ("165", {15, 16, 17, 18, 19, 20, 21}),
        ("221", {37}),
        ("225", {34, 35, 36}),
        ("233", {48}),
        ("236", {46, 89}),
        ("258", {47}),
        ("293", {54}),
        ("294", {55}),
        ("295", {56}),
        ("318", {57}),
        ("375", {77}),
        ("411", {58}),
        ("456", {59}),
        ("595", {63, 64, 65}),
        ("100,233, 236", {29, 30, 48, 46, 89}),
        ("mdoff,292:BZ", set()),
    ],
)
def test_a_generic_tick_is_answered(client: JoinedClient, number: str, types: set[int]) -> None:
    client.api.reqMktData(5, AAPL, "", False, False, [])
    usual = set(told(client))

    client.api.reqMktData(6, AAPL, number, False, False, [])

    assert set(told(client)) - usual == types


@pytest.mark.parametrize("version", VERSIONS)
def test_the_values_are_plausible(version: int) -> None:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    client = table.connect(version=version)

    client.api.reqMktData(5, AAPL, "104,106,165,221,233,236", False, False, [])

    ticks = told(client)
    assert 0.1 < ticks[23] < 0.6
    assert 0.1 < ticks[24] < 0.6
    assert ticks[19] < ticks[17] < ticks[15] < 190 < ticks[16] < ticks[18] < ticks[20]
    assert (ticks[37], ticks[46]) == (190.0, 3.0)
    price, size, time_ms, volume, average, single = ticks[48].split(";")
    assert (float(price), single) == (190.0, "true")
    assert int(time_ms) // 1000 == int(datetime(2026, 1, 7, 15, tzinfo=UTC).timestamp())
    assert int(volume) >= int(size)
    assert float(average) > 0


def test_deals_go_on_being_told(table: Table, client: JoinedClient) -> None:
    client.api.reqMktData(5, AAPL, "104,221,233", False, False, [])
    client.read()

    table.control("set_price", symbol="AAPL", price="191")

    ticks = told(client)
    assert (ticks[37], ticks[48].split(";")[0]) == (191.0, "191.00")
    assert 23 not in ticks


@pytest.mark.parametrize("number", ["999", "soon", "233,1"])
def test_a_tick_ib_does_not_know_is_refused_with_the_list(client: JoinedClient, number: str) -> None:
    client.api.reqMktData(5, AAPL, number, False, False, [])

    [refused] = client.read()
    assert refused.arguments[:2] == (5, 321)
    assert f"Incorrect generic tick list of {number}." in refused.arguments[2]
    assert "233(RTVolume)" in refused.arguments[2]


def test_a_regulatory_snapshot_ends_like_any_other(client: JoinedClient) -> None:
    client.api.reqMktData(5, AAPL, "", False, True, [])
    assert client.read()[-1].name == "tickSnapshotEnd"

    client.api.reqMktData(6, AAPL, "233", False, True, [])
    assert client.order_news() == ["error 6 321"]


@pytest.mark.parametrize("code", [354, 10089, 10168])
def test_the_refusal_without_live_data_is_a_switch(table: Table, client: JoinedClient, code: int) -> None:
    table.control("set_switch", name="market_data", value="delayed_only")
    table.control("set_switch", name="no_live_data", value=f"refuse_{code}")

    client.api.reqMktData(5, AAPL, "", True, False, [])

    assert client.order_news() == [f"error 5 {code}"]


def test_delayed_data_has_its_own_time_and_halt(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="market_data", value="delayed_only")
    client.api.reqMarketDataType(3)

    client.api.reqMktData(5, AAPL, "", True, False, [])

    ticks = told(client)
    assert ticks[90] == 0
    assert int(ticks[88]) > 0
    assert not {45, 49} & set(ticks)


@pytest.mark.parametrize(
    ("switch", "asked", "hour", "shown"),
    [
        ("live", 1, 15, 1),
        ("live", 2, 15, 1),
        ("live", 2, 7, 2),
        ("live", 3, 15, 1),
        ("live", 1, 7, 1),
        ("delayed_only", 3, 7, 3),
        ("delayed_only", 4, 15, 3),
        ("delayed_only", 4, 7, 4),
    ],
)
def test_frozen_data_is_shown_while_the_exchange_is_closed(switch: str, asked: int, hour: int, shown: int) -> None:
    table = Table()
    table.clock = HandClock(datetime(2026, 1, 7, hour, tzinfo=UTC))
    table.gateway = Gateway(GatewayConfig(("DU1234567",), seed=7, hours="us_equities"), clock=table.clock)
    client = table.connect()
    table.control("set_switch", name="market_data", value=switch)
    client.api.reqMarketDataType(asked)

    client.api.reqMktData(5, AAPL, "", True, False, [])

    assert [call.arguments for call in client.read() if call.name == "marketDataType"] == [(5, shown)]


def test_a_type_of_data_that_is_not_there_is_refused(client: JoinedClient) -> None:
    client.api.reqMarketDataType(7)

    assert client.order_news() == ["error -1 321"]
