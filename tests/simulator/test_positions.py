"""Positions of several accounts, by name, all, or by model."""

from typing import Any

import pytest
from ib_async import Contract

from tests.simulator.joined import JoinedClient, Table, market

VERSIONS = [157, 163, 170, 176, 178]
FIRST, SECOND = "DU1", "DU2"


def held(*, version: int = 178) -> tuple[Table, JoinedClient]:
    table = Table(accounts=(FIRST, SECOND))
    table.control("set_position", symbol="IBM", quantity="7", average_cost="101.25", account=FIRST)
    table.control("set_position", symbol="AAPL", quantity="-3", average_cost="99", account=SECOND)
    return table, table.connect(version=version)


def rows(client: JoinedClient) -> list[tuple[Any, ...]]:
    return [
        (call.name, *(item.symbol if isinstance(item, Contract) else item for item in call.arguments))
        for call in client.read()
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_value_comes_out_in_its_place(version: int) -> None:
    _table, client = held(version=version)

    client.api.reqPositionsMulti(4, FIRST, "")

    row, end = client.read()
    request_id, account, model, contract, quantity, cost = row.arguments
    assert (request_id, account, model, quantity, cost) == (4, FIRST, "", 7.0, 101.25)
    assert (contract.conId, contract.symbol, contract.secType, contract.exchange) == (8314, "IBM", "STK", "NYSE")
    assert (contract.currency, contract.localSymbol, contract.tradingClass) == ("USD", "IBM", "IBM")
    assert (end.name, end.arguments) == ("positionMultiEnd", (4,))


@pytest.mark.parametrize("account", ["", "All"])
def test_all_accounts(account: str) -> None:
    _table, client = held()

    client.api.reqPositionsMulti(4, account, "")

    assert rows(client) == [
        ("positionMulti", 4, FIRST, "", "IBM", 7.0, 101.25),
        ("positionMulti", 4, SECOND, "", "AAPL", -3.0, 99.0),
        ("positionMultiEnd", 4),
    ]


def test_a_model_holds_nothing() -> None:
    _table, client = held()

    client.api.reqPositionsMulti(4, FIRST, "growth")

    assert rows(client) == [("positionMultiEnd", 4)]


def test_a_change_is_told_until_it_is_cancelled() -> None:
    table, client = held()
    client.api.reqPositionsMulti(4, FIRST, "")
    client.read()

    client.place(market("BUY", 2, account=FIRST))
    assert [row[:6] for row in rows(client) if row[0] == "positionMulti"] == [
        ("positionMulti", 4, FIRST, "", "AAPL", 2.0)
    ]
    client.place(market("BUY", 2, account=SECOND))
    assert [row for row in rows(client) if row[0] == "positionMulti"] == []
    client.api.cancelPositionsMulti(4)
    client.place(market("BUY", 2, account=FIRST))
    assert [row for row in rows(client) if row[0] == "positionMulti"] == []
    del table


def test_an_unknown_account_and_an_id_in_use() -> None:
    _table, client = held()

    client.api.reqPositionsMulti(4, "DU9", "")
    client.api.reqPositionsMulti(5, FIRST, "")
    client.api.reqPositionsMulti(5, FIRST, "")

    errors = [call.arguments[:2] for call in client.read() if call.name == "error"]
    assert errors == [(4, 321), (5, 322)]
