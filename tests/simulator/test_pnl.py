"""Profit and loss, of accounts and of single positions, through ib_async's encoder and decoder."""

from typing import Any

import pytest

from tests.simulator.joined import JoinedClient, Table, market

VERSIONS = [157, 163, 170, 176, 178]
OTHER = "DU7654321"
AAPL_ID, MSFT_ID = 265598, 272093
ACCOUNT = "DU1234567"


def told(client: JoinedClient, name: str) -> list[tuple[Any, ...]]:
    return [call.arguments for call in client.read() if call.name == name]


def holding(*, version: int = 178, accounts: tuple[str, ...] = (ACCOUNT,)) -> tuple[Table, JoinedClient]:
    """Yesterday's 10 AAPL at a cost of 150; the close was 190, the price is 200 now."""
    table = Table(accounts=accounts)
    table.control("set_price", symbol="AAPL", price="200")
    for account in accounts:
        table.control("set_position", symbol="AAPL", quantity="10", average_cost="150", account=account)
    return table, table.connect(version=version)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_account_is_answered_at_once(version: int) -> None:
    _table, client = holding(version=version)

    client.api.reqPnL(7, ACCOUNT, "")

    assert told(client, "pnl") == [(7, 100.0, 500.0, 0.0)]  # 10 x (200 - 190), 10 x (200 - 150)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_position_is_answered_at_once(version: int) -> None:
    _table, client = holding(version=version)

    client.api.reqPnLSingle(8, ACCOUNT, "", AAPL_ID)

    assert told(client, "pnlSingle") == [(8, 10, 100.0, 500.0, 0.0, 2000.0)]


def test_a_deal_of_today_counts_from_its_own_price() -> None:
    table, client = holding()
    client.place(market("SELL", 4))  # At the bid, 199.99, for 1.00 commission.
    client.read()

    client.api.reqPnLSingle(8, ACCOUNT, "", AAPL_ID)

    realized = 4 * (199.99 - 150) - 1
    daily = 6 * (200 - 190) + 4 * (199.99 - 190) - 1
    [(_id, quantity, *amounts)] = told(client, "pnlSingle")
    assert quantity == 6
    assert amounts == pytest.approx([daily, 300.0, realized, 1200.0])
    del table


def test_what_was_bought_today_has_no_share_in_yesterday() -> None:
    table = Table()
    table.control("set_price", symbol="AAPL", price="200")
    client = table.connect()
    client.place(market("BUY", 10))  # At the ask, 200.01, for 1.00.
    client.read()
    table.control("set_price", symbol="AAPL", price="203")
    client.read()

    client.api.reqPnL(7, ACCOUNT, "")

    [(_id, daily, unrealized, realized)] = told(client, "pnl")
    assert (daily, unrealized, realized) == pytest.approx((28.9, 28.9, 0))


def test_a_deal_of_yesterday_is_not_of_today() -> None:
    table = Table()
    client = table.connect()
    table.control("set_price", symbol="AAPL", price="200")
    client.place(market("BUY", 10))
    table.clock.advance(days=1)
    client.read()

    client.api.reqPnL(7, ACCOUNT, "")

    [(_id, daily, _unrealized, _realized)] = told(client, "pnl")
    assert daily == 100.0


def test_changes_come_once_a_second_and_only_changes() -> None:
    """[CAMPUS] Profit & Loss: "approximately once per second"."""
    table, client = holding()
    client.api.reqPnL(7, ACCOUNT, "")
    client.read()

    table.control("set_price", symbol="AAPL", price="201")
    assert told(client, "pnl") == []
    table.clock.advance(seconds=1)
    table.gateway.push_due_values()
    assert told(client, "pnl") == [(7, 110.0, 510.0, 0.0)]
    table.clock.advance(seconds=5)
    table.gateway.push_due_values()
    assert told(client, "pnl") == []


def test_all_accounts_are_added_up() -> None:
    _table, client = holding(accounts=(ACCOUNT, OTHER))

    client.api.reqPnL(7, "All", "")
    client.api.reqPnL(9, OTHER, "")

    assert told(client, "pnl") == [(7, 200.0, 1000.0, 0.0), (9, 100.0, 500.0, 0.0)]


def test_an_account_that_is_not_served() -> None:
    _table, client = holding()

    client.api.reqPnL(7, "DU999", "")
    client.api.reqPnLSingle(8, "DU999", "", AAPL_ID)

    assert [arguments[:2] for arguments in told(client, "error")] == [(7, 321), (8, 321)]


def test_an_id_in_use() -> None:
    _table, client = holding()
    client.api.reqPnL(7, ACCOUNT, "")
    client.read()

    client.api.reqPnL(7, ACCOUNT, "")

    assert [arguments[:2] for arguments in told(client, "error")] == [(7, 322)]


def test_a_known_contract_without_a_position_is_zero_and_an_unknown_one_is_silent() -> None:
    """[CAMPUS] reqPnLSingle: "does not return message if invalid conId is entered"."""
    _table, client = holding()

    client.api.reqPnLSingle(8, ACCOUNT, "", MSFT_ID)
    client.api.reqPnLSingle(9, ACCOUNT, "", 1)

    assert told(client, "pnlSingle") == [(8, 0, 0.0, 0.0, 0.0, 0.0)]


def test_a_cancel_ends_it_and_a_second_one_is_refused() -> None:
    """10185 and 10186 are the codes clients list for a cancel without a subscription."""
    table, client = holding()
    client.api.reqPnL(7, ACCOUNT, "")
    client.api.reqPnLSingle(8, ACCOUNT, "", AAPL_ID)
    client.api.cancelPnL(7)
    client.api.cancelPnLSingle(8)
    client.read()

    table.clock.advance(seconds=5)
    table.control("set_price", symbol="AAPL", price="150")
    assert client.read() == []
    client.api.cancelPnL(7)
    client.api.cancelPnLSingle(8)
    assert [call.arguments[:3] for call in client.read()] == [
        (7, 10185, "Failed to cancel PNL (not subscribed)"),
        (8, 10186, "Failed to cancel PNL single (not subscribed)"),
    ]
