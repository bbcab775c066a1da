"""What becomes of an order after it was placed: changes, cancels, OCA groups; and orders that are no ordinary ones."""

from decimal import Decimal

import pytest
from ib_async import TagValue
from ib_async.order import PriceCondition

from tests.simulator.joined import JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


# --- changes -------------------------------------------------------------------------------------------------


def test_the_same_id_again_changes_the_order(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150, orderRef="first"))
    client.read()

    client.place(limit("BUY", 20, 151, orderId=1, orderRef="second", tif="GTC"))

    assert client.order_news() == ["open 1 Submitted 20", "status 1 Submitted 0/20"]
    [order] = table.orders()
    assert (order["limit_price"], order["tif"], order["order_ref"]) == ("151", "GTC", "first")


def test_a_change_to_market_fills(client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    client.read()

    client.place(market("BUY", 10, orderId=1))

    assert "status 1 Filled 10/0" in client.order_news()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (limit("SELL", 10, 150, orderId=1), 105),
        (limit("BUY", 10, 150.001, orderId=1), 110),
        (limit("BUY", 3, 150, orderId=1), 105),
        (limit("BUY", 10, 150, orderId=1, parentId=9), None),
        (limit("BUY", 12, 150, orderId=1, transmit=False), None),
        (limit("BUY", 10, 150, orderId=1, account="DU9"), 105),
    ],
)
def test_a_change_that_is_refused_leaves_the_order_as_it_was(
    table: Table, client: JoinedClient, change: object, code: int | None
) -> None:
    client.place(limit("BUY", 10, 150))
    table.control("fill", order_id=1, quantity="4")
    client.read()

    client.place(change)

    assert [line for line in client.order_news() if line.startswith("error")] == ([f"error 1 {code}"] if code else [])
    [order] = table.orders()
    assert (order["quantity"], order["limit_price"], order["live"]) == ("10", "150", True)


# --- changes by hand -----------------------------------------------------------------------------------------


def test_whoever_placed_an_order_is_told_what_somebody_at_tws_made_of_it(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    client.read()

    table.control("modify_order", order_id=1, quantity=4, limit_price="151.5")

    assert client.order_news() == ["open 1 Submitted 4", "status 1 Submitted 0/4"]
    [order] = table.orders()
    assert (order["quantity"], order["limit_price"], order["order_id"]) == ("4", "151.5", 1)


def test_an_entry_made_smaller_by_hand_takes_its_children_with_it(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=1))

    table.control("modify_order", order_id=1, quantity=4)

    assert [order["quantity"] for order in table.orders()] == ["4", "4"]


def test_a_stop_moved_by_hand_triggers_where_it_was_moved_to(table: Table, client: JoinedClient) -> None:
    client.place(stop("SELL", 10, 140))

    table.control("modify_order", order_id=1, stop_price="180")
    table.control("set_price", symbol="AAPL", price="179")

    [order] = table.orders()
    assert (order["stop_price"], order["status"]) == ("180", "Filled")


def test_a_limit_moved_by_hand_through_the_market_fills(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))

    table.control("modify_order", order_id=1, limit_price="195")

    assert [order["status"] for order in table.orders()] == ["Filled"]


@pytest.mark.parametrize("change", [{"limit_price": "150"}, {"stop_price": "150"}])
def test_a_trailing_order_is_moved_by_the_market_not_by_hand(table: Table, change: dict[str, str]) -> None:
    trailing = {"order_type": "TRAIL LIMIT", "trail_amount": "5", "limit_offset": "1"}
    perm_id = table.control("place_external", symbol="AAPL", action="SELL", quantity=10, **trailing)["order"]["perm_id"]

    assert table.control("modify_order", perm_id=perm_id, **change)["code"] == "refused"
    assert table.control("modify_order", perm_id=perm_id, quantity=5)["order"]["quantity"] == "5"


def test_what_is_being_cancelled_or_filled_so_far_is_not_changed_by_hand(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    table.control("fill", order_id=1, quantity="4")
    assert table.control("modify_order", order_id=1, quantity=4)["code"] == "refused"

    table.control("hold_cancels")
    client.api.cancelOrder(1)

    assert table.control("modify_order", order_id=1, quantity=5)["code"] == "refused"


def test_a_refusal_of_a_change_leaves_the_order_alive(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    table.control("reject_next", code=201, text="no")
    client.read()

    client.place(limit("BUY", 10, 151, orderId=1))

    assert client.order_news() == ["error 1 201"]
    assert table.orders()[0]["limit_price"] == "150"


# --- cancels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [157, 169, 178])
def test_a_cancel_is_confirmed_by_status_and_202(version: int) -> None:
    client = Table().connect(version=version)
    client.place(limit("BUY", 10, 150))
    client.read()

    client.api.cancelOrder(1)

    assert client.order_news() == ["status 1 Cancelled 0/10", "error 1 202"]


def test_by_switch_a_cancel_is_pending_first(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="cancel_sequence", value="pending_first")
    client.place(limit("BUY", 10, 150))
    client.read()

    client.api.cancelOrder(1)

    assert client.order_news() == [
        "status 1 PendingCancel 0/10",
        "status 1 PendingCancel 0/10",
        "status 1 Cancelled 0/10",
        "error 1 202",
    ]


def test_a_finished_order_cannot_be_cancelled(client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    client.read()

    client.api.cancelOrder(1)

    [told] = client.read()
    assert told.arguments[:3] == (1, 10148, "OrderId 1 that needs to be cancelled can not be cancelled, state: Filled.")


def test_a_foreign_order_is_not_found(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150, orderId=5))
    other = table.connect(client_id=2)

    other.api.cancelOrder(5)
    assert other.order_news() == ["error 5 10147"]

    table.control("set_switch", name="cross_client_cancel", value="allow")
    other.api.cancelOrder(5)
    assert table.orders()[0]["status"] == "Cancelled"


def test_a_global_cancel_takes_the_orders_of_everyone(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    client.place(market("BUY", 10, transmit=False))
    other = table.connect(client_id=2)
    other.place(limit("BUY", 10, 150))

    other.api.reqGlobalCancel()

    assert {order["status"] for order in table.orders()} == {"Cancelled"}


def test_a_cancel_by_the_system_says_why(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    client.read()

    table.control("cancel_order", order_id=1, reason="Price cap")

    errors = [told.arguments[2] for told in client.read() if told.name == "error"]
    assert errors == ["Order Canceled - reason:Price cap"]


# --- groups --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("oca_type", "left"), [(1, None), (2, "60"), (3, "60")])
def test_a_fill_in_a_group_reduces_or_cancels_the_others(
    table: Table, client: JoinedClient, oca_type: int, left: str | None
) -> None:
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=oca_type))
    client.place(limit("BUY", 100, 140, ocaGroup="g", ocaType=oca_type))
    client.place(limit("BUY", 100, 140, ocaGroup="other", ocaType=oca_type))

    table.control("fill", order_id=1, quantity="4")

    _first, second, third = table.orders()
    assert second["status"] == ("Cancelled" if left is None else "Submitted")
    assert left is None or second["remaining"] == left
    assert third["remaining"] == "100"


def test_a_clients_cancel_takes_the_group_a_systems_does_not(table: Table, client: JoinedClient) -> None:
    for _ in range(3):
        client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1))

    table.control("cancel_order", order_id=1)
    assert [order["live"] for order in table.orders()] == [False, True, True]
    client.api.cancelOrder(2)
    assert [order["live"] for order in table.orders()] == [False, False, False]


# --- the rest ------------------------------------------------------------------------------------------------


def test_a_what_if_order_is_answered_and_not_placed(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 100, whatIf=True))

    [told] = client.read()
    _id, _contract, order, state = told.arguments
    assert order.whatIf
    assert Decimal(state.initMarginChange) == Decimal("4750.00")
    assert (state.commission, state.commissionCurrency) == (1.0, "USD")
    assert table.orders() == []


def test_a_manual_order_is_bound_by_client_zero(table: Table) -> None:
    table.control("place_external", symbol="AAPL", action="BUY", quantity=10, order_type="LMT", limit_price="150")
    zero = table.connect(client_id=0)

    zero.api.reqAutoOpenOrders(True)
    zero.api.reqOpenOrders()

    assert zero.order_news() == ["open -1 Submitted 10", "status -1 Submitted 0/10"]
    zero.api.cancelOrder(-1)
    assert table.orders()[0]["status"] == "Cancelled"


def test_only_client_zero_may_bind(client: JoinedClient) -> None:
    client.api.reqAutoOpenOrders(True)

    assert client.order_news() == ["error -1 327"]


def test_algo_parameters_and_conditions_come_back(client: JoinedClient) -> None:
    order = limit("BUY", 10, 150, algoStrategy="Adaptive", algoParams=[TagValue("adaptivePriority", "Normal")])
    order.conditions = [PriceCondition(price=123.5, conId=265598, exch="SMART")]

    client.place(order)

    echoed = client.read()[0].arguments[2]
    assert echoed.algoParams == [TagValue("adaptivePriority", "Normal")]
    assert echoed.conditions == [PriceCondition(price=123.5, conId=265598, exch="SMART")]
