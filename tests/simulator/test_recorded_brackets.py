"""What is told of a bracket, as recorded at real gateways or documented by IB; the tags are those of the facts."""

import pytest

from tests.simulator.joined import AFTER_HOURS, IN_HOURS, JoinedClient, Table, limit, market, stop, table_at


@pytest.fixture
def table() -> Table:
    return table_at(IN_HOURS)


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def place_bracket(client: JoinedClient, entry: object = None) -> None:
    """Entry for 1 (market unless given), target at 200, stop at 185."""
    parent = client.place(entry or market("BUY", 1, transmit=False))
    client.place(limit("SELL", 1, 200, parentId=parent, transmit=False))
    client.place(stop("SELL", 1, 185, parentId=parent, transmit=True))


def test_a_bracket_outside_hours() -> None:
    """[CAPTURE] B1: 399 and pair of the parent; pair, 399, pair of the target; 399 and pair of the stop; all again."""
    client = table_at(AFTER_HOURS).connect()

    place_bracket(client)

    parent = ["open 1 PreSubmitted 1", "status 1 PreSubmitted 0/1"]
    target = ["open 2 PreSubmitted 1", "status 2 PreSubmitted 0/1 child"]
    stop_loss = ["open 3 PreSubmitted 1", "status 3 PreSubmitted 0/1 child,trigger"]
    assert client.order_news() == [
        *("error 1 399", *parent),
        *(*target, "error 2 399", *target),
        *("error 3 399", *stop_loss),
        *(*parent, *target, *stop_loss),
    ]


def test_a_bracket_inside_hours(client: JoinedClient) -> None:
    """[CAPTURE] B1 without 399: the parent, its children held, all again; then the parent fills and they are live."""
    place_bracket(client)

    held = [
        *("open 1 PreSubmitted 1", "status 1 PreSubmitted 0/1"),
        *("open 2 PreSubmitted 1", "status 2 PreSubmitted 0/1 child"),
        *("open 3 PreSubmitted 1", "status 3 PreSubmitted 0/1 child,trigger"),
    ]
    assert client.order_news() == [
        *(*held, *held),
        *("deal 1 BOT 1@190.01", "open 1 Filled 1", "status 1 Filled 1/0", "commission 1"),
        *("open 2 Submitted 1", "status 2 Submitted 0/1"),
        *("open 3 PreSubmitted 1", "status 3 PreSubmitted 0/1 trigger"),
    ]


def test_children_name_their_parents_perm_id_as_group_of_type_3(client: JoinedClient) -> None:
    """[CAPTURE] B1: parentPermId, ocaGroup and ocaType 3, though the client sent none; consecutive permIds."""
    place_bracket(client)

    orders = {told.arguments[0]: told.arguments[2] for told in client.read() if told.name == "openOrder"}
    assert [order.permId - orders[1].permId for order in orders.values()] == [0, 1, 2]
    assert [(order.ocaGroup, order.ocaType) for order in (orders[2], orders[3])] == [(str(orders[1].permId), 3)] * 2


def test_a_target_that_fills_cancels_the_stop(client: JoinedClient) -> None:
    """[CAPTURE-derived] B1: the target is changed to a marketable price and fills; the group cancels the stop."""
    place_bracket(client)
    client.read()

    client.place(limit("SELL", 1, 180, orderId=2, parentId=0))

    assert client.order_news() == [
        *("open 2 Submitted 1", "status 2 Submitted 0/1"),
        *("deal 2 SLD 1@189.99", "open 2 Filled 1", "status 2 Filled 1/0", "commission 1"),
        *("status 3 Cancelled 0/1", "error 3 202"),
    ]


def test_an_order_that_is_not_transmitted_is_silent_until_it_is(client: JoinedClient) -> None:
    """[CAPTURE] B1: nothing at all is told of transmit=False before the same id comes again with True."""
    client.place(limit("BUY", 1, 150, transmit=False))
    assert client.read() == []

    client.place(limit("BUY", 1, 150, orderId=1, transmit=True))

    assert client.order_news() == ["open 1 Submitted 1", "status 1 Submitted 0/1"]


def test_a_trailing_child_of_a_market_parent_is_refused_and_the_rest_discarded(client: JoinedClient) -> None:
    """[CAPTURE] B1: 328; the untransmitted rest stays; a global cancel then says that it was discarded."""
    parent = client.place(market("BUY", 1, transmit=False))
    client.place(market("SELL", 1, orderType="TRAIL", auxPrice=2, parentId=parent))
    [refused] = client.read()
    trailing = "Trailing stop orders can be attached to limit or stop-limit orders only."
    assert refused.arguments[:3] == (2, 328, trailing)

    client.api.reqGlobalCancel()

    status, error = client.read()
    assert status.arguments[:2] == (1, "Cancelled")
    assert error.arguments[:3] == (1, 202, "Order Canceled - reason:Order was discarded.")


def test_children_fall_with_their_cancelled_parent(client: JoinedClient) -> None:
    """[ISSUE] B1: a cancelled parent cancels its children."""
    place_bracket(client, limit("BUY", 1, 150, transmit=False))
    client.read()

    client.api.cancelOrder(1)

    assert client.order_news() == [
        *("status 1 Cancelled 0/1", "error 1 202"),
        *("status 2 Cancelled 0/1", "error 2 202"),
        *("status 3 Cancelled 0/1", "error 3 202"),
    ]


def test_a_child_of_a_parent_that_is_being_cancelled_is_rejected(table: Table, client: JoinedClient) -> None:
    """[ISSUE] B1: 201 with the reason that the parent is being cancelled."""
    client.place(limit("BUY", 1, 150))
    table.control("hold_cancels")
    client.api.cancelOrder(1)
    client.read()

    client.place(stop("SELL", 1, 140, parentId=1))

    [told] = client.read()
    assert told.arguments[:3] == (2, 201, "Order rejected - reason:Parent order is being cancelled.")


@pytest.mark.parametrize(("activate", "live"), [("on_partial", True), ("on_full", False)])
def test_a_partly_filled_parent_wakes_its_children_early_or_late(activate: str, live: bool) -> None:
    """[ISSUE] B1: children were live before their parent was filled; by switch they wait for all of it."""
    table = table_at(IN_HOURS)
    client = table.connect()
    table.control("set_switch", name="children_activate", value=activate)
    parent = client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=parent))
    client.read()

    table.control("fill", order_id=1, quantity=4, price="150")

    told = ["deal 1 BOT 4@150", "open 1 Submitted 10", "status 1 Submitted 4/6", "commission 1"]
    woken = ["open 2 PreSubmitted 10", "status 2 PreSubmitted 0/10 trigger"]
    assert client.order_news() == told + (woken if live else [])


@pytest.mark.parametrize(
    ("policy", "news"),
    [
        ("keep_filled", ["open 2 PreSubmitted 4", "status 2 PreSubmitted 0/4 trigger"]),
        ("keep_full", ["open 2 PreSubmitted 10", "status 2 PreSubmitted 0/10 trigger"]),
        ("cancel", ["status 2 Cancelled 0/10", "error 2 202"]),
    ],
)
def test_what_a_cancelled_remainder_of_the_parent_leaves(policy: str, news: list[str]) -> None:
    """[UNVERIFIED] B1: no source says; three values of a switch."""
    table = table_at(IN_HOURS)
    client = table.connect()
    table.control("set_switch", name="children_after_partial_cancel", value=policy)
    parent = client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=parent))
    table.control("fill", order_id=1, quantity=4, price="150")
    client.read()

    client.api.cancelOrder(1)

    assert client.order_news() == ["status 1 Cancelled 4/6", "error 1 202", *news]


def test_a_child_that_comes_before_its_parent_is_refused(client: JoinedClient) -> None:
    """[DOC] B1: 10006 "Missing parent order"."""
    client.place(stop("SELL", 1, 185, parentId=77))

    assert client.order_news() == ["error 1 10006"]


def test_a_change_that_names_a_finished_parent_is_refused(client: JoinedClient) -> None:
    """[ISSUE] A6: 135 with the parent's id; without parentId the change is taken."""
    place_bracket(client)
    client.read()

    client.place(stop("SELL", 1, 186, orderId=3, parentId=1))
    [told] = client.read()
    assert told.arguments[:3] == (3, 135, "Can't find order with id = 1")

    client.place(stop("SELL", 1, 186, orderId=3, parentId=0))
    assert client.order_news() == ["open 3 PreSubmitted 1", "status 3 PreSubmitted 0/1 trigger"]
