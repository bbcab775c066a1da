"""Orders that follow the price, wait for it, or wait for an auction; and their changes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ib_async import Option, Order

from ib_simulator.journal import Journal
from tests.simulator.joined import JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def price(table: Table, *prices: str) -> None:
    for each in prices:
        assert table.control("set_price", symbol="AAPL", price=each)["ok"]


def trail(action: str, **more: Any) -> Order:
    return market(action, 10, **{"orderType": "TRAIL", **more})


def trail_limit(action: str, **more: Any) -> Order:
    return market(action, 10, **{"orderType": "TRAIL LIMIT", **more})


def deals(client: JoinedClient) -> list[str]:
    return [line.split()[-1] for line in client.order_news() if line.startswith("deal")]


def echoed(client: JoinedClient) -> Order:
    """Ask for the open orders and return the only one as the server has it."""
    client.read()
    client.api.reqOpenOrders()
    [order] = [told.arguments[2] for told in client.read() if told.name == "openOrder"]
    return order


# --- trailing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "moves", "stop_price"),
    [
        (trail("SELL", auxPrice=2), [], 188),
        (trail("SELL", auxPrice=2), ["191", "193.50", "192"], 191.5),
        (trail("BUY", auxPrice=2), ["189", "187.25", "188"], 189.25),
        (trail("SELL", trailingPercent=1), ["200", "199"], 198),
        (trail("BUY", trailingPercent=1.5), [], 192.85),
        (trail("SELL", auxPrice=2, trailStopPrice=180), ["181"], 180),
        (trail("SELL", auxPrice=2, trailStopPrice=180), ["182.50"], 180.5),
    ],
)
def test_the_stop_follows_the_price_and_never_goes_back(
    table: Table, client: JoinedClient, order: Order, moves: list[str], stop_price: float
) -> None:
    if order.trailStopPrice == 180:
        price(table, "181")
    client.place(order)
    price(table, *moves)

    shown = echoed(client)

    assert shown.trailStopPrice == stop_price
    assert shown.orderType == "TRAIL"


def test_a_trailing_order_shows_its_distance_and_waits_for_its_trigger(client: JoinedClient) -> None:
    client.place(trail("SELL", auxPrice=2))

    assert client.order_news() == ["open 1 PreSubmitted 10", "status 1 PreSubmitted 0/10 trigger"]
    assert echoed(client).auxPrice == 2


def test_a_trailing_stop_deals_at_the_market_when_it_is_reached(table: Table, client: JoinedClient) -> None:
    client.place(trail("SELL", auxPrice=2))
    price(table, "195", "193.10")
    assert deals(client) == []

    price(table, "193")

    assert deals(client) == ["10@192.99"]


@pytest.mark.parametrize(
    ("terms", "limit_price"),
    [
        ({"lmtPriceOffset": 0.5, "auxPrice": 2}, 192.5),
        ({"lmtPrice": 187, "trailStopPrice": 188, "auxPrice": 2}, 192),
    ],
)
def test_the_limit_of_a_trailing_limit_keeps_its_offset(
    table: Table, client: JoinedClient, terms: dict[str, float], limit_price: float
) -> None:
    client.place(trail_limit("SELL", **terms))
    price(table, "195")

    shown = echoed(client)

    assert (shown.trailStopPrice, shown.lmtPrice) == (193, limit_price)
    price(table, "192.70")
    assert deals(client) == ["10@192.69"]


def test_a_trailing_limit_that_gaps_past_its_limit_rests(table: Table, client: JoinedClient) -> None:
    client.place(trail_limit("SELL", auxPrice=2, lmtPriceOffset=0.5))

    price(table, "180")

    assert client.order_news()[-1] == "status 1 Submitted 0/10"
    price(table, "187.60")
    assert deals(client) == ["10@187.5"]


def test_a_trailing_child_begins_to_trail_when_it_is_live(table: Table, client: JoinedClient) -> None:
    parent = client.place(limit("BUY", 10, 180, transmit=False))
    client.place(trail("SELL", auxPrice=2, parentId=parent))
    price(table, "195", "180")

    assert table.orders()[1]["stop_price"] == "178.00"


def test_where_the_stop_is_survives_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    price(table, "190")
    table.connect().place(trail("SELL", auxPrice=2))
    price(table, "195")
    table.gateway.commit()
    journal.close()

    again = Journal(tmp_path)
    later = Table(journal=again)
    try:
        price(later, "193")
        assert later.orders()[0]["status"] == "Filled"
    finally:
        again.close()


# --- touched -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "rests", "moves_to", "deal"),
    [
        (market("BUY", 10, orderType="MIT", auxPrice=188), "188.01", "187", "10@187.01"),
        (market("SELL", 10, orderType="MIT", auxPrice=192), "191.99", "193", "10@192.99"),
        (market("BUY", 10, orderType="LIT", auxPrice=188, lmtPrice=187.5), "188.01", "187.20", "10@187.21"),
        (market("SELL", 10, orderType="LIT", auxPrice=192, lmtPrice=192.5), "191.99", "193", "10@192.99"),
    ],
)
def test_an_order_if_touched_waits_for_the_better_price(
    table: Table, client: JoinedClient, order: Order, rests: str, moves_to: str, deal: str
) -> None:
    client.place(order)
    price(table, rests)
    assert client.order_news() == ["open 1 PreSubmitted 10", "status 1 PreSubmitted 0/10 trigger"]

    price(table, moves_to)

    assert deals(client) == [deal]


def test_a_touched_limit_rests_until_its_limit(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10, orderType="LIT", auxPrice=188, lmtPrice=187))

    price(table, "187.50")

    assert client.order_news()[-2:] == ["open 1 Submitted 10", "status 1 Submitted 0/10"]


# --- for the close -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "news"),
    [
        (market("BUY", 10, orderType="MOC"), ["deal 1 BOT 10@191", "open 1 Filled 10", "status 1 Filled 10/0"]),
        (
            market("BUY", 10, orderType="LOC", lmtPrice=192),
            ["deal 1 BOT 10@191", "open 1 Filled 10", "status 1 Filled 10/0"],
        ),
        (market("BUY", 10, orderType="LOC", lmtPrice=189), ["status 1 Cancelled 0/10", "error 1 202"]),
    ],
)
def test_an_order_for_the_close_deals_at_the_official_close_or_never(
    table: Table, client: JoinedClient, order: Order, news: list[str]
) -> None:
    client.place(order)
    assert client.order_news() == ["open 1 Submitted 10", "status 1 Submitted 0/10"]
    price(table, "188", "191")
    table.pass_time(hours=5, minutes=59)
    assert client.order_news() == []

    table.pass_time(minutes=1)

    assert client.order_news()[:3] == news


def test_after_the_close_it_waits_for_the_next_days() -> None:
    table = Table(start=datetime(2026, 1, 9, 22, 0, tzinfo=UTC))
    client = table.connect()
    client.place(market("BUY", 10, orderType="MOC"))

    table.pass_time(hours=60)
    assert deals(client) == []
    table.pass_time(hours=12)

    assert len(deals(client)) == 1


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (trail("SELL"), 158),
        (trail("SELL", auxPrice=2, trailingPercent=1), 158),
        (trail("SELL", trailingPercent=100), 159),
        (trail("SELL", trailingPercent=-1), 159),
        (trail("SELL", auxPrice=-2), 321),
        (trail("SELL", auxPrice=2.001), 110),
        (trail_limit("SELL", auxPrice=2), 321),
        (trail_limit("SELL", auxPrice=2, lmtPrice=187, lmtPriceOffset=1), 321),
        (trail_limit("SELL", auxPrice=2, lmtPriceOffset=0.005), 110),
        (market("SELL", 10, orderType="MIT"), 321),
        (market("SELL", 10, orderType="LIT", auxPrice=192), 321),
        (market("SELL", 10, orderType="LOC"), 321),
        (market("SELL", 10, orderType="MOC", tif="GTC"), 113),
        (stop("SELL", 10, 180, tif="OPG"), 111),
        (limit("BUY", 10, 180, tif="OPG", outsideRth=True), 411),
        (limit("BUY", 10, 180, tif="GTD"), 334),
        (limit("BUY", 10, 180, tif="GTD", goodTillDate="20260101 10:00:00"), 334),
        (limit("BUY", 10, 180, tif="GTD", goodTillDate="tomorrow"), 337),
        (limit("BUY", 10, 180, goodAfterTime="later"), 337),
    ],
)
def test_terms_that_do_not_go_together_are_refused(table: Table, client: JoinedClient, order: Order, code: int) -> None:
    client.place(order)

    assert client.order_news() == [f"error 1 {code}"]
    assert table.orders() == []


@pytest.mark.parametrize(
    "order",
    [market("BUY", 1, orderType="MOC"), market("BUY", 1, orderType="LOC", lmtPrice=5), limit("BUY", 1, 5, tif="OPG")],
)
def test_options_have_no_auctions(client: JoinedClient, order: Order) -> None:
    """[DOC] B9: 387."""
    client.place(order, Option("AAPL", "20260220", 190, "C", "SMART", currency="USD"))

    [told] = client.read()
    assert told.arguments[:3] == (1, 387, "Unsupported order type for this exchange and security type.")


# --- changes -------------------------------------------------------------------------------------------------


def test_a_change_of_the_size_leaves_the_trailing_stop_where_it_is(table: Table, client: JoinedClient) -> None:
    client.place(trail("SELL", auxPrice=2))
    price(table, "195", "194")

    client.place(market("SELL", 20, orderType="TRAIL", auxPrice=2, orderId=1))

    shown = echoed(client)
    assert (shown.totalQuantity, shown.trailStopPrice) == (20, 193)


def test_a_new_distance_sets_the_stop_anew(table: Table, client: JoinedClient) -> None:
    client.place(trail("SELL", auxPrice=2))
    price(table, "195", "194")

    client.place(trail("SELL", auxPrice=5, orderId=1))
    assert echoed(client).trailStopPrice == 189
    client.place(trail("SELL", trailingPercent=10, orderId=1))
    assert echoed(client).trailStopPrice == 174.6
    client.place(trail("SELL", trailingPercent=10, trailStopPrice=190, orderId=1))
    assert echoed(client).trailStopPrice == 190


def test_a_trailing_limit_takes_a_new_offset_beside_the_limit_it_was_told(table: Table, client: JoinedClient) -> None:
    client.place(trail_limit("SELL", auxPrice=2, lmtPriceOffset=0.5))

    client.place(trail_limit("SELL", auxPrice=2, lmtPriceOffset=1, lmtPrice=187.5, orderId=1))

    shown = echoed(client)
    assert (shown.trailStopPrice, shown.lmtPrice, shown.lmtPriceOffset) == (188, 187, 1)


@pytest.mark.parametrize(
    ("first", "second", "deal"),
    [
        (stop("SELL", 10, 185), trail("SELL", auxPrice=2), "10@187.99"),
        (trail("SELL", auxPrice=2), stop("SELL", 10, 188), "10@187.99"),
        (trail("SELL", auxPrice=2), trail_limit("SELL", auxPrice=2, lmtPriceOffset=1), "10@187.99"),
        (market("SELL", 10, orderType="MIT", auxPrice=199), limit("SELL", 10, 188), "10@189.99"),
        (market("BUY", 10, orderType="LIT", auxPrice=180, lmtPrice=181), market("BUY", 10), "10@190.01"),
    ],
)
def test_a_waiting_order_takes_another_type(
    table: Table, client: JoinedClient, first: Order, second: Order, deal: str
) -> None:
    order_id = client.place(first)
    client.place(Order(**{**second.dict(), "orderId": order_id}))

    price(table, "188")

    assert deals(client) == [deal]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (limit("SELL", 10, 200), market("SELL", 10, orderType="MOC")),
        (market("SELL", 10, orderType="LOC", lmtPrice=200), limit("SELL", 10, 200)),
        (limit("SELL", 10, 200), trail("SELL", auxPrice=2)),
    ],
)
def test_some_types_cannot_be_changed_to(table: Table, client: JoinedClient, first: Order, second: Order) -> None:
    order_id = client.place(first)
    client.read()

    client.place(Order(**{**second.dict(), "orderId": order_id}))

    [told] = client.read()
    assert told.arguments[:3] == (1, 329, "Order modify failed. Cannot change to the new order type.")
    assert table.orders()[0]["order_type"] == first.orderType


def test_an_order_for_the_close_takes_another_limit(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10, orderType="LOC", lmtPrice=180))

    client.place(market("BUY", 10, orderType="LOC", lmtPrice=195, orderId=1))
    table.pass_time(hours=6)

    assert deals(client) == ["10@190"]
