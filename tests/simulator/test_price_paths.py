"""What moves prices and what holds them back: processes, scripts, halts, bands, liquidity, sessions, restarts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from ib_async import Bag, ComboLeg, Option

from ib_simulator.clock import SimulatedClock
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.journal import Journal
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.market.plans import PricePlan
from ib_simulator.market.price_files import PriceFileError
from tests.simulator.joined import AAPL, ACCOUNT, JoinedClient, Table, limit, market, stop
from tests.simulator.test_clock import OPENING, StillClock

INSTRUMENTS = InstrumentList()
BARS = """time,open,high,low,close,volume
2026-11-25T09:30:00-05:00,100,103,99,102,401
2026-11-25T09:31:00-05:00,102,102.5,97,98,400
"""
TICKS = """time,symbol,last,bid,ask,bid_size,ask_size,volume
10,AAPL,190,189.9,190.2,300,500,1000
2026-11-25T09:30:20-05:00,AAPL,180,,,,,
20,MSFT,400
"""


def apple() -> Instrument:
    found = INSTRUMENTS.by_symbol("AAPL")
    assert found is not None
    return found


def table_of(
    plan: PricePlan | None = None,
    *,
    start: datetime = OPENING,
    hours: str = "us_equities",
    journal: Journal | None = None,
) -> Table:
    """A gateway on a standing clock."""
    table = Table()
    config = GatewayConfig((ACCOUNT,), seed=7, hours=hours, prices=plan or PricePlan())
    clock = SimulatedClock(start=start, speed=0, beneath=StillClock())
    table.gateway = Gateway(config, clock=clock, journal=journal)
    return table


def price_of(table: Table, symbol: str = "AAPL") -> Decimal:
    return table.gateway.market.prices()[symbol]


def deals(table: Table) -> list[tuple[str, str]]:
    return [(deal["quantity"], deal["price"]) for deal in table.control("state")["executions"]]


# --- processes -----------------------------------------------------------------------------------------------


def test_fixed_prices_stand_on_their_base() -> None:
    table = table_of(PricePlan("fixed"))
    table.control("step", n=20)
    assert price_of(table) == apple().base_price


def test_bars_are_replayed_one_price_a_step_and_the_last_stands() -> None:
    table = table_of(PricePlan("csv", text=BARS, name="bars.csv"))
    volume = table.gateway.market.quote(apple()).volume

    seen = []
    for _ in range(9):
        table.control("step")
        seen.append(price_of(table))

    assert seen == [Decimal(text) for text in ("100", "99", "103", "102", "102", "102.5", "97", "98", "98")]
    assert table.gateway.market.quote(apple()).volume == volume + 801


def test_bars_of_one_symbol_move_only_that() -> None:
    text = "symbol,time,open,high,low,close,volume\nAAPL,2026-11-25T09:30:00-05:00,100,103,99,102,400\n"
    table = table_of(PricePlan("csv", text=text, name="bars.csv"))
    table.control("step", n=2)
    assert (price_of(table), price_of(table, "MSFT")) == (Decimal(99), Decimal(420))


def test_bars_are_played_at_their_own_time() -> None:
    table = table_of(PricePlan("timed-csv", text=BARS, name="bars.csv"), start=OPENING - timedelta(seconds=1))
    seen = []
    for _ in range(8):
        table.control("advance_clock", seconds=15)
        seen.append(str(price_of(table)))
    assert seen == ["100", "99", "103", "102", "102", "102.5", "97", "98"]


def test_a_script_is_played_at_its_time_also_when_the_clock_jumps() -> None:
    table = table_of(PricePlan("script", text=TICKS, name="ticks.csv"))
    client = table.connect()
    client.place(stop("SELL", 1, 185, tif="GTC"))
    client.place(limit("BUY", 1, "189"))

    table.control("advance_clock", seconds=10)
    quote = table.gateway.market.quote(apple())
    table.control("advance_clock", seconds=3600)

    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.volume) == (
        *(Decimal("189.9"), Decimal("190.2")),
        *(300, 500, 1000),
    )
    assert (price_of(table), price_of(table, "MSFT")) == (Decimal(180), Decimal(400))
    times = {deal["time"] for deal in table.control("state")["executions"]}
    assert times == {(OPENING + timedelta(seconds=20)).isoformat()}


def test_ticks_of_a_script_are_passed_over_while_the_symbol_stands() -> None:
    table = table_of(PricePlan("script", text=TICKS, name="ticks.csv"))
    table.control("halt", symbol="AAPL")
    table.control("advance_clock", seconds=15)
    assert price_of(table) == apple().base_price
    table.control("resume", symbol="AAPL")
    table.control("advance_clock", seconds=15)
    assert price_of(table) == 180


def test_a_running_clock_plays_the_script() -> None:
    table, beneath = Table(), StillClock()
    plan = PricePlan("script", text=TICKS, name="ticks.csv")
    clock = SimulatedClock(start=OPENING, speed=10, beneath=beneath)
    table.gateway = Gateway(GatewayConfig((ACCOUNT,), prices=plan), clock=clock)

    beneath.advance(seconds=1)
    table.gateway.time_passed()
    assert price_of(table) == Decimal(190)
    beneath.advance(seconds=1)
    table.gateway.time_passed()
    assert price_of(table) == Decimal(180)


@pytest.mark.parametrize(
    ("process", "text", "where"),
    [
        ("csv", "", "line 1: missing columns: time, open"),
        ("csv", "time,open,high,low,close\n", "line 1: missing columns: volume"),
        ("csv", BARS + "yesterday,1,1,1,1,1\n", "line 4: time is not a time"),
        ("csv", BARS + "2026-11-25T09:32:00,1,1,1,1,1\n", "line 4: time has no offset"),
        ("csv", BARS + "2026-11-25T09:31:00-05:00,1,1,1,1,1\n", "line 4: time is not after"),
        ("csv", BARS + "2026-11-25T09:32:00-05:00,1,1,1,2,1\n", "line 4: high and low do not enclose"),
        ("csv", BARS + "2026-11-25T09:32:00-05:00,1,1,x,1,1\n", "line 4: low is not a price"),
        ("csv", BARS + "2026-11-25T09:32:00-05:00,1,1,1,1,-5\n", "line 4: volume is not a whole number"),
        ("csv", BARS + "2026-11-25T09:32:00-05:00,1,1,1,1,1,1\n", "line 4: more cells"),
        ("csv", BARS.replace("volume", "volume,symbol").replace("401", "401,NOSUCH"), "unknown symbols: NOSUCH"),
        ("script", TICKS + "1,NOSUCH,1\n", "line 5: symbol is not known"),
        ("script", TICKS + "1,AAPL,0\n", "line 5: last is not a price"),
        ("script", TICKS + "1,AAPL,5,6,5\n", "line 5: bid is above ask"),
        ("script", TICKS + '1,"AAPL\n', "line 5"),
    ],
)
def test_a_file_that_cannot_be_read_names_its_line(process: str, text: str, where: str) -> None:
    with pytest.raises(PriceFileError) as caught:
        table_of(PricePlan(process, text=text, name="prices.csv"))
    assert str(caught.value).startswith("prices.csv")
    assert where in str(caught.value)


def test_a_symbol_can_be_given_another_process() -> None:
    table = table_of()
    assert table.control("set_process", symbol="AAPL", process="replay", csv=BARS)["process"] == "replay"
    table.control("step", n=2)
    assert price_of(table) == 99

    table.control("set_process", symbol="AAPL", process="fixed")
    table.control("step", n=5)
    assert price_of(table) == 99

    table.control("set_process", symbol="AAPL", process="walk", step_ticks=50)
    table.control("step", n=5)
    assert price_of(table) != 99


def test_a_process_of_one_symbol_leaves_the_others_on_their_path() -> None:
    free, led = table_of(), table_of()
    led.control("set_process", symbol="AAPL", process="fixed")
    for table in (free, led):
        table.control("step", n=30)
    assert {**free.gateway.market.prices(), "AAPL": 0} == {**led.gateway.market.prices(), "AAPL": 0}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("set_process", {"process": "brownian"}),
        ("set_process", {"process": "walk", "step_ticks": 0}),
        ("set_process", {"process": "replay", "csv": "time,open\n"}),
        ("set_process", {"process": "replay", "csv": BARS.splitlines()[0]}),
        ("tick", {"last": "190.001"}),
        ("tick", {"last": "190", "bid": "191", "ask": "190"}),
        ("tick", {"last": "190", "bid_size": -1}),
        ("set_spread", {"ticks": 0}),
        ("set_liquidity", {"size": -1}),
        ("set_limits", {"lower": "200", "upper": "190"}),
    ],
)
def test_what_makes_no_market_is_refused(command: str, arguments: dict[str, Any]) -> None:
    table = table_of()
    before = table.control("state")
    assert table.control(command, symbol="AAPL", **arguments)["code"] == "bad_value"
    assert table.control("state") == before


# --- one tick, and what bounds it ----------------------------------------------------------------------------


def test_a_tick_gaps_through_a_stop_which_costs_what_it_costs() -> None:
    table = table_of(PricePlan("fixed"))
    client = table.connect()
    client.place(stop("SELL", 10, 185))

    table.control("tick", symbol="AAPL", last="170", bid="169.5", ask="170.5", bid_size=100, ask_size=200)

    assert deals(table) == [("10", "169.5")]


def test_the_spread_is_set_in_ticks() -> None:
    table = table_of(PricePlan("fixed"))
    table.control("set_spread", symbol="AAPL", ticks=5)
    quote = table.gateway.market.quote(apple())
    assert (quote.bid, quote.ask) == (Decimal("189.98"), Decimal("190.03"))


def test_a_walk_never_leaves_its_bands() -> None:
    table = table_of()
    table.control("set_price", symbol="AAPL", price="190")
    table.control("release_price", symbol="AAPL")
    table.control("set_limits", symbol="AAPL", lower="189.98", upper="190.02")

    seen = set()
    for _ in range(200):
        table.control("step")
        quote = table.gateway.market.quote(apple())
        seen |= {quote.last, quote.bid, quote.ask}

    assert (min(seen), max(seen)) == (Decimal("189.98"), Decimal("190.02"))
    assert table.gateway.market.limits(apple()) == (Decimal("189.98"), Decimal("190.02"))
    assert table.control("set_price", symbol="AAPL", price="191")["code"] == "bad_value"
    table.control("set_limits", symbol="AAPL")
    assert table.control("set_price", symbol="AAPL", price="191")["ok"]


def test_a_halted_price_stands_and_the_client_is_told() -> None:
    table = table_of()
    client = table.connect()
    client.api.reqMktData(5, AAPL, "", False, False, [])
    client.read()
    table.control("halt", symbol="AAPL")
    told = [one.arguments for one in client.read() if one.name == "tickGeneric"]
    before = price_of(table)

    table.control("step", n=20)

    assert told == [(5, 49, 1.0)]
    assert price_of(table) == before
    assert table.gateway.market.is_halted(apple())
    table.control("resume", symbol="AAPL")
    assert [one.arguments for one in client.read() if one.name == "tickGeneric"] == [(5, 49, 0.0)]


def test_what_is_offered_is_used_up_until_the_next_step() -> None:
    gateway = table_of().gateway
    offered, path = gateway.market, gateway.market.path(apple())
    assert offered.available(apple(), is_buy=True) is None

    path.set_liquidity(Decimal(100))
    offered.take(apple(), Decimal(30), is_buy=True)
    assert (offered.available(apple(), is_buy=True), offered.available(apple(), is_buy=False)) == (70, 100)
    offered.step()
    assert offered.available(apple(), is_buy=True) == 100


def test_a_book_has_levels_behind_the_quote_that_stay_the_same() -> None:
    offered = table_of().gateway.market
    quote = offered.quote(apple())

    bids, asks = offered.depth(apple(), rows=5)

    assert (bids[0].price, asks[0].price, len(bids), len(asks)) == (quote.bid, quote.ask, 5, 5)
    assert [level.price for level in bids] == sorted({level.price for level in bids}, reverse=True)
    assert [level.price for level in asks] == sorted({level.price for level in asks})
    assert (bids, asks) == offered.depth(apple(), rows=5)


def test_only_symbols_with_news_are_tried_and_told() -> None:
    offered = table_of().gateway.market
    offered.take_news()
    offered.path(apple()).pin(Decimal(150))

    news = offered.take_news()

    assert (news.changed, news.moved) == ({"AAPL"}, {"AAPL"})
    assert (offered.take_news().changed, offered.take_news().moved) == (set(), set())


def test_an_option_and_a_combination_are_tried_when_their_stock_moves() -> None:
    table = table_of(PricePlan("fixed"))
    client = table.connect()
    call, put = (Option("AAPL", "20261218", 190, right, "SMART", currency="USD") for right in "CP")
    ids = [listed_id(client, option) for option in (call, put)]
    legs = [ComboLeg(conId=con_id, ratio=1, action="BUY", exchange="SMART") for con_id in ids]
    straddle = Bag(symbol="CALLPUT", exchange="SMART", currency="USD", comboLegs=legs)
    client.place(limit("BUY", 1, "0.50"), put)
    client.place(limit("SELL", 1, 40), straddle)
    client.place(limit("BUY", 1, 100))

    table.control("tick", symbol="MSFT", last="800")
    assert [order["status"] for order in table.orders()] == ["Submitted"] * 3
    table.control("tick", symbol="AAPL", last="260")
    assert [order["status"] for order in table.orders()] == ["Filled", "Filled", "Submitted"]


def test_a_halted_stock_halts_its_options() -> None:
    table = table_of(PricePlan("fixed"))
    client = table.connect()
    table.control("halt", symbol="AAPL")
    client.place(market("BUY", 1), Option("AAPL", "20261218", 190, "C", "SMART", currency="USD"))
    assert deals(table) == []
    table.control("resume", symbol="AAPL")
    assert len(deals(table)) == 1


def listed_id(client: JoinedClient, option: Option) -> int:
    client.api.reqContractDetails(77, option)
    [details] = [told.arguments[1] for told in client.read() if told.name == "contractDetails"]
    found: int = details.contract.conId
    return found


# --- sessions ------------------------------------------------------------------------------------------------


def test_prices_rest_while_the_exchange_is_closed() -> None:
    table = table_of(start=OPENING + timedelta(hours=12))
    before = table.gateway.market.prices()
    table.control("step", n=10)
    assert table.gateway.market.prices() == before


def test_a_day_begins_with_new_figures_and_the_last_official_close() -> None:
    table = table_of()
    table.control("tick", symbol="AAPL", last="200")
    table.control("set_clock", moment="2026-11-25T16:30:00-05:00")
    table.control("tick", symbol="AAPL", last="205")
    table.control("set_clock", moment="2026-11-26T12:00:00-05:00")
    holiday = table.gateway.market.quote(apple())
    table.control("set_clock", moment="2026-11-27T04:00:00-05:00")

    quote = table.gateway.market.quote(apple())

    assert (holiday.close, holiday.high) == (apple().base_price, Decimal(205))
    assert (quote.close, quote.open, quote.high, quote.low, quote.volume) == (200, 205, 205, 205, 0)


@pytest.mark.parametrize("stop_at", ["2026-11-25T08:00:00-05:00", "2026-11-25T12:00:00-05:00"])
def test_a_jump_over_the_close_still_makes_one(stop_at: str) -> None:
    table = table_of(start=datetime.fromisoformat(stop_at).astimezone(UTC))
    table.gateway.time_passed()
    table.control("tick", symbol="AAPL", last="200")
    table.control("set_clock", moment="2026-11-27T10:00:00-05:00")
    assert table.gateway.market.quote(apple()).close == 200


# --- the state -----------------------------------------------------------------------------------------------


def test_the_state_shows_what_was_done_to_the_market_and_the_clock() -> None:
    table = table_of()
    assert table.control("state")["market"] == {"process": "walk", "steps": 0, "touched": {}}

    table.control("set_limits", symbol="AAPL", lower="180", upper="200")
    table.control("halt", symbol="AAPL")

    state = table.control("state")
    assert state["market"]["touched"]["AAPL"]["limits"] == ["180", "200"]
    assert state["market"]["touched"]["AAPL"]["halted"] is True
    assert state["clock"] == {"simulated": True, "hours": "us_equities", "now": OPENING.isoformat(), "speed": 0.0}
