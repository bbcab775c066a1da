"""Deals when the market has little to give, is halted, or at its limits."""

from decimal import Decimal

import pytest

from tests.simulator.joined import JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    assert table.control("set_liquidity", symbol="AAPL", size=100)["ok"]
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def statuses(client: JoinedClient) -> list[str]:
    return [line for line in client.order_news() if line.startswith("status")]


def test_an_order_takes_what_there_is_and_goes_on_at_the_next_step(table: Table, client: JoinedClient) -> None:
    client.place(market("SELL", 250))
    first = statuses(client)
    table.control("step", n=1)
    second = statuses(client)
    table.control("step", n=1)

    assert first == ["status 1 Submitted 0/250", "status 1 Submitted 100/150"]
    assert second == ["status 1 Submitted 200/50"]
    assert statuses(client) == ["status 1 Filled 250/0"]


def test_two_orders_share_what_there_is(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 70, 195))
    client.place(limit("BUY", 70, 195))
    client.place(limit("SELL", 70, 180))

    assert [order["filled"] for order in table.orders()] == ["70", "30", "70"]


def test_an_immediate_order_keeps_what_it_got(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 150, 195, tif="IOC"))

    assert statuses(client)[-2:] == ["status 1 PendingCancel 100/50", "status 1 Cancelled 100/50"]


def test_a_fill_or_kill_order_takes_all_or_nothing(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 101, 195, tif="FOK"))
    client.place(limit("BUY", 100, 195, tif="FOK"))

    assert [(order["status"], order["filled"]) for order in table.orders()] == [("Inactive", "0"), ("Filled", "100")]


def test_the_stop_of_an_entry_that_fills_bit_by_bit_covers_what_there_is(table: Table, client: JoinedClient) -> None:
    parent = client.place(market("BUY", 250, transmit=False))
    client.place(stop("SELL", 250, 185, parentId=parent))
    table.control("set_price", symbol="AAPL", price="180")
    for _ in range(6):
        table.control("step", n=1)
        entry, stop_loss = table.orders()
        assert Decimal(stop_loss["filled"]) <= Decimal(entry["filled"])

    assert table.control("state")["positions"] == []


def test_nothing_deals_or_triggers_while_trading_is_halted(table: Table, client: JoinedClient) -> None:
    client.place(stop("SELL", 10, 185))
    assert table.control("halt", symbol="AAPL")["ok"]
    client.place(market("BUY", 10))
    table.control("set_price", symbol="AAPL", price="180")
    assert [order["filled"] for order in table.orders()] == ["0", "0"]

    assert table.control("resume", symbol="AAPL")["ok"]
    table.control("set_price", symbol="AAPL", price="180")

    assert [order["status"] for order in table.orders()] == ["Filled", "Filled"]


def test_nothing_deals_beyond_limit_up(table: Table, client: JoinedClient) -> None:
    table.control("pause_fills")
    client.place(limit("BUY", 10, 195))
    client.place(market("BUY", 10))
    client.place(stop("BUY", 10, 189))
    table.control("set_limits", symbol="AAPL", upper="189")

    table.control("resume_fills")

    assert {deal["price"] for deal in table.control("state")["executions"]} == {"189"}
