"""Margin: previews of orders, refusals of what an account cannot carry, and values that always add up."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async import Stock

from tests.simulator.joined import JoinedClient, Table, limit, market, stop

ACCOUNT = "DU1234567"


@pytest.fixture
def table() -> Table:
    made = Table()
    made.control("set_price", symbol="AAPL", price="200")
    return made


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect()


def preview(client: JoinedClient, order: Any) -> Any:
    """Return the order state of a preview."""
    order.whatIf = True
    client.place(order)
    return next(call.arguments[3] for call in client.read() if call.name == "openOrder")


def values(table: Table, account: str = ACCOUNT) -> dict[str, Decimal]:
    client = table.connect(client_id=31)
    client.api.reqAccountSummary(1, "All", "All")
    found = {
        call.arguments[2]: Decimal(call.arguments[3])
        for call in client.read()
        if call.name == "accountSummary" and call.arguments[1] == account and call.arguments[4] == "USD"
        if call.arguments[2] != "Currency"
    }
    client.session.close()
    return found


def test_a_preview_has_margins_before_change_and_after(table: Table, client: JoinedClient) -> None:
    """[CAPTURE] api_whatif_margin_aapl: equity changes by the commission, the commission has no bounds."""
    table.control("set_position", symbol="MSFT", quantity="10", average_cost="400")
    table.control("set_price", symbol="MSFT", price="400")

    state = preview(client, market("BUY", 100))

    assert (state.initMarginBefore, state.initMarginChange, state.initMarginAfter) == ("1000.00", "5000.00", "6000.00")
    assert (state.maintMarginBefore, state.maintMarginChange, state.maintMarginAfter) == (
        "1000.00",
        "5000.00",
        "6000.00",
    )
    assert (state.equityWithLoanBefore, state.equityWithLoanChange) == ("1004000.00", "-1.00")
    assert state.equityWithLoanAfter == "1003999.00"
    assert (state.commission, state.commissionCurrency, state.status) == (1.0, "USD", "PreSubmitted")
    assert state.minCommission == state.maxCommission > 1e300
    assert table.orders() == []


@pytest.mark.parametrize(
    "order",
    [
        market("BUY", 100),
        limit("BUY", 100, 1),
        stop("BUY", 100, 999),
        market("BUY", 100, orderType="STP LMT", lmtPrice=2, auxPrice=999),
    ],
    ids=["MKT", "LMT", "STP", "STP LMT"],
)
def test_every_type_is_previewed_at_the_market(client: JoinedClient, order: Any) -> None:
    assert preview(client, order).initMarginChange == "5000.00"


@pytest.mark.parametrize(
    ("rule", "action", "held", "initial", "maintenance"),
    [
        ("intraday", "BUY", "0", "5000.00", "5000.00"),
        ("intraday", "SELL", "0", "6000.00", "6000.00"),
        ("reg_t", "BUY", "0", "10000.00", "5000.00"),
        ("reg_t", "SELL", "0", "10000.00", "6000.00"),
        ("intraday", "SELL", "100", "-5000.00", "-5000.00"),
        ("intraday", "SELL", "50", "500.00", "500.00"),  # 2,500 freed by the long half, 3,000 for the short one.
    ],
)
def test_margin_by_rule_and_side(
    table: Table, client: JoinedClient, rule: str, action: str, held: str, initial: str, maintenance: str
) -> None:
    table.control("set_switch", name="margin", value=rule)
    table.control("set_position", symbol="AAPL", quantity=held, average_cost="200")

    state = preview(client, market(action, 100))

    assert (state.initMarginChange, state.maintMarginChange) == (initial, maintenance)


def test_an_order_beyond_the_funds_is_refused(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="margin_check", value="on")

    client.place(market("BUY", 25_000))  # 5,000,000 USD need 1,250,000.

    told = [call for call in client.read() if call.name in {"error", "orderStatus"}]
    [refusal] = [call.arguments for call in told if call.name == "error"]
    assert refusal[1] == 201
    assert refusal[2] == (
        "Order rejected - reason:We are unable to accept your order. Your Available Funds are insufficient to cover "
        "the change in the account's margin requirements if this order executes. In order to obtain the desired "
        "position your Equity with Loan Value [999875.00 USD] must exceed the new total Initial Margin of "
        "[1250000.00 USD]."
    )
    assert [call.arguments[1] for call in told if call.name == "orderStatus"] == ["Inactive"]


def test_without_the_check_it_is_taken(client: JoinedClient) -> None:
    client.place(market("BUY", 25_000))

    assert "deal 1 BOT 25000@200.01" in client.order_news()


def test_a_preview_beyond_the_funds_has_figures_and_the_refusal(table: Table, client: JoinedClient) -> None:
    """As was measured on a paper account: "the margin numbers AND a 201 rejection for the same request"."""
    table.control("set_switch", name="margin_check", value="on")
    client.place(market("BUY", 25_000, whatIf=True))

    told = client.read()

    assert [call.name for call in told] == ["openOrder", "error"]
    assert told[0].arguments[3].initMarginAfter == "1250000.00"
    assert told[1].arguments[:2] == (1, 201)


def test_what_closes_a_position_is_always_taken(table: Table, client: JoinedClient) -> None:
    table.control("set_position", symbol="AAPL", quantity="30000", average_cost="400")
    table.control("set_switch", name="margin_check", value="on")
    table.control("set_price", symbol="AAPL", price="20")

    client.place(market("SELL", 100))

    assert "deal 1 SLD 100@19.99" in client.order_news()


def test_the_exits_of_a_bracket_are_not_counted_as_short_sales(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="margin_check", value="on")
    # 900,000 USD to buy them; to sell them short would be 1,080,000.
    entry = client.place(limit("BUY", 18_000, 150, transmit=False))

    client.place(stop("SELL", 18_000, 140, parentId=entry))

    assert [order["status"] for order in table.orders()] == ["Submitted", "PreSubmitted"]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["AAPL", "MSFT"]),
        st.integers(1, 500),
        st.sampled_from(["150", "189.99", "200", "431.20"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, tiered=st.booleans())
def test_net_liquidation_is_cash_and_positions_always(actions: list[tuple[str, str, int, str]], tiered: bool) -> None:
    table = Table()
    client = table.connect()
    table.control("set_switch", name="commissions", value="tiered" if tiered else "fixed")
    for action, symbol, quantity, price in actions:
        client.place(market(action, quantity), Stock(symbol, "SMART", "USD"))
        table.control("set_price", symbol=symbol, price=price)
    ledger, quote = table.gateway.ledger, table.gateway.market.quote
    worth = sum((held.quantity * quote(held.instrument).last for held in ledger.positions()), Decimal(0))
    found = values(table)

    assert found["NetLiquidation"] == (ledger.cash[ACCOUNT] + worth).quantize(Decimal("0.01"))
    # Each figure is rounded to a cent on its own.
    assert abs(found["EquityWithLoanValue"] - found["InitMarginReq"] - found["AvailableFunds"]) <= Decimal("0.01")
    # What was gained or lost is all the account has more or less than it began with.
    gained = found["NetLiquidation"] - 1_000_000
    assert abs(found["RealizedPnL"] + found["UnrealizedPnL"] - gained) <= Decimal("0.03")
