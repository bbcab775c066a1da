"""What happens to positions and orders without a word of ours: splits, transfers, other programs, late reports."""

from decimal import Decimal

import pytest
from ib_async import ExecutionFilter

from tests.simulator.joined import ACCOUNT, JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def place_bracket(client: JoinedClient) -> None:
    parent = client.place(market("BUY", 10, transmit=False))
    client.place(limit("SELL", 10, 200, parentId=parent, transmit=False))
    client.place(stop("SELL", 10, 180, parentId=parent))


def positions_told(client: JoinedClient) -> list[Decimal]:
    return [told.arguments[2] for told in client.read() if told.name == "position"]


def asked(client: JoinedClient) -> list[Decimal]:
    client.read()
    client.api.reqPositions()
    return positions_told(client)


# --- late position reports -------------------------------------------------------------------------------------


def test_a_position_is_reported_later_than_its_deal(table: Table, client: JoinedClient) -> None:
    table.control("lag_positions", seconds=2)
    client.api.reqPositions()
    client.read()

    client.place(market("BUY", 10))

    assert [told.name for told in client.read() if told.name in {"execDetails", "position"}] == ["execDetails"]
    assert asked(client) == []
    table.clock.advance(seconds=2)
    table.gateway.wake()
    assert positions_told(client) == [10]
    assert asked(client) == [10]


def test_late_reports_come_in_their_order(table: Table, client: JoinedClient) -> None:
    client.api.reqPositions()
    table.control("lag_positions", seconds=5)
    for _ in range(3):
        client.place(market("BUY", 10))
        table.clock.advance(seconds=1)
    table.gateway.wake()
    assert positions_told(client) == []

    table.control("lag_positions", seconds=0)

    assert positions_told(client) == [10, 20, 30]


def test_a_lag_does_not_hide_what_was_held_before(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    table.control("lag_positions", seconds=60)

    client.place(market("SELL", 10))

    assert asked(client) == [10]
    assert table.control("state")["positions"] == []


# --- changes without deals --------------------------------------------------------------------------------------


def test_a_transfer_adds_to_a_position_without_a_deal(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    client.api.reqPositions()
    client.read()

    answer = table.control("transfer", symbol="AAPL", quantity="-4")

    assert answer["quantity"] == "6"
    assert [told.name for told in client.read()] == ["position"]


@pytest.mark.parametrize(
    ("switch", "orders"),
    [
        ("cancelled", [("10", "200", "Cancelled"), ("10", "180", "Cancelled")]),
        ("adjusted", [("20", "100", "Submitted"), ("20", "90", "PreSubmitted")]),
        ("kept", [("10", "200", "Cancelled"), ("10", "180", "Filled")]),
    ],
)
def test_a_split(table: Table, client: JoinedClient, switch: str, orders: list[tuple[str, str, str]]) -> None:
    place_bracket(client)
    table.control("set_switch", name="split_orders", value=switch)

    answer = table.control("split", symbol="AAPL", ratio="2")

    assert answer["price"] == "95.00"
    exits = table.orders()[1:]
    found = [(one["quantity"], Decimal(one["limit_price"] or one["stop_price"]), one["status"]) for one in exits]
    assert found == [(quantity, Decimal(price), status) for quantity, price, status in orders]
    sold = 10 if switch == "kept" else 0
    (held,) = table.control("state")["positions"]
    assert (held["quantity"], Decimal(held["average_cost"]).quantize(Decimal("0.01"))) == (
        str(20 - sold),
        Decimal("95.06"),
    )


def test_a_split_tells_why_it_cancels_and_makes_no_deal(table: Table, client: JoinedClient) -> None:
    place_bracket(client)
    client.read()

    table.control("split", symbol="AAPL", ratio="0.1")

    told = client.read()
    assert {one.arguments[2] for one in told if one.name == "error"} == {"Order Canceled - reason:Corporate action"}
    assert not [one for one in told if one.name == "execDetails"]
    assert table.control("state")["positions"][0]["quantity"] == "1"


def test_a_split_that_ends_a_partly_filled_entry_leaves_no_more_to_sell_than_it_made_of_that(
    table: Table, client: JoinedClient
) -> None:
    parent = client.place(limit("BUY", 10, 150, transmit=False))
    client.place(stop("SELL", 10, 140, parentId=parent))
    table.control("fill", order_id=parent, quantity="4", price="150")
    table.control("set_switch", name="split_orders", value="adjusted")

    table.control("split", symbol="AAPL", ratio="2")

    entry, left = table.orders()
    assert (entry["status"], entry["filled"]) == ("Cancelled", "4")
    assert (left["quantity"], left["live"]) == ("8", True)
    assert table.control("state")["positions"][0]["quantity"] == "8"


@pytest.mark.parametrize("ratio", ["0", "-2", "1", "100000"])
def test_no_split_makes_nothing_of_shares(table: Table, ratio: str) -> None:
    assert table.control("split", symbol="AAPL", ratio=ratio)["code"] == "bad_value"


# --- other programs ---------------------------------------------------------------------------------------------


def test_another_program_deals_under_its_own_client_id(table: Table, client: JoinedClient) -> None:
    table.control("place_external", symbol="AAPL", action="BUY", quantity=5, client_id=77)
    second = table.control("place_external", symbol="AAPL", action="SELL", quantity=2, client_id=77)["order"]

    assert (second["client_id"], second["order_id"]) == (77, 2)
    client.read()
    client.api.reqExecutions(1, ExecutionFilter())
    deals = [told.arguments[2] for told in client.read() if told.name == "execDetails"]
    assert [(deal.clientId, deal.side, deal.shares) for deal in deals] == [(77, "BOT", 5), (77, "SLD", 2)]


def test_another_program_joins_a_group(table: Table, client: JoinedClient) -> None:
    place_bracket(client)
    group = table.orders()[1]["oca_group"]

    table.control(
        "place_external", symbol="AAPL", action="SELL", quantity=10, client_id=77, oca_group=group, oca_type=1
    )

    assert [order["status"] for order in table.orders()[1:3]] == ["Cancelled", "Cancelled"]


# --- fields that nobody can read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "field", "place"),
    [
        ("execDetails", "time", 15),
        ("execDetails", "15", 15),
        ("position", "avgCost", 15),
        ("orderStatus:Filled", "filled", 3),
        ("openOrder", "totalQuantity", 14),
        ("commissionReport", "commission", 3),
    ],
)
def test_a_field_arrives_unreadable(table: Table, client: JoinedClient, message: str, field: str, place: int) -> None:
    client.api.reqPositions()
    client.frames()
    calm = _bought(client)
    table.control("garble", messages=[message], field=field, text="1.5.2", count=1)

    spoiled = _bought(client)

    assert len(spoiled) == len(calm)
    assert [fields.index("1.5.2") for fields in spoiled if "1.5.2" in fields] == [place]
    assert not [fields for fields in _bought(client) if "1.5.2" in fields]


def _bought(client: JoinedClient) -> list[list[str]]:
    client.place(market("BUY", 1))
    return client.frames()


def test_without_a_text_a_question_mark_takes_the_place(table: Table, client: JoinedClient) -> None:
    table.control("garble", messages=["position"], field="position")
    client.place(market("BUY", 1))
    client.frames()

    client.api.reqPositions()

    assert [fields[14] for fields in client.frames() if fields[0] == "61"] == ["?"]


def test_a_field_that_a_message_does_not_have_is_refused(table: Table) -> None:
    assert table.control("garble", messages=["position", "execDetails"], field="time")["code"] == "bad_value"
    assert table.control("faults")["faults"]["rules"] == []


def test_all_of_it_is_over_after_a_reset(table: Table) -> None:
    table.control("lag_positions", seconds=60)
    table.control("garble", messages=["position"], field="position")

    table.control("reset")

    again = table.connect(client_id=1)
    table.control("set_position", symbol="AAPL", quantity="3")
    again.api.reqPositions()
    assert positions_told(again) == [3]
    assert table.control("state")["accounts"] == [ACCOUNT]
