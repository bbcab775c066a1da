"""The market over restarts, and the same seed giving the same bytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_simulator.clock import SimulatedClock
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.journal import Journal
from ib_simulator.market.plans import PricePlan
from tests.simulator.joined import AAPL, ACCOUNT, JoinedClient, Table, limit, market, stop
from tests.simulator.test_clock import OPENING, StillClock
from tests.simulator.test_price_paths import BARS, INSTRUMENTS, TICKS, price_of, table_of

# --- restart -------------------------------------------------------------------------------------------------


@pytest.fixture
def opened() -> Iterator[list[Journal]]:
    journals: list[Journal] = []
    yield journals
    for journal in journals:
        journal.close()


def restarted(directory: Path, opened: list[Journal], plan: PricePlan | None = None) -> Table:
    while opened:
        opened.pop().close()
    opened.append(Journal(directory))
    return table_of(plan, journal=opened[-1])


def test_what_was_done_to_the_market_survives_a_restart(tmp_path: Path, opened: list[Journal]) -> None:
    table = restarted(tmp_path, opened)
    table.control("step", n=3)
    table.control("set_process", symbol="AAPL", process="walk", step_ticks=9)
    table.control("set_process", symbol="IBM", process="replay", csv=BARS)
    table.control("step", n=4)
    table.control("set_spread", symbol="MSFT", ticks=8)
    table.control("set_liquidity", symbol="MSFT", size=300)
    table.control("set_limits", symbol="F", lower="11", upper="13")
    table.control("tick", symbol="BA", last="170", bid="169", ask="171", bid_size=5, ask_size=7, volume=99)
    table.control("halt", symbol="DIS")
    table.control("set_price", symbol="KO", price="60")
    table.control("set_clock", moment="2026-11-25T12:00:00-05:00")
    table.gateway.commit()

    after = restarted(tmp_path, opened)

    first, second = (_market_of(one) for one in (table, after))
    assert second == first
    for one in (table, after):
        one.control("step", n=6)
    assert _market_of(after) == _market_of(table)
    assert after.control("clock") == table.control("clock")


def test_a_script_goes_on_after_a_restart(tmp_path: Path, opened: list[Journal]) -> None:
    plan = PricePlan("script", text=TICKS, name="ticks.csv")
    table = restarted(tmp_path, opened, plan)
    table.control("advance_clock", seconds=12)
    table.gateway.commit()

    after = restarted(tmp_path, opened, plan)
    assert price_of(after) == 190
    after.control("advance_clock", seconds=9)
    assert (price_of(after), after.control("clock")["now"]) == (180, "2026-11-25T14:30:21+00:00")


def test_a_speed_that_was_chosen_survives_a_restart(tmp_path: Path, opened: list[Journal]) -> None:
    table = restarted(tmp_path, opened)
    table.control("set_clock_speed", speed=30)
    table.gateway.commit()
    assert restarted(tmp_path, opened).control("clock")["speed"] == 30


def _market_of(table: Table) -> list[object]:
    offered = table.gateway.market
    listed = [(offered.quote(one), offered.available(one, is_buy=True), offered.limits(one)) for one in INSTRUMENTS]
    return [*listed, offered.steps]


# --- the same seed, the same bytes ---------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_twice() -> None:
    first, second, other = (_conversation(seed) for seed in (7, 7, 8))
    assert len(first) > 20_000
    assert first == second
    assert first != other


def _conversation(seed: int) -> bytes:
    table = Table()
    clock = SimulatedClock(start=OPENING, speed=0, beneath=StillClock())
    table.gateway = Gateway(GatewayConfig((ACCOUNT,), seed=seed, hours="us_equities"), clock=clock)
    clients = [table.connect(client_id=number) for number in (1, 2)]
    heard = b""
    for number, client in enumerate(clients):
        client.api.reqMktData(900, AAPL, "", False, False, [])
        client.api.reqHistoricalData(901, AAPL, "", "2 D", "1 hour", "TRADES", True, 1, False, [])
        client.api.reqAccountUpdates(True, ACCOUNT)
        _trade(client, number)
    for turn in range(40):
        table.control("step", n=3)
        table.control("advance_clock", seconds=30)
        if turn == 20:
            table.control("tick", symbol="AAPL", last="180")
        table.gateway.push_due_values()
        heard += b"".join(client.session.take_output() for client in clients)
    for client in clients:
        client.api.reqGlobalCancel()
        client.api.reqCompletedOrders(False)
        heard += client.session.take_output()
    return heard


def _trade(client: JoinedClient, number: int) -> None:
    entry = client.place(market("BUY", 10 + number, transmit=False))
    client.place(limit("SELL", 10 + number, 230, parentId=entry, transmit=False))
    client.place(stop("SELL", 10 + number, 185, parentId=entry))
    client.place(limit("BUY", 5, 150, tif="GTC"))
