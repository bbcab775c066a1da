"""Values of several accounts: by name, all, by currency, and how often they come."""

from typing import Any

import pytest

from tests.simulator.joined import JoinedClient, Table, market

VERSIONS = [157, 163, 170, 176, 178]
FIRST, SECOND = "DU1", "DU2"


@pytest.fixture
def table() -> Table:
    return Table(accounts=(FIRST, SECOND))


def rows(client: JoinedClient, name: str) -> list[tuple[Any, ...]]:
    return [call.arguments for call in client.read() if call.name == name]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_summary_has_a_row_per_account_and_tag(table: Table, version: int) -> None:
    client = table.connect(version=version)

    client.api.reqAccountSummary(3, "All", "NetLiquidation,AccountType")

    assert sorted(rows(client, "accountSummary")) == [
        (3, FIRST, "AccountType", "INDIVIDUAL", ""),
        (3, FIRST, "NetLiquidation", "1000000.00", "USD"),
        (3, SECOND, "AccountType", "INDIVIDUAL", ""),
        (3, SECOND, "NetLiquidation", "1000000.00", "USD"),
    ]


@pytest.mark.parametrize(
    ("tag", "currencies"),
    [("$LEDGER", {"USD"}), ("$LEDGER:USD", {"USD"}), ("$LEDGER:ALL", {"USD", "BASE"}), ("$LEDGER:EUR", set())],
)
def test_the_ledger_tag_gives_the_values_by_currency(table: Table, tag: str, currencies: set[str]) -> None:
    """[CAMPUS] Account Summary Tags; [CAPTURE] account_updates_multi for the names."""
    client = table.connect()

    client.api.reqAccountSummary(3, "All", tag)

    found = rows(client, "accountSummary")
    assert {row[4] for row in found} == currencies
    for currency in currencies:
        names = {row[2]: row[3] for row in found if row[4] == currency and row[1] == FIRST}
        assert names["CashBalance"] == names["NetLiquidationByCurrency"] == "1000000.00"
        assert (names["Currency"], names["AccountOrGroup"], names["ExchangeRate"]) == (currency, FIRST, "1.00")


def test_a_third_summary_is_refused_until_one_is_cancelled(table: Table) -> None:
    """[CAMPUS] "only two active summary subscriptions are allowed at a time"."""
    client = table.connect()
    for request_id in (1, 2, 3):
        client.api.reqAccountSummary(request_id, "All", "NetLiquidation")
    [(request_id, code, text, _json)] = rows(client, "error")
    assert (request_id, code) == (3, 322)
    assert "Maximum number of account summary requests exceeded" in text

    client.api.cancelAccountSummary(1)
    client.api.reqAccountSummary(3, "All", "NetLiquidation")

    assert len(rows(client, "accountSummary")) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_updates_of_all_accounts_under_one_id(table: Table, version: int) -> None:
    client = table.connect(version=version)

    client.api.reqAccountUpdatesMulti(5, "All", "", False)

    found = [row for row in rows(client, "accountUpdateMulti") if row[3] == "NetLiquidation"]
    assert found == [
        (5, FIRST, "", "NetLiquidation", "1000000.00", "USD"),
        (5, SECOND, "", "NetLiquidation", "1000000.00", "USD"),
    ]


def test_the_light_request_has_the_net_liquidation_and_currencies_only(table: Table) -> None:
    """[CAMPUS] ledgerAndNLV: "only currency positions as opposed to account values and currency positions"."""
    client = table.connect()

    client.api.reqAccountUpdatesMulti(5, FIRST, "", True)

    names = [row[3] for row in rows(client, "accountUpdateMulti")]
    assert names[:3] == ["NetLiquidation", "Currency", "CashBalance"]
    assert "InitMarginReq" not in names


def test_an_unknown_account_is_refused(table: Table) -> None:
    client = table.connect()

    client.api.reqAccountUpdatesMulti(5, "DU9", "", False)
    client.api.reqAccountUpdates(True, "DU9")

    assert [row[:2] for row in rows(client, "error")] == [(5, 321), (-1, 321)]


def test_a_deal_changes_only_its_account(table: Table) -> None:
    client = table.connect()
    client.api.reqAccountUpdatesMulti(5, FIRST, "", False)
    client.api.reqAccountUpdatesMulti(6, SECOND, "", False)
    client.read()

    client.place(market("BUY", 10, account=SECOND))
    table.gateway.push_due_values()

    assert {row[0] for row in rows(client, "accountUpdateMulti")} == {6}


def test_values_come_every_three_minutes(table: Table) -> None:
    """[CAMPUS] Account Updates: "at a fixed interval of three minutes"."""
    client = table.connect()
    client.api.reqAccountUpdates(True, FIRST)
    client.api.reqAccountSummary(3, "All", "NetLiquidation")
    table.gateway.push_due_values()
    client.read()

    table.clock.advance(seconds=179)
    table.gateway.push_due_values()
    assert client.read() == []
    table.clock.advance(seconds=1)
    table.gateway.push_due_values()

    names = {call.name for call in client.read()}
    assert names == {"updateAccountValue", "updateAccountTime", "accountSummary"}
