"""Corrections and busts of deals: "the execID will differ only in the digits after the final period" [B6]."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async import ExecutionFilter

from ib_simulator.journal import Journal
from ib_simulator.money.corrections import raised
from tests.simulator.joined import JoinedClient, Table, limit, market

ACCOUNT = "DU1234567"
START = Decimal(1_000_000)


@pytest.fixture
def table() -> Table:
    made = Table()
    made.control("set_price", symbol="AAPL", price="200")
    return made


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect()


def held(table: Table) -> tuple[Decimal, Decimal, Decimal]:
    """Return quantity, average cost and what was realised."""
    [position] = table.gateway.ledger.known_positions(ACCOUNT)
    return position.quantity, position.average_cost, position.realized_pnl


def last_id(table: Table) -> str:
    return table.gateway.ledger.executions[-1].exec_id


@pytest.mark.parametrize(
    ("exec_id", "expected"),
    [("0000.0001.01.01", "0000.0001.01.02"), ("0000.0001.01.09", "0000.0001.01.10"), ("a.b.01.01.01", "a.b.01.01.02")],
)
def test_the_id_is_raised_after_the_final_period(exec_id: str, expected: str) -> None:
    assert raised(exec_id) == expected


def test_a_correction_is_told_as_another_execution(table: Table, client: JoinedClient) -> None:
    """[B6], [CAMPUS] "an additional execDetails callback with all parameters identical except for the execID"."""
    client.place(market("BUY", 10))
    [was] = [call.arguments[2] for call in client.read() if call.name == "execDetails"]

    answer = table.control("correct_execution", exec_id=was.execId, price="199")

    told = client.read()
    assert [call.name for call in told] == ["execDetails", "commissionReport"]
    now = told[0].arguments[2]
    assert now.execId == answer["exec_id"] == was.execId[:-2] + "02"
    assert (now.time, now.orderId, now.permId, now.side, now.shares) == (
        was.time,
        was.orderId,
        was.permId,
        was.side,
        was.shares,
    )
    assert (now.price, now.avgPrice) == (199.0, 199.0)
    assert told[1].arguments[0].execId == now.execId


def test_position_and_cash_follow_a_correction(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))

    table.control("correct_execution", exec_id=last_id(table), quantity="6", price="150")

    assert held(table) == (6, (6 * Decimal(150) + 1) / 6, 0)
    assert table.gateway.ledger.cash[ACCOUNT] == START - 6 * 150 - 1


def test_a_bust_leaves_nothing(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))

    table.control("correct_execution", exec_id=last_id(table), quantity="0")

    assert held(table) == (0, 0, 0)
    assert table.gateway.ledger.cash[ACCOUNT] == START
    [order] = table.orders()
    assert order["filled"] == "0"


def test_a_live_order_goes_on_with_what_is_missing(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    table.control("fill", order_id=1, quantity="8")
    client.read()

    table.control("correct_execution", exec_id=last_id(table), quantity="3")

    assert client.order_news() == [
        "deal 1 BOT 3@150",
        "open 1 Submitted 10",
        "status 1 Submitted 3/7",
        "commission 1",
    ]
    assert table.control("fill", order_id=1)["order"]["filled"] == "10"


def test_a_later_exit_realises_against_the_corrected_entry(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    entry = last_id(table)
    client.place(market("SELL", 10))

    table.control("correct_execution", exec_id=entry, price="100.01")

    assert held(table)[2] == 10 * (Decimal("199.99") - Decimal("100.01")) - 2
    assert table.gateway.ledger.cash[ACCOUNT] == START + held(table)[2]


def test_a_corrected_exit_reports_its_own_profit(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    client.place(market("SELL", 10))
    client.read()

    table.control("correct_execution", exec_id=last_id(table), price="210.01")

    [report] = [call.arguments[0] for call in client.read() if call.name == "commissionReport"]
    assert report.realizedPNL == pytest.approx(98.0)


@pytest.mark.parametrize(("value", "endings"), [("both", ["01", "02"]), ("latest_only", ["02"])])
def test_what_is_reported_afterwards(table: Table, client: JoinedClient, value: str, endings: list[str]) -> None:
    """Which of the two IB does is not known."""
    table.control("set_switch", name="corrected_executions", value=value)
    client.place(market("BUY", 10))
    table.control("correct_execution", exec_id=last_id(table), quantity="9")
    client.read()

    client.api.reqExecutions(5, ExecutionFilter())

    found = [call.arguments[2].execId[-2:] for call in client.read() if call.name == "execDetails"]
    assert found == endings


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"exec_id": "no.such.deal.01"}, "unknown_execution"),
        ({"quantity": "11"}, "bad_value"),
        ({"quantity": "-1"}, "bad_value"),
        ({"price": "0"}, "bad_value"),
    ],
)
def test_what_cannot_be_corrected(table: Table, client: JoinedClient, arguments: dict[str, Any], code: str) -> None:
    client.place(market("BUY", 10))
    before = table.control("state")

    answer = table.control("correct_execution", **{"exec_id": last_id(table), **arguments})

    assert answer["code"] == code
    assert table.control("state") == before


def test_a_correction_survives_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    table.connect().place(market("BUY", 10))
    first = last_id(table)
    table.control("correct_execution", exec_id=first, quantity="4", price="150")
    table.gateway.commit()
    before = (table.control("state"), held(table), table.gateway.ledger.cash)
    journal.close()

    reopened = Journal(tmp_path)
    again = Table(journal=reopened)

    assert (again.control("state")["executions"], held(again), again.gateway.ledger.cash) == (
        before[0]["executions"],
        *before[1:],
    )
    again.control("correct_execution", exec_id=first, quantity="0")
    reopened.close()
    assert held(again)[0] == 0
    assert again.gateway.ledger.cash[ACCOUNT] == START


DEALS = st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 9), st.integers(90, 110)), max_size=8)
CORRECTIONS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9), st.integers(90, 110)), max_size=5)


@settings(max_examples=80, deadline=None)
@given(deals=DEALS, corrections=CORRECTIONS)
def test_whatever_is_corrected_the_books_balance(
    deals: list[tuple[str, int, int]], corrections: list[tuple[int, int, int]]
) -> None:
    table = Table()
    client = table.connect()
    for action, quantity, price in deals:
        order_id = client.place(limit(action, quantity, 1 if action == "BUY" else 999))
        table.control("fill", order_id=order_id, price=str(price))
    names = [deal.exec_id for deal in table.gateway.ledger.executions]
    for number, quantity, price in corrections:
        if number < len(names):
            table.control("correct_execution", exec_id=names[number], quantity=str(quantity), price=str(price))

    ledger = table.gateway.ledger
    standing = [ledger.latest_revision(name.rpartition(".")[0]) for name in names]
    spent = sum((deal.signed_quantity * deal.price + deal.commission for deal in standing if deal), Decimal(0))
    assert ledger.cash[ACCOUNT] == START - spent
    quantity, cost, realized = held(table) if names else (Decimal(0),) * 3
    assert quantity == sum((deal.signed_quantity for deal in standing if deal), Decimal(0))
    # What came in less what is still held at cost is what was realised.
    assert abs(realized - (quantity * cost - spent)) < Decimal("0.001")
    assert {order.filled for order in table.gateway.book} <= {Decimal(number) for number in range(10)}
