"""Options in the books: a contract is a hundred units of its price, in cost, cash, value, P&L and margin."""

from decimal import Decimal

import pytest
from ib_async import ComboLeg, Contract, Option

from ib_simulator.messages.contract import ContractQuery
from tests.simulator.joined import JoinedClient, Table, limit, market

ACCOUNT = "DU1234567"
START = Decimal(1_000_000)


@pytest.fixture
def table() -> Table:
    made = Table()
    made.control("set_price", symbol="AAPL", price="200")
    made.control("pause_fills")
    return made


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect()


def listed(table: Table, *, right: str = "C", strike: str = "200") -> Option:
    """Return a listed option of the nearest month."""
    query = ContractQuery(symbol="AAPL", sec_type="OPT", right=right, strike=Decimal(strike), exchange="SMART")
    found = table.gateway.instruments.matches(query)[0]
    return Option("AAPL", found.expiry, float(strike), right, "SMART", currency="USD", multiplier="100")


def last_price(table: Table) -> Decimal:
    [held] = table.gateway.ledger.positions(ACCOUNT)
    return table.gateway.market.quote(held.instrument).last


def test_cost_cash_and_value_are_of_whole_contracts(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 2, 5), listed(table))
    table.control("fill", order_id=1, price="5.00")
    [held] = table.gateway.ledger.positions(ACCOUNT)

    # Two contracts at 0.65 are 1.30.
    assert held.average_cost == Decimal("500.65")
    assert table.gateway.ledger.cash[ACCOUNT] == START - Decimal("1001.30")


def test_portfolio_and_pnl_count_the_multiplier(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 2, 5), listed(table))
    table.control("fill", order_id=1, price="5.00")
    client.read()
    price = last_price(table)

    client.api.reqAccountUpdates(True, ACCOUNT)
    client.api.reqPnL(9, ACCOUNT, "")

    told = {call.name: call.arguments for call in client.read()}
    contract, _quantity, market_price, value, cost, unrealized, _realized, _account = told["updatePortfolio"]
    assert (contract.secType, contract.multiplier) == ("OPT", "100")
    assert value == pytest.approx(float(2 * 100 * price))
    assert (market_price, cost) == (pytest.approx(float(price)), 500.65)
    assert unrealized == pytest.approx(value - 1001.30)
    assert told["pnl"][2] == pytest.approx(unrealized)


def test_a_round_trip_realises_per_contract(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 2, 5), listed(table))
    client.place(limit("SELL", 2, 6), listed(table))
    table.control("fill", order_id=1, price="5.00")
    table.control("fill", order_id=2, price="6.00")

    assert table.gateway.ledger.realized_pnl(ACCOUNT) == 200 - Decimal("2.60")
    assert table.gateway.ledger.cash[ACCOUNT] == START + 200 - Decimal("2.60")


def preview(client: JoinedClient, action: str, contract: Contract) -> tuple[Decimal, Decimal]:
    """Return how initial margin and equity with loan would change."""
    client.place(market(action, 1, whatIf=True), contract)
    state = next(call.arguments[3] for call in client.read() if call.name == "openOrder")
    return Decimal(state.initMarginChange), Decimal(state.equityWithLoanChange)


def test_a_long_option_is_paid_and_a_short_one_is_secured(table: Table, client: JoinedClient) -> None:
    option = listed(table)

    bought = preview(client, "BUY", option)
    sold = preview(client, "SELL", option)

    premium = -bought[1] - 1
    assert bought[0] == 0
    assert premium > 0
    # At the money: the premium and 20 % of the underlying.
    assert sold == (premium + Decimal("0.20") * 200 * 100, premium - 1)


def spread_of(table: Table, client: JoinedClient) -> Contract:
    """Return a combination: buy the 200 call, sell the 205 call."""
    details = []
    for strike in ("200", "205"):
        client.api.reqContractDetails(7, listed(table, strike=strike))
        details += [call.arguments[1] for call in client.read() if call.name == "contractDetails"]
    spread = Contract(symbol="AAPL", secType="BAG", exchange="SMART", currency="USD")
    spread.comboLegs = [
        ComboLeg(conId=found.contract.conId, ratio=1, action=action, exchange="SMART")
        for found, action in zip(details, ("BUY", "SELL"), strict=True)
    ]
    return spread


def test_a_preview_of_a_combination_is_that_of_its_legs(table: Table, client: JoinedClient) -> None:
    spread = spread_of(table, client)

    long_leg = preview(client, "BUY", listed(table, strike="200"))
    short_leg = preview(client, "SELL", listed(table, strike="205"))

    assert preview(client, "BUY", spread) == (long_leg[0] + short_leg[0], long_leg[1] + short_leg[1])


def test_the_legs_of_a_combination_are_corrected_one_by_one(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 1, 2), spread_of(table, client))
    table.control("fill", order_id=1, price="2.00")
    whole, bought, _sold = table.gateway.ledger.executions
    cash = table.gateway.ledger.cash[ACCOUNT]

    assert table.control("correct_execution", exec_id=whole.exec_id, price="1")["code"] == "bad_value"
    assert table.control("correct_execution", exec_id=bought.exec_id, price=str(bought.price + 1))["ok"]

    assert table.gateway.ledger.cash[ACCOUNT] == cash - 100
    [order] = table.orders()
    assert (order["filled"], order["average_price"]) == ("1", "2")
