"""The callback sequences recorded at real gateways or documented by IB, one test each; the tags are those of the facts.

Brackets have a file of their own.
"""

import pytest

from tests.simulator.joined import AFTER_HOURS, IN_HOURS, JoinedClient, Table, limit, market, stop, table_at

NOT_UNTIL = "Warning: Your order will not be placed at the exchange until 2026-08-25 09:30:00 US/Eastern."


@pytest.fixture
def table() -> Table:
    return table_at(IN_HOURS)


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def test_a_stop_is_placed_changed_and_cancelled(client: JoinedClient) -> None:
    """[CAPTURE] B1: PreSubmitted with whyHeld "trigger", the same after the change, Cancelled without it, then 202."""
    waiting = ["open 1 PreSubmitted 1", "status 1 PreSubmitted 0/1 trigger"]

    client.place(stop("SELL", 1, 13.13))
    assert client.order_news() == waiting
    client.place(stop("SELL", 1, 14.13, orderId=1))
    assert client.order_news() == waiting
    client.api.cancelOrder(1)
    assert client.order_news() == ["status 1 Cancelled 0/1", "error 1 202"]


@pytest.mark.parametrize(("action", "first", "deal"), [("BUY", "PreSubmitted", "BOT"), ("SELL", "Submitted", "SLD")])
@pytest.mark.parametrize("sequence", ["execution_first", "status_first"])
def test_a_market_order_in_regular_hours(action: str, first: str, deal: str, sequence: str) -> None:
    """[CAPTURE] B3: a BUY is PreSubmitted first, a SELL Submitted; Filled after execDetails, or before it."""
    table = table_at(IN_HOURS)
    client = table.connect()
    table.control("set_switch", name="fill_sequence", value=sequence)

    client.place(market(action, 1))

    price = 190.01 if action == "BUY" else 189.99
    told = [[f"deal 1 {deal} 1@{price}"], ["open 1 Filled 1", "status 1 Filled 1/0"]]
    if sequence == "status_first":
        told.reverse()
    assert client.order_news() == [f"open 1 {first} 1", f"status 1 {first} 0/1", *told[0], *told[1], "commission 1"]


def test_the_execution_of_a_new_order_has_no_request(client: JoinedClient) -> None:
    """[CAPTURE] B3: reqId -1."""
    client.place(market("BUY", 1))

    assert [told.arguments[0] for told in client.read() if told.name == "execDetails"] == [-1]


def test_a_resting_limit_is_submitted_in_hours_and_parked_outside() -> None:
    """[CAPTURE] B3: Submitted in regular hours; 399 and PreSubmitted outside, Submitted from the open on."""
    inside, table = table_at(IN_HOURS).connect(), table_at(AFTER_HOURS)
    outside = table.connect()

    inside.place(limit("BUY", 1, 150))
    outside.place(limit("BUY", 1, 150))

    assert inside.order_news() == ["open 1 Submitted 1", "status 1 Submitted 0/1"]
    assert outside.order_news() == ["error 1 399", "open 1 PreSubmitted 1", "status 1 PreSubmitted 0/1"]
    table.pass_time(hours=17)
    assert outside.order_news() == ["open 1 Submitted 1", "status 1 Submitted 0/1"]


def test_an_immediate_order_that_gets_nothing(client: JoinedClient) -> None:
    """[CAPTURE] B3: PendingCancel, then Cancelled."""
    client.place(limit("BUY", 1, 150, tif="IOC"))

    statuses = [told.arguments[1] for told in client.read() if told.name == "orderStatus"]
    assert statuses[-2:] == ["PendingCancel", "Cancelled"]


def test_a_fill_or_kill_order_that_gets_nothing(client: JoinedClient) -> None:
    """[CAPTURE] B3: Inactive, without an error."""
    client.place(limit("BUY", 1, 150, tif="FOK"))

    news = client.order_news()
    assert news[-1] == "status 1 Inactive 0/1"
    assert not [line for line in news if line.startswith("error")]


@pytest.mark.parametrize(
    ("tif", "end"),
    [("IOC", ["status 1 PendingCancel 0/1", "status 1 Cancelled 0/1"]), ("FOK", ["status 1 Inactive 0/1"])],
)
def test_an_order_that_ends_at_once_told_exactly_as_recorded(
    table: Table, client: JoinedClient, tif: str, end: list[str]
) -> None:
    """[CAPTURE] B3, by switch: openOrder, then the end; no status before and no 202 after."""
    table.control("set_switch", name="immediate_sequence", value="as_recorded")

    client.place(limit("BUY", 1, 150, tif=tif))

    assert client.order_news() == ["open 1 Submitted 1", *end]


def test_a_cancel_is_confirmed_at_once(client: JoinedClient) -> None:
    """[CAPTURE] B3: Cancelled, then 202 with an empty reason."""
    client.place(limit("BUY", 1, 150))
    client.read()

    client.api.cancelOrder(1)

    status, error = client.read()
    assert status.arguments[:2] == (1, "Cancelled")
    assert error.arguments[:3] == (1, 202, "Order Canceled - reason:")


def test_a_cancel_is_confirmed_slowly(table: Table, client: JoinedClient) -> None:
    """[CAPTURE] B3: PendingCancel twice first; between them and the end the order may still fill [ISSUE]."""
    table.control("set_switch", name="cancel_sequence", value="pending_first")
    table.control("hold_cancels")
    client.place(limit("BUY", 2, 150))
    client.read()

    client.api.cancelOrder(1)
    assert client.order_news() == ["status 1 PendingCancel 0/2"] * 2
    table.control("fill", order_id=1, quantity=1)
    assert client.order_news()[:1] == ["deal 1 BOT 1@150"]
    table.control("release_cancels")
    assert client.order_news() == ["status 1 Cancelled 1/1", "error 1 202"]


@pytest.mark.parametrize("sequence", ["direct", "pending_first"])
def test_a_second_cancel_is_refused(table: Table, client: JoinedClient, sequence: str) -> None:
    """[CAPTURE] B9: 161 with the permId, after two blanks and "Order"."""
    table.control("set_switch", name="cancel_sequence", value=sequence)
    table.control("hold_cancels")
    client.place(limit("BUY", 1, 150))
    client.api.cancelOrder(1)
    client.read()

    client.api.cancelOrder(1)

    [told] = client.read()
    text = "Cancel attempted when order is not in a cancellable state.  Order permId =1007000001"
    assert told.arguments[:3] == (1, 161, text)
    assert table.orders()[0]["status"] == "PendingCancel"


def test_by_switch_a_second_cancel_names_the_state(table: Table, client: JoinedClient) -> None:
    """[CAPTURE] B9: 10148 with the state PendingCancel."""
    table.control("set_switch", name="second_cancel", value="refuse_10148")
    table.control("hold_cancels")
    client.place(limit("BUY", 1, 150))
    client.api.cancelOrder(1)
    client.read()

    client.api.cancelOrder(1)

    [told] = client.read()
    assert told.arguments[1] == 10148
    assert told.arguments[2].endswith("can not be cancelled, state: PendingCancel.")


def test_cancels_of_what_is_unknown_or_done(client: JoinedClient) -> None:
    """[CAPTURE] B4, B9: 10147 for an id that is not there, 10148 with the state of a finished order."""
    client.place(market("BUY", 1))
    client.read()

    client.api.cancelOrder(493)
    client.api.cancelOrder(1)

    unknown, done = client.read()
    assert unknown.arguments[:3] == (493, 10147, "OrderId 493 that needs to be cancelled is not found.")
    assert done.arguments[:3] == (1, 10148, "OrderId 1 that needs to be cancelled can not be cancelled, state: Filled.")


@pytest.mark.parametrize(
    ("sequence", "news"),
    [
        ("error_then_inactive", ["error 1 201", "open 1 Inactive 1", "status 1 Inactive 0/1"]),
        ("inactive_then_error", ["open 1 Inactive 1", "status 1 Inactive 0/1", "error 1 201"]),
        ("error_then_cancelled", ["error 1 201", "open 1 Cancelled 1", "status 1 Cancelled 0/1"]),
        ("error_only", ["error 1 201"]),
    ],
)
def test_a_rejection(table: Table, client: JoinedClient, sequence: str, news: list[str]) -> None:
    """[DOC] B9: 201, with Inactive or Cancelled around it; four forms by switch (C2 is open)."""
    table.control("set_switch", name="reject_sequence", value=sequence)
    table.control("reject_next", code=201, text="Order rejected - reason:x")

    client.place(market("BUY", 1))

    assert client.order_news() == news


def test_ids_that_were_used(table: Table, client: JoinedClient) -> None:
    """[DOC] B4, B9: 103 for an id that is too low, 104 for a filled order; 105 for a change of the action."""
    client.place(market("BUY", 1, orderId=5))
    client.place(limit("BUY", 1, 150, orderId=6))
    client.read()

    client.place(limit("BUY", 1, 150, orderId=4))
    client.place(limit("BUY", 1, 150, orderId=5))
    client.place(limit("SELL", 1, 150, orderId=6))

    assert client.order_news() == ["error 4 103", "error 5 104", "error 6 105"]
    assert table.orders()[1]["live"]


# --- groups --------------------------------------------------------------------------------------------------


def test_one_that_fills_cancels_the_others_of_its_group(table: Table, client: JoinedClient) -> None:
    """[DOC] B2, type 1: the others are cancelled with 202 when one fills."""
    for price in (180, 170, 160):
        client.place(limit("BUY", 1, price, ocaGroup="g", ocaType=1))
    client.read()

    table.control("set_price", symbol="AAPL", price="175")

    assert client.order_news() == [
        *("deal 1 BOT 1@180", "open 1 Filled 1", "status 1 Filled 1/0", "commission 1"),
        *("status 2 Cancelled 0/1", "error 2 202", "status 3 Cancelled 0/1", "error 3 202"),
    ]


def test_only_a_clients_cancel_takes_the_group_with_it(table: Table, client: JoinedClient) -> None:
    """[DOC] B2: a cancel or a rejection by the system leaves the others, a client's cancel does not."""
    for _ in range(3):
        client.place(limit("BUY", 1, 150, ocaGroup="g", ocaType=1))
    table.control("reject_next", code=201)
    client.place(limit("BUY", 1, 150, ocaGroup="g", ocaType=1))
    table.control("cancel_order", order_id=1, reason="x")
    assert [order["live"] for order in table.orders()] == [False, True, True, False]

    client.api.cancelOrder(2)

    assert [order["live"] for order in table.orders()] == [False] * 4


def test_the_warning_outside_hours_is_worded_as_recorded() -> None:
    """[CAPTURE] B3: the text of 399, with the exchange and the next open."""
    client = table_at(AFTER_HOURS).connect()

    client.place(market("BUY", 1))

    told = client.read()[0]
    assert told.arguments[:3] == (1, 399, f"Order Message:\nBUY 1 AAPL NASDAQ.NMS\n{NOT_UNTIL}")
