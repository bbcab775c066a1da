"""Placing single orders: types, times in force, refusals, ids."""

import pytest
from ib_async import ComboLeg, Contract, Order, Stock, TagValue
from ib_async.order import OrderComboLeg

from tests.simulator.joined import AAPL, JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def test_a_market_order_is_told_deal_first_and_commission_last(client: JoinedClient) -> None:
    client.place(market("SELL", 300))

    assert client.order_news() == [
        "open 1 Submitted 300",
        "status 1 Submitted 0/300",
        "deal 1 SLD 300@189.99",
        "open 1 Filled 300",
        "status 1 Filled 300/0",
        "commission 1.5",
    ]


def test_by_switch_the_status_comes_before_the_deal(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="fill_sequence", value="status_first")

    client.place(market("BUY", 1))

    assert client.order_news()[2:5] == ["open 1 Filled 1", "status 1 Filled 1/0", "deal 1 BOT 1@190.01"]


@pytest.mark.parametrize(
    ("order", "rests_at", "moves_to", "deal"),
    [
        (limit("BUY", 10, 189.5), "190", "189.40", "10@189.5"),
        (limit("SELL", 10, 190.5), "190", "190.50", "10@190.5"),
        (stop("SELL", 10, 189.5), "190", "189.00", "10@188.99"),
        (stop("BUY", 10, 190.5), "190", "191.00", "10@191.01"),
        (stop("BUY", 10, 190.5), "190", "190.50", "10@190.51"),
        (stop("SELL", 10, 189.5), "190", "189.50", "10@189.49"),
        (limit("BUY", 10, 189.5), "190", "189.50", "10@189.5"),
        (market("BUY", 10, orderType="STP LMT", auxPrice=191, lmtPrice=191.5), "190", "191.20", "10@191.21"),
        (market("SELL", 10, orderType="STP LMT", auxPrice=189, lmtPrice=188.5), "190", "188.80", "10@188.79"),
    ],
)
def test_an_order_rests_until_the_price_reaches_it(
    table: Table, client: JoinedClient, order: object, rests_at: str, moves_to: str, deal: str
) -> None:
    client.place(order)
    table.control("set_price", symbol="AAPL", price=rests_at)
    assert not [line for line in client.order_news() if line.startswith("deal")]

    table.control("set_price", symbol="AAPL", price=moves_to)

    assert [line.split()[-1] for line in client.order_news() if line.startswith("deal")] == [deal]


def test_a_stop_limit_that_gaps_past_its_limit_rests(table: Table, client: JoinedClient) -> None:
    client.place(market("SELL", 10, orderType="STP LMT", auxPrice=189, lmtPrice=188.5))

    table.control("set_price", symbol="AAPL", price="187")
    assert client.order_news()[-1] == "status 1 Submitted 0/10"
    table.control("set_price", symbol="AAPL", price="188.60")

    assert "deal 1 SLD 10@188.5" in client.order_news()


def test_a_marketable_limit_deals_at_the_quote(client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 195))

    assert "deal 1 BOT 10@190.01" in client.order_news()


def test_partial_fills_share_one_minimum_commission(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 400, 150))
    client.read()

    for quantity in ("100", "100", "200"):
        table.control("fill", order_id=1, quantity=quantity)

    news = client.order_news()
    assert [line for line in news if line.startswith("commission")] == ["commission 1", "commission 0", "commission 1"]
    assert [line for line in news if line.startswith("status")] == [
        "status 1 Submitted 100/300",
        "status 1 Submitted 200/200",
        "status 1 Filled 400/0",
    ]


# --- time in force -------------------------------------------------------------------------------------------


def test_an_order_without_a_time_in_force_becomes_a_day_order_and_says_so(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150, tif=""))

    assert client.order_news()[0] == "error 1 10349"
    assert table.orders()[0]["tif"] == "DAY"


def test_what_an_immediate_order_cannot_have_is_cancelled(client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150, tif="IOC"))

    assert client.order_news()[2:] == ["status 1 PendingCancel 0/10", "status 1 Cancelled 0/10", "error 1 202"]


def test_a_fill_or_kill_order_that_is_killed_is_inactive(client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150, tif="FOK"))

    assert client.order_news()[2:] == ["status 1 Inactive 0/10"]


def test_a_fill_or_kill_order_at_the_market_fills(client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 195, tif="FOK"))

    assert client.order_news()[-2:] == ["status 1 Filled 10/0", "commission 1"]


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "contract", "code"),
    [
        (market("BUY", 10), Stock("NOSUCH", "SMART", "USD"), 200),
        (market("BUY", 10), Stock("AAPL", "SMART", "EUR"), 200),
        (market("BUY", 10), Stock("AAPL", "NOWHERE", "USD"), 200),
        (market("BUY", 10, orderType="MAGIC"), AAPL, 321),
        (market("HOLD", 10), AAPL, 321),
        (market("BUY", 10, tif="NEVER"), AAPL, 321),
        (market("BUY", 10, account="DU0000000"), AAPL, 321),
        (market("BUY", 0), AAPL, 434),
        (market("BUY", 1.5), AAPL, 10243),
        (limit("BUY", 10, 190.001), AAPL, 110),
        (stop("SELL", 10, 185.005), AAPL, 110),
        (market("BUY", 10, orderType="LMT"), AAPL, 321),
        (stop("SELL", 10, -1), AAPL, 321),
    ],
)
def test_an_order_ib_would_not_take_is_an_error_and_nothing_else(
    table: Table, client: JoinedClient, order: object, contract: Stock, code: int
) -> None:
    client.place(order, contract)

    assert client.order_news() == [f"error 1 {code}"]
    assert table.orders() == []


def test_a_combination_is_read_to_its_end_and_refused(client: JoinedClient) -> None:
    legs = [ComboLeg(conId=1, ratio=1, action="BUY", exchange="SMART"), ComboLeg(conId=2, ratio=1, action="SELL")]
    combination = Contract(secType="BAG", symbol="AAPL", exchange="SMART", currency="USD", comboLegs=legs)
    order = limit("BUY", 1, 1.5, orderComboLegs=[OrderComboLeg(price=1.5)])
    order.smartComboRoutingParams = [TagValue("NonGuaranteed", "1")]

    client.place(order, combination)
    client.api.reqMktData(7, combination, "", True, False, [])
    client.api.reqHistoricalData(8, combination, "", "1 D", "1 hour", "TRADES", True, 1, False, [])

    assert client.order_news() == ["error 1 200", "error 7 200", "error 8 200"]


@pytest.mark.parametrize(
    "order",
    [
        market("BUY", 10, orderType="PEG BENCH", referenceContractId=5),
        market("BUY", 10, orderType="PEG BEST", minCompeteSize=5, competeAgainstBestOffset=0.5),
        market("BUY", 10, orderType="PEG MID", midOffsetAtWhole=0.1),
    ],
)
def test_pegged_orders_are_read_to_their_end_and_refused(client: JoinedClient, order: Order) -> None:
    client.place(order)

    [told] = client.read()
    assert told.arguments[:2] == (1, 321)
    assert "order type" in told.arguments[2]


@pytest.mark.parametrize("version", [157, 178])
def test_scale_and_delta_neutral_fields_come_back(version: int) -> None:
    client = Table().connect(version=version)

    client.place(
        limit(
            "BUY",
            10,
            150,
            scalePriceIncrement=0.5,
            scaleInitPosition=3,
            deltaNeutralOrderType="MKT",
            deltaNeutralConId=9,
        )
    )

    echoed = client.read()[0].arguments[2]
    assert (echoed.scalePriceIncrement, echoed.scaleInitPosition) == (0.5, 3)
    assert (echoed.deltaNeutralOrderType, echoed.deltaNeutralConId) == ("MKT", 9)


def test_with_several_accounts_an_order_must_name_one() -> None:
    client = Table(accounts=("DU1", "DU2")).connect()

    client.place(market("BUY", 1))
    client.place(market("BUY", 1, account="DU2"))

    assert client.order_news()[:2] == ["error 1 435", "open 2 PreSubmitted 1"]


@pytest.mark.parametrize(
    ("sequence", "news"),
    [
        ("error_then_inactive", ["error 1 201", "open 1 Inactive 10", "status 1 Inactive 0/10"]),
        ("inactive_then_error", ["open 1 Inactive 10", "status 1 Inactive 0/10", "error 1 201"]),
        ("error_then_cancelled", ["error 1 201", "open 1 Cancelled 10", "status 1 Cancelled 0/10"]),
        ("error_only", ["error 1 201"]),
    ],
)
def test_a_refusal_is_told_in_the_sequence_of_the_switch(
    table: Table, client: JoinedClient, sequence: str, news: list[str]
) -> None:
    table.control("set_switch", name="reject_sequence", value=sequence)
    table.control("reject_next", code=201, text="Order rejected - reason:x")

    client.place(market("BUY", 10))

    assert client.order_news() == news


def test_a_refusal_waits_for_the_order_it_is_meant_for_and_is_used_up(client: JoinedClient, table: Table) -> None:
    table.control("reject_next", code=203, text="no", symbol="MSFT", count=2)

    client.place(market("BUY", 1))
    for _ in range(3):
        client.place(market("BUY", 1), Stock("MSFT", "SMART", "USD"))

    assert [order["status"] for order in table.orders()] == ["Filled", "Inactive", "Inactive", "Filled"]


def test_a_refusal_without_a_status_code_tells_no_status(client: JoinedClient, table: Table) -> None:
    table.control("reject_next", code=321, text="no")

    client.place(market("BUY", 1))

    assert client.order_news() == ["error 1 321"]
    assert not table.orders()[0]["live"]


def test_a_read_only_gateway_takes_no_orders_and_gives_no_ids(client: JoinedClient, table: Table) -> None:
    table.control("set_switch", name="read_only", value="on")

    client.place(market("BUY", 1))
    client.api.cancelOrder(1)
    client.api.reqIds(1)

    assert client.order_news() == ["error 1 321", "error 1 321", "error -1 321"]


# --- ids -----------------------------------------------------------------------------------------------------


def test_an_id_must_be_above_all_former_ones(client: JoinedClient) -> None:
    client.place(limit("BUY", 1, 150, orderId=10))
    client.read()

    client.place(limit("BUY", 1, 150, orderId=9))

    assert client.order_news() == ["error 9 103"]


@pytest.mark.parametrize(("end", "code"), [("fill", 104), ("cancel_order", 103)])
def test_the_id_of_a_finished_order_cannot_be_used_again(
    table: Table, client: JoinedClient, end: str, code: int
) -> None:
    client.place(limit("BUY", 1, 150))
    table.control(end, order_id=1)
    client.read()

    client.place(limit("BUY", 1, 150, orderId=1))

    assert client.order_news() == [f"error 1 {code}"]


def test_each_client_has_ids_of_its_own(table: Table, client: JoinedClient) -> None:
    other = table.connect(client_id=2)

    client.place(limit("BUY", 1, 150))
    other.place(limit("BUY", 2, 150))

    assert client.order_news() == ["open 1 Submitted 1", "status 1 Submitted 0/1"]
    assert other.order_news() == ["open 1 Submitted 2", "status 1 Submitted 0/2"]
    assert table.control("state")["next_valid_ids"] == {"1": 2, "2": 2}


def test_rolled_back_ids_are_given_out_again(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 1))
    client.place(limit("BUY", 1, 150))

    table.control("roll_back_next_id", by=2)
    client.read()
    client.place(market("BUY", 5, orderId=1))
    client.place(limit("BUY", 9, 150, orderId=2))

    assert [(order["order_id"], order["quantity"]) for order in table.orders()] == [(1, "1"), (2, "9"), (1, "5")]
