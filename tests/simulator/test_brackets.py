"""A bracket at the simulator: held, woken, stopped out, cancelled, in the order the real gateway tells it."""

import pytest

from tests.simulator.joined import JoinedClient, Table, limit, market, stop


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def place_bracket(client: JoinedClient, *, entry: object = None, target: float | None = None) -> tuple[int, ...]:
    """Entry (market unless given) for 10, stop at 185, target if given; only the last transmits. Returns the ids."""
    first = entry or market("BUY", 10, transmit=False)
    first.transmit = False
    ids = [client.place(first)]
    if target is not None:
        ids.append(client.place(limit("SELL", 10, target, parentId=ids[0], transmit=False)))
    ids.append(client.place(stop("SELL", 10, 185, parentId=ids[0], transmit=True)))
    return tuple(ids)


def test_an_order_that_is_not_transmitted_is_not_told(table: Table, client: JoinedClient) -> None:
    order_id = client.place(market("BUY", 10, transmit=False))

    assert client.read() == []
    assert table.orders()[0]["status"] == "ApiPending"
    client.place(market("BUY", 10, orderId=order_id, transmit=True))
    assert client.order_news()[:2] == ["open 1 PreSubmitted 10", "status 1 PreSubmitted 0/10"]


def test_a_market_bracket_fills_and_leaves_its_stop_live(table: Table, client: JoinedClient) -> None:
    place_bracket(client, target=200)

    held = [
        "open 1 PreSubmitted 10",
        "status 1 PreSubmitted 0/10",
        "open 2 PreSubmitted 10",
        "status 2 PreSubmitted 0/10 child",
        "open 3 PreSubmitted 10",
        "status 3 PreSubmitted 0/10 child,trigger",
    ]
    assert client.order_news() == [
        *held,
        *held,
        "deal 1 BOT 10@190.01",
        "open 1 Filled 10",
        "status 1 Filled 10/0",
        "commission 1",
        "open 2 Submitted 10",
        "status 2 Submitted 0/10",
        "open 3 PreSubmitted 10",
        "status 3 PreSubmitted 0/10 trigger",
    ]
    assert [order["live"] for order in table.orders()] == [False, True, True]


def test_children_carry_their_parents_perm_id_as_group(table: Table, client: JoinedClient) -> None:
    place_bracket(client, target=200)

    entry, target, stop_loss = table.orders()
    assert (target["perm_id"], stop_loss["perm_id"]) == (entry["perm_id"] + 1, entry["perm_id"] + 2)
    for child in (target, stop_loss):
        assert child["parent_perm_id"] == entry["perm_id"]
        assert child["oca_group"] == str(entry["perm_id"])
    echoed = [told.arguments[2] for told in client.read() if told.name == "openOrder"]
    assert [order.ocaType for order in echoed[:3]] == [3, 3, 3]
    assert echoed[2].parentId == 1


def test_a_stop_out_fills_at_the_gapped_price_and_cancels_the_target(table: Table, client: JoinedClient) -> None:
    place_bracket(client, target=200)
    client.read()

    table.control("set_price", symbol="AAPL", price="180")

    assert client.order_news() == [
        "open 3 Submitted 10",
        "status 3 Submitted 0/10",
        "deal 3 SLD 10@179.99",
        "open 3 Filled 10",
        "status 3 Filled 10/0",
        "commission 1",
        "status 2 Cancelled 0/10",
        "error 2 202",
    ]
    assert table.control("state")["positions"] == []


def test_a_target_that_fills_in_part_shrinks_the_stop(table: Table, client: JoinedClient) -> None:
    place_bracket(client, target=200)
    client.read()

    table.control("fill", order_id=2, quantity="4")

    assert client.order_news()[-2:] == ["open 3 PreSubmitted 6", "status 3 PreSubmitted 0/6 trigger"]
    table.control("fill", order_id=2, quantity="6")
    assert client.order_news()[-2:] == ["status 3 Cancelled 0/6", "error 3 202"]


def test_a_partial_fill_of_the_entry_wakes_the_children(table: Table, client: JoinedClient) -> None:
    place_bracket(client, entry=limit("BUY", 10, 150))
    client.read()

    table.control("fill", order_id=1, quantity="4", price="150")

    assert client.order_news()[-2:] == ["open 2 PreSubmitted 10", "status 2 PreSubmitted 0/10 trigger"]
    assert table.orders()[1]["live"]


def test_a_live_stop_never_sells_more_than_the_entry_bought(table: Table, client: JoinedClient) -> None:
    place_bracket(client, entry=limit("BUY", 10, 150))
    table.control("pause_fills")
    table.control("fill", order_id=1, quantity="4", price="150")
    client.read()

    table.control("set_price", symbol="AAPL", price="184")
    table.control("resume_fills")

    assert "deal 2 SLD 4@183.99" in client.order_news()
    assert table.orders()[1]["remaining"] == "6"


def test_by_switch_children_wait_for_the_whole_entry(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="children_activate", value="on_full")
    place_bracket(client, entry=limit("BUY", 10, 150))

    table.control("fill", order_id=1, quantity="4", price="150")
    assert not table.orders()[1]["live"]
    table.control("fill", order_id=1, quantity="6", price="150")
    assert table.orders()[1]["live"]


def test_cancelling_the_entry_cancels_its_children(table: Table, client: JoinedClient) -> None:
    place_bracket(client, entry=limit("BUY", 10, 150), target=200)
    client.read()

    client.api.cancelOrder(1)

    assert client.order_news() == [
        "status 1 Cancelled 0/10",
        "error 1 202",
        "status 2 Cancelled 0/10",
        "error 2 202",
        "status 3 Cancelled 0/10",
        "error 3 202",
    ]


def test_cancelling_a_child_leaves_its_parent_and_sibling(table: Table, client: JoinedClient) -> None:
    place_bracket(client, entry=limit("BUY", 10, 150), target=200)

    client.api.cancelOrder(2)

    assert [order["status"] for order in table.orders()] == ["Submitted", "Cancelled", "PreSubmitted"]


def test_by_switch_cancelling_a_child_cancels_its_sibling(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="cancel_child_cancels_sibling", value="on")
    place_bracket(client, target=200)

    client.api.cancelOrder(2)

    assert [order["status"] for order in table.orders()] == ["Filled", "Cancelled", "Cancelled"]


@pytest.mark.parametrize(
    ("policy", "status", "remaining", "live"),
    [
        ("keep_filled", "PreSubmitted", "4", True),
        ("keep_full", "PreSubmitted", "10", True),
        ("cancel", "Cancelled", "10", False),
    ],
)
@pytest.mark.parametrize("activate", ["on_partial", "on_full"])
def test_what_becomes_of_the_stop_when_a_partly_filled_entry_is_cancelled(
    table: Table, client: JoinedClient, policy: str, status: str, remaining: str, live: bool, activate: str
) -> None:
    table.control("set_switch", name="children_activate", value=activate)
    table.control("set_switch", name="children_after_partial_cancel", value=policy)
    place_bracket(client, entry=limit("BUY", 10, 150))
    table.control("fill", order_id=1, quantity="4", price="150")

    client.api.cancelOrder(1)

    stop_loss = table.orders()[1]
    assert (stop_loss["status"], stop_loss["remaining"], stop_loss["live"]) == (status, remaining, live)


def test_a_refused_entry_takes_its_held_stop_with_it(table: Table, client: JoinedClient) -> None:
    table.control("reject_next", code=201, text="Order rejected - reason:no margin", order_type="MKT")

    place_bracket(client)

    assert client.order_news() == [
        "error 1 201",
        "open 1 Inactive 10",
        "status 1 Inactive 0/10",
        "status 2 Cancelled 0/10",
        "error 2 202",
    ]
    table.control("set_price", symbol="AAPL", price="100")
    assert table.control("state")["executions"] == []


def test_a_refused_stop_leaves_the_entry_alone(table: Table, client: JoinedClient) -> None:
    table.control("reject_next", code=201, text="Order rejected - reason:no", order_type="STP")

    place_bracket(client)

    assert [order["status"] for order in table.orders()] == ["Filled", "Inactive"]


def test_a_stop_refused_before_it_reached_ib_leaves_the_entry_untransmitted(table: Table, client: JoinedClient) -> None:
    entry = client.place(market("BUY", 10, transmit=False))

    client.place(stop("SELL", 10, 185.001, parentId=entry))

    assert client.order_news() == ["error 2 110"]
    assert [order["status"] for order in table.orders()] == ["ApiPending"]


def test_a_child_of_nobody_is_refused(client: JoinedClient) -> None:
    client.place(stop("SELL", 10, 185, parentId=77))

    assert client.order_news() == ["error 1 10006"]


def test_a_child_of_a_finished_parent_is_refused(client: JoinedClient) -> None:
    parent = client.place(market("BUY", 10))
    client.read()

    client.place(stop("SELL", 10, 185, parentId=parent))

    assert client.order_news() == ["error 2 135"]


def test_a_child_of_a_working_parent_is_held_until_it_fills(table: Table, client: JoinedClient) -> None:
    parent = client.place(limit("BUY", 10, 150))
    client.place(stop("SELL", 10, 140, parentId=parent))

    assert client.order_news()[-1] == "status 2 PreSubmitted 0/10 child,trigger"
    table.control("set_price", symbol="AAPL", price="149")
    assert client.order_news()[-1] == "status 2 PreSubmitted 0/10 trigger"


def test_a_stop_keeps_its_parent_id_only_while_the_parent_lives(table: Table, client: JoinedClient) -> None:
    _entry, stop_id = place_bracket(client)
    client.read()

    client.place(stop("SELL", 10, 186, orderId=stop_id, parentId=1))
    assert client.order_news() == ["error 2 135"]
    client.place(stop("SELL", 10, 186, orderId=stop_id, parentId=0))
    assert client.order_news() == ["open 2 PreSubmitted 10", "status 2 PreSubmitted 0/10 trigger"]
    assert table.orders()[1]["stop_price"] == "186"


def test_by_switch_a_stop_may_keep_naming_its_filled_parent(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="modify_child_after_parent_done", value="accept")
    _entry, stop_id = place_bracket(client)

    client.place(stop("SELL", 10, 186, orderId=stop_id, parentId=1))

    assert table.orders()[1]["stop_price"] == "186"


def test_a_discarded_draft_takes_its_children_with_it(table: Table, client: JoinedClient) -> None:
    entry = client.place(market("BUY", 10, transmit=False))
    client.place(stop("SELL", 10, 185, parentId=entry, transmit=False))

    client.api.cancelOrder(entry)

    assert client.order_news() == [
        "status 1 Cancelled 0/10",
        "error 1 202",
        "status 2 Cancelled 0/10",
        "error 2 202",
    ]


def test_without_duplicates_each_order_is_told_once(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="duplicate_callbacks", value="off")
    table.control("pause_fills")

    place_bracket(client)

    assert len(client.order_news()) == 4


def test_a_short_bracket_is_stopped_out_above(table: Table, client: JoinedClient) -> None:
    entry = client.place(market("SELL", 10, transmit=False))
    client.place(stop("BUY", 10, 195, parentId=entry))
    table.control("set_price", symbol="AAPL", price="196")

    deals = [line for line in client.order_news() if line.startswith("deal")]
    assert deals == ["deal 1 SLD 10@189.99", "deal 2 BOT 10@196.01"]
    [_entry, exit_deal] = table.control("state")["executions"]
    assert exit_deal["realized_pnl"] == "-62.200000"
