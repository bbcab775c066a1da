"""What IB refuses, remarks upon or holds back: table B9, each by its code and text."""

from typing import Any

import pytest
from ib_async import Order

from tests.simulator.joined import AAPL, JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def errors(client: JoinedClient) -> list[tuple[int, int, str]]:
    return [told.arguments[:3] for told in client.read() if told.name == "error"]


# --- by the nature of the order ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "refused"),
    [
        (limit("BUY", 10, 209.03), True),
        (limit("BUY", 10, 209.01), False),
        (limit("SELL", 10, 170.98), True),
        (limit("SELL", 10, 171), False),
        (limit("BUY", 10, 100), False),
        (market("BUY", 10, orderType="STP LMT", auxPrice=200, lmtPrice=220), True),
        (market("BUY", 10), False),
    ],
)
def test_a_limit_too_far_through_the_market_is_refused(
    table: Table, client: JoinedClient, order: Order, refused: bool
) -> None:
    table.control("set_price_cap", percent="10")

    client.place(order)

    assert [code for _id, code, _text in errors(client)] == ([109] if refused else [])
    assert bool(table.orders()) is not refused


def test_a_change_beyond_the_price_cap_leaves_the_order(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    table.control("set_price_cap", percent="10")
    client.read()

    client.place(limit("BUY", 10, 250, orderId=1))
    assert [code for _id, code, _text in errors(client)] == [109]
    assert table.orders()[0]["limit_price"] == "150"

    table.control("set_price_cap")
    client.place(limit("BUY", 10, 250, orderId=1))
    assert table.orders()[0]["status"] == "Filled"


def test_by_switch_the_21st_active_order_of_a_side_is_refused(table: Table, client: JoinedClient) -> None:
    """[DOC] B7: up to 20 active orders per contract, side and account, beyond 201."""
    table.control("set_switch", name="active_orders_limit", value="on")
    for _ in range(20):
        client.place(limit("BUY", 1, 150))
    assert errors(client) == []

    client.place(limit("BUY", 1, 150))
    client.place(limit("SELL", 1, 250))

    [(order_id, code, text)] = errors(client)
    assert (order_id, code) == (21, 201)
    assert text.startswith("Order rejected - reason:Your account has a minimum of 20 orders working on either the buy")
    assert [order["live"] for order in table.orders()[-2:]] == [False, True]


def test_by_switch_an_order_without_a_time_in_force_is_refused(table: Table, client: JoinedClient) -> None:
    """[CAPTURE] B9: 10052."""
    table.control("set_switch", name="empty_tif", value="refuse_10052")

    client.place(limit("BUY", 1, 150, tif=""))

    assert errors(client) == [(1, 10052, "Invalid time in force:Empty")]
    assert table.orders() == []


@pytest.mark.parametrize(
    ("held", "order", "warned"),
    [
        (10, market("SELL", 20), True),
        (10, market("SELL", 10), False),
        (-10, market("BUY", 11), True),
        (0, market("SELL", 5), False),
    ],
)
def test_by_switch_an_order_that_turns_the_position_is_remarked_upon(
    table: Table, client: JoinedClient, held: int, order: Order, warned: bool
) -> None:
    """[DOC] B9: 2137, a warning."""
    table.control("set_switch", name="cross_side_warning", value="on")
    table.control("set_position", symbol="AAPL", quantity=held)
    client.read()

    client.place(order)

    assert [code for _id, code, _text in errors(client)] == ([2137] if warned else [])
    assert table.orders()[0]["status"] == "Filled"


@pytest.mark.parametrize("parent_type", ["STP", "MIT"])
def test_a_trailing_child_hangs_on_limits_only(client: JoinedClient, parent_type: str) -> None:
    """[CAPTURE] B9: 328."""
    parent = client.place(market("BUY", 1, orderType=parent_type, auxPrice=195, transmit=False))

    client.place(market("SELL", 1, orderType="TRAIL", auxPrice=2, parentId=parent))

    assert [code for _id, code, _text in errors(client)] == [328]


# --- by command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (203, "The security is not available or allowed for this account.", "Inactive"),
        (460, "No trading permissions.", "Inactive"),
        (201, "Order rejected - reason:", "Inactive"),
        (387, "Unsupported order type for this exchange and security type.", "Inactive"),
        (388, "Order size is smaller than the minimum requirement.", "Inactive"),
        (411, "The 'Outside Regular Trading Hours' flag is not valid for this order.", "Inactive"),
    ],
)
def test_a_refusal_asked_for_has_ibs_text(
    table: Table, client: JoinedClient, code: int, text: str, status: str
) -> None:
    table.control("reject_next", code=code)

    client.place(market("BUY", 1))

    assert errors(client) == [(1, code, text)]
    assert table.orders()[0]["status"] == status


def test_a_change_may_come_too_soon(table: Table, client: JoinedClient) -> None:
    """[DOC] B9: 2102, try again; it does not meet a new order."""
    client.place(limit("BUY", 1, 150))
    table.control("reject_next", code=2102, on="change")
    client.place(limit("BUY", 1, 150))
    client.read()

    client.place(limit("BUY", 1, 151, orderId=1))
    assert errors(client) == [(1, 2102, "Unable to modify this order as it is still being processed.")]
    client.place(limit("BUY", 1, 151, orderId=1))

    assert table.orders()[0]["limit_price"] == "151"


def test_a_refusal_of_a_new_order_spares_changes(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 1, 150))
    table.control("reject_next", code=201, on="new")

    client.place(limit("BUY", 1, 151, orderId=1))
    client.place(limit("BUY", 1, 150))

    assert [order["status"] for order in table.orders()] == ["Submitted", "Inactive"]


def test_a_short_sale_waits_until_shares_are_located(table: Table, client: JoinedClient) -> None:
    """[DOC] B9: 404, the order lives with whyHeld "locate"."""
    table.control("require_locate", symbol="AAPL")

    client.place(market("SELL", 10))

    assert client.order_news()[:3] == ["error 1 404", "open 1 PreSubmitted 10", "status 1 PreSubmitted 0/10 locate"]
    table.control("set_price", symbol="AAPL", price="189")
    assert table.orders()[0]["filled"] == "0"
    assert table.control("release_locate", order_id=1)["ok"]
    assert "deal 1 SLD 10@188.99" in client.order_news()
    assert table.control("release_locate", order_id=1)["code"] == "order_not_live"


def test_only_short_sales_need_a_locate(table: Table, client: JoinedClient) -> None:
    table.control("require_locate", symbol="AAPL")
    table.control("set_position", symbol="AAPL", quantity=10)

    client.place(market("SELL", 10))
    client.place(market("BUY", 10))
    table.control("require_locate", symbol="AAPL", required=False)
    client.place(market("SELL", 20))

    assert [order["status"] for order in table.orders()] == ["Filled"] * 3


def test_a_child_needs_no_locate(table: Table, client: JoinedClient) -> None:
    table.control("require_locate", symbol="AAPL")
    parent = client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=parent))

    assert table.orders()[1]["why_held"] == "child,trigger"


@pytest.mark.parametrize(("code", "text"), [(10349, "x"), (10148, "y"), (399, "z"), (2109, "w")])
def test_a_remark_leaves_the_order_alive(table: Table, client: JoinedClient, code: int, text: str) -> None:
    client.place(limit("BUY", 1, 150))
    client.read()

    table.control("inform", order_id=1, code=code, text=text)

    assert errors(client) == [(1, code, text)]
    assert table.orders()[0]["live"]
    table.control("cancel_order", order_id=1)
    assert table.control("inform", order_id=1, code=code, text=text)["code"] == "order_not_live"


def test_a_price_cap_of_the_system_cancels(table: Table, client: JoinedClient) -> None:
    """[DOC] B9: 202 with its reason."""
    client.place(limit("BUY", 1, 150))
    client.read()

    table.control("cancel_order", order_id=1, reason="price cap")

    assert errors(client) == [(1, 202, "Order Canceled - reason:price cap")]


# --- what is told of a deal ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "news"),
    [
        ("status_missing", ["deal 1 BOT 1@190.01", "commission 1"]),
        (
            "status_twice",
            ["deal 1 BOT 1@190.01", *["open 1 Filled 1", "status 1 Filled 1/0"] * 2, "commission 1"],
        ),
        ("commission_late", ["deal 1 BOT 1@190.01", "open 1 Filled 1", "status 1 Filled 1/0"]),
    ],
)
def test_a_deal_is_told_in_the_sequence_of_the_switch(
    table: Table, client: JoinedClient, sequence: str, news: list[str]
) -> None:
    """[DOC] B3: statuses may be missing or doubled; the order of the three kinds is not guaranteed."""
    table.control("set_switch", name="fill_sequence", value=sequence)

    client.place(market("BUY", 1))

    assert client.order_news()[2:] == news


@pytest.mark.parametrize("by_command", [True, False])
def test_a_late_commission_comes_by_command_or_in_time(table: Table, client: JoinedClient, by_command: bool) -> None:
    table.control("set_switch", name="fill_sequence", value="commission_late")
    client.place(market("BUY", 1))
    client.read()

    if by_command:
        assert table.control("release_commissions")["told"] == 1
    else:
        table.pass_time(seconds=4)
        assert client.order_news() == []
        table.pass_time(seconds=1)

    assert client.order_news() == ["commission 1"]


# --- whose orders --------------------------------------------------------------------------------------------


def test_a_master_client_hears_of_everybodys_orders(table: Table, client: JoinedClient) -> None:
    """[DOC] B4: openOrder, orderStatus, executions and commissions of all clients."""
    master, bystander = table.connect(client_id=9), table.connect(client_id=8)
    table.control("set_master_client", client_id=9)

    client.place(market("BUY", 1))

    own, heard = client.order_news(), master.order_news()
    assert heard == own
    assert "commission 1" in heard
    assert bystander.order_news() == []
    table.control("set_master_client")
    client.place(market("BUY", 1))
    assert master.order_news() == []


def test_the_master_hears_of_its_own_orders_once(table: Table) -> None:
    master = table.connect(client_id=9)
    table.control("set_master_client", client_id=9)

    master.place(limit("BUY", 1, 150))

    assert master.order_news() == ["open 1 Submitted 1", "status 1 Submitted 0/1"]


def test_another_clients_order_cannot_be_changed(table: Table, client: JoinedClient) -> None:
    """[DOC] B4: only the same client may modify; the same number is an order of its own."""
    client.place(limit("BUY", 1, 150))
    other = table.connect(client_id=2)

    other.place(limit("BUY", 5, 140, orderId=1))

    assert [(order["client_id"], order["quantity"]) for order in table.orders()] == [(1, "1"), (2, "5")]


def test_a_manual_order_is_changed_under_its_bound_id_and_never_under_0(table: Table) -> None:
    """[DOC] B4: client 0 binds manual orders; orderId 0 cannot be modified."""
    external: dict[str, Any] = {"symbol": "AAPL", "action": "BUY", "quantity": 10}
    table.control("place_external", **external, order_type="TRAIL", trail_amount="5")
    table.control("place_external", **external, order_type="LMT", limit_price="150")
    zero = table.connect(client_id=0)
    zero.api.placeOrder(0, AAPL, limit("BUY", 11, 151))
    assert errors(zero) == [(0, 103, "Duplicate order id")]
    zero.api.reqOpenOrders()
    zero.read()

    zero.place(limit("BUY", 12, 152, orderId=-2))

    assert [(order["order_id"], order["quantity"]) for order in table.orders()[:2]] == [(-1, "10"), (-2, "12")]
    assert table.orders()[0]["stop_price"] == "195.00"


def test_the_reference_is_kept_for_life(table: Table, client: JoinedClient) -> None:
    """[DOC] B4: a change cannot alter it, executions carry it."""
    client.place(limit("BUY", 10, 150, orderRef="first"))
    client.place(limit("BUY", 10, 195, orderRef="second", orderId=1))

    told = client.read()
    assert {item.arguments[2].orderRef for item in told if item.name in {"openOrder", "execDetails"}} == {"first"}


# --- an outage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("switch", "limits"), [("one_order", ["151"]), ("two_orders", ["150", "151"])])
def test_by_switch_a_change_during_an_outage_makes_a_second_live_order(
    table: Table, client: JoinedClient, switch: str, limits: list[str]
) -> None:
    table.control("set_switch", name="modify_during_outage", value=switch)
    client.place(limit("BUY", 10, 150))
    table.gateway.scenario.outage = True

    client.place(limit("BUY", 10, 151, orderId=1))
    table.gateway.scenario.outage = False

    live = [order for order in table.orders() if order["live"]]
    assert [order["limit_price"] for order in live] == limits
    assert {order["order_id"] for order in live} == {1}
    assert len({order["perm_id"] for order in live}) == len(limits)
    table.control("set_price", symbol="AAPL", price="149")
    assert sum(int(order["filled"]) for order in table.orders()) == 10 * len(limits)
