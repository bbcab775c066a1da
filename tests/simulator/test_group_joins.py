"""Orders that name the group of orders which are there already: a close that joins the exits of a bracket."""

from typing import Any

import pytest
from ib_async import Contract

from tests.simulator.joined import JoinedClient, Table, limit, market, stop

ALREADY_FILLED = "Order rejected - reason:OCA group is already filled."
NO_HANDLING = "Order rejected - reason:Invalid OCA handling method"


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def place_bracket(client: JoinedClient, *, target: float | None = 200) -> None:
    """Buy 10 with a stop and perhaps a target: ids 1 to 3, or 1 and 2."""
    parent = client.place(market("BUY", 10, transmit=False))
    if target is not None:
        client.place(limit("SELL", 10, target, parentId=parent, transmit=False))
    client.place(stop("SELL", 10, 180, parentId=parent))


def echoed_group(client: JoinedClient) -> str:
    """The group that the last openOrder told of."""
    groups = [told.arguments[2].ocaGroup for told in client.read() if told.name == "openOrder"]
    return str(groups[-1])


def statuses(table: Table) -> list[str]:
    return [order["status"] for order in table.orders()]


def held(table: Table) -> list[str]:
    return [position["quantity"] for position in table.control("state")["positions"]]


def errors_of(client: JoinedClient) -> list[tuple[int, int, str]]:
    return [told.arguments[:3] for told in client.read() if told.name == "error"]


@pytest.mark.case("M8")
@pytest.mark.parametrize("oca_type", [1, 3])
@pytest.mark.parametrize("closing_client", [1, 9])
def test_a_close_that_joins_the_exits_ends_them(
    table: Table, client: JoinedClient, oca_type: int, closing_client: int
) -> None:
    place_bracket(client)
    group = echoed_group(client)
    closer = client if closing_client == 1 else table.connect(client_id=closing_client)

    closer.place(market("SELL", 10, ocaGroup=group, ocaType=oca_type))

    assert statuses(table) == ["Filled", "Cancelled", "Cancelled", "Filled"]
    assert held(table) == []
    assert {"error 2 202", "error 3 202"} <= set(client.order_news())


@pytest.mark.case("M8")
@pytest.mark.parametrize(("switch", "group_of_stop"), [("none", ""), ("parent", "1007000001")])
def test_whether_a_lone_stop_has_a_group_is_a_switch(
    table: Table, client: JoinedClient, switch: str, group_of_stop: str
) -> None:
    table.control("set_switch", name="lone_child_group", value=switch)
    place_bracket(client, target=None)

    assert echoed_group(client) == group_of_stop


@pytest.mark.case("M8")
@pytest.mark.parametrize("oca_type", [1, 3])
def test_a_close_joins_a_lone_stop_where_it_has_a_group(table: Table, client: JoinedClient, oca_type: int) -> None:
    table.control("set_switch", name="lone_child_group", value="parent")
    place_bracket(client, target=None)

    client.place(market("SELL", 10, ocaGroup=echoed_group(client), ocaType=oca_type))

    assert statuses(table) == ["Filled", "Cancelled", "Filled"]


@pytest.mark.case("M8")
def test_a_lone_stop_keeps_the_group_that_its_client_named(table: Table, client: JoinedClient) -> None:
    parent = client.place(market("BUY", 10, transmit=False))
    client.place(stop("SELL", 10, 180, parentId=parent, ocaGroup="exits", ocaType=1))

    client.place(market("SELL", 10, ocaGroup="exits", ocaType=1))

    assert statuses(table) == ["Filled", "Cancelled", "Filled"]


@pytest.mark.case("M8")
def test_a_joined_close_that_rests_goes_when_the_stop_fills(table: Table, client: JoinedClient) -> None:
    place_bracket(client)
    client.place(limit("SELL", 10, 195, ocaGroup=echoed_group(client), ocaType=1))

    table.control("set_price", symbol="AAPL", price="179")

    assert statuses(table) == ["Filled", "Cancelled", "Filled", "Cancelled"]
    assert held(table) == []


@pytest.mark.case("M8")
@pytest.mark.parametrize("again", [1, 2])
def test_who_comes_after_a_fill_is_refused(table: Table, client: JoinedClient, again: int) -> None:
    """[FIELD] April 2026, paper: 201 and Inactive, at once and seconds later."""
    place_bracket(client)
    group = echoed_group(client)
    table.control("set_price", symbol="AAPL", price="179")
    client.read()

    for _ in range(again):
        client.place(market("SELL", 10, ocaGroup=group, ocaType=1))

    assert statuses(table)[3:] == ["Inactive"] * again
    assert errors_of(client) == [(4 + number, 201, ALREADY_FILLED) for number in range(again)]
    assert held(table) == []


@pytest.mark.case("M8")
@pytest.mark.parametrize(
    ("oca_type", "status"), [(1, "Inactive"), (3, "Submitted")], ids=["cancels_the_rest", "reduces_the_rest"]
)
def test_a_partial_fill_ends_only_a_group_that_cancels(
    table: Table, client: JoinedClient, oca_type: int, status: str
) -> None:
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=oca_type))
    table.control("fill", order_id=1, quantity="4")

    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=oca_type))

    assert statuses(table)[1] == status


@pytest.mark.case("M8")
@pytest.mark.parametrize("terms", [{"tif": "OPG"}, {"orderType": "MOC"}, {"orderType": "LOC", "lmtPrice": 191}])
def test_an_order_for_an_auction_joins_nobody(table: Table, client: JoinedClient, terms: dict[str, Any]) -> None:
    """[FIELD] A real account, September 2026."""
    place_bracket(client)
    group = echoed_group(client)

    client.place(market("SELL", 10, **{"ocaGroup": group, "ocaType": 1, **terms}))

    assert errors_of(client) == [(4, 201, NO_HANDLING)]
    assert statuses(table)[1:] == ["Submitted", "PreSubmitted", "Inactive"]


@pytest.mark.case("M8")
def test_a_group_is_of_one_account() -> None:
    table = Table(accounts=("DU1", "DU2"))
    client = table.connect()
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1, account="DU1"))
    client.read()

    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1, account="DU2"))

    assert client.order_news() == ["error 2 10224"]
    assert len(table.orders()) == 1


@pytest.mark.case("M8")
@pytest.mark.parametrize(("account", "news"), [("U1234567", ["error 2 10224"]), ("DU1234567", None)])
def test_on_a_live_account_all_members_name_it(account: str, news: list[str] | None) -> None:
    """[ISSUE] On live accounts only, not on paper ones."""
    table = Table(accounts=(account,))
    client = table.connect()
    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1, account=account))
    client.read()

    client.place(limit("BUY", 10, 150, ocaGroup="g", ocaType=1))

    assert news is None or client.order_news() == news
    assert len(table.orders()) == (1 if news else 2)


@pytest.mark.case("M8")
@pytest.mark.parametrize(
    ("restated", "code"),
    [
        ({"ocaGroup": "another", "ocaType": 3}, 10326),
        ({"ocaGroup": None, "ocaType": 1}, 10327),
        ({"ocaType": 1}, 10327),
        ({"ocaGroup": None, "ocaType": 3}, None),
        ({}, None),
    ],
)
def test_a_change_that_restates_another_group_or_type_leaves_the_old_price(
    table: Table, client: JoinedClient, restated: dict[str, Any], code: int | None
) -> None:
    place_bracket(client)
    group = echoed_group(client)
    as_echoed = {name: group if value is None else value for name, value in restated.items()}

    client.place(stop("SELL", 10, 185, orderId=3, **as_echoed))

    stop_loss = table.orders()[2]
    assert stop_loss["stop_price"] == ("185" if code is None else "180")
    assert (stop_loss["status"], stop_loss["oca_group"]) == ("PreSubmitted", group)
    assert [one[1] for one in errors_of(client)] == ([] if code is None else [code])


@pytest.mark.case("M8")
def test_by_switch_a_close_and_the_stop_both_deal_at_one_price(table: Table, client: JoinedClient) -> None:
    """[FIELD] April 2026: a close of type 1 and the stop, triggered by the same tick: sold twice."""
    table.control("set_switch", name="oca_trigger_race", value="on")
    client.place(stop("SELL", 10, 180, ocaGroup="exits", ocaType=1))
    table.control("set_position", symbol="AAPL", quantity="10")
    table.control("pause_fills")
    client.place(market("SELL", 10, ocaGroup="exits", ocaType=1))
    table.control("set_price", symbol="AAPL", price="179")

    table.control("resume_fills")

    assert statuses(table) == ["Filled", "Filled"]
    assert held(table) == ["-10"]


@pytest.mark.case("M8")
def test_by_switch_a_join_is_taken_and_not_linked(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="oca_join", value="not_linked")
    place_bracket(client)

    client.place(market("SELL", 10, ocaGroup=echoed_group(client), ocaType=1))

    assert statuses(table) == ["Filled", "Submitted", "PreSubmitted", "Filled"]
    client.place(market("SELL", 1, ocaGroup=table.orders()[3]["oca_group"], ocaType=1))
    assert statuses(table)[4] == "Filled"  # The group has not heard of the first one.


@pytest.mark.case("M8")
def test_by_switch_a_join_is_refused(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="oca_join", value="refused")
    place_bracket(client)
    group = echoed_group(client)

    client.place(market("SELL", 10, ocaGroup=group, ocaType=1))

    assert errors_of(client) == [(4, 201, NO_HANDLING)]
    assert statuses(table)[1:] == ["Submitted", "PreSubmitted", "Inactive"]


@pytest.mark.case("M8")
def test_a_cancel_of_who_joined_leaves_the_exits(table: Table, client: JoinedClient) -> None:
    place_bracket(client)
    client.place(limit("SELL", 10, 195, ocaGroup=echoed_group(client), ocaType=1))

    client.api.cancelOrder(4)

    assert statuses(table)[1:] == ["Submitted", "PreSubmitted", "Cancelled"]


@pytest.mark.case("M2")
@pytest.mark.parametrize("what_if", [False, True])
def test_an_order_without_an_exchange_is_refused(table: Table, client: JoinedClient, what_if: bool) -> None:
    by_id = Contract(conId=265598)

    client.place(market("BUY", 10, whatIf=what_if), by_id)

    assert [(one[1], one[2].rpartition(" - ")[2]) for one in errors_of(client)] == [(321, "Missing order exchange")]
    assert table.orders() == []
