"""Groups where one order cancels or reduces the others, and how much their members may deal in all."""

import pytest

from tests.simulator.joined import IN_HOURS, JoinedClient, Table, limit, market, stop, table_at


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


@pytest.mark.parametrize(
    ("oca_type", "overfill", "filled"),
    [(1, "on", ["10", "0"]), (2, "on", ["10", "0"]), (3, "off", ["10", "0"]), (3, "on", ["10", "10"])],
)
def test_only_a_group_without_block_can_overfill(
    table: Table, client: JoinedClient, oca_type: int, overfill: str, filled: list[str]
) -> None:
    """[DOC] B2: types 1 and 2 route one order at a time; type 3 may fill twice when both are marketable at once."""
    table.control("set_switch", name="oca_overfill", value=overfill)
    for price in (185, 184):
        client.place(limit("BUY", 10, price, ocaGroup="g", ocaType=oca_type))

    table.control("set_price", symbol="AAPL", price="180")

    assert [order["filled"] for order in table.orders()] == filled


@pytest.mark.parametrize("overfill", ["off", "on"])
def test_the_children_of_a_bracket_never_sell_more_than_was_bought(
    table: Table, client: JoinedClient, overfill: str
) -> None:
    table.control("set_switch", name="oca_overfill", value=overfill)
    parent = client.place(market("BUY", 10, transmit=False))
    client.place(limit("SELL", 10, 195, parentId=parent, transmit=False))
    client.place(stop("SELL", 10, 194, parentId=parent))
    table.control("pause_fills")
    table.control("set_price", symbol="AAPL", price="200")

    table.control("resume_fills")

    assert table.control("state")["positions"] == []


def test_a_smaller_entry_makes_its_children_smaller(table: Table, client: JoinedClient) -> None:
    """[ISSUE] B1: the quantity of children is forced to their parent's."""
    parent = client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=parent))
    client.read()

    client.place(limit("BUY", 4, 150, orderId=parent))

    assert client.order_news()[-2:] == ["open 2 PreSubmitted 4", "status 2 PreSubmitted 0/4 child,trigger"]


def test_an_expiry_leaves_the_group_alone() -> None:
    """[DOC] B2: a cancel by the system does not cancel the others."""
    table = table_at(IN_HOURS)
    client = table.connect()
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1))
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1, tif="GTC"))

    table.pass_time(hours=6)

    assert [order["status"] for order in table.orders()] == ["Cancelled", "PreSubmitted"]


def test_the_group_of_an_order_cannot_be_changed(table: Table, client: JoinedClient) -> None:
    """[DOC] 10326."""
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1))
    client.read()

    client.place(limit("BUY", 10, 151, ocaGroup="h", ocaType=1, orderId=1))

    assert client.order_news() == ["error 1 10326"]
    assert table.orders()[0]["oca_group"] == "g"
