"""Each long message, value by value, through ib_async's encoder and decoder at the versions that changed a layout."""

from datetime import datetime
from typing import Any

import pytest
from ib_async import Stock
from ib_async.contract import DeltaNeutralContract

from tests.simulator.joined import JoinedClient, Table, limit, market

VERSIONS = [157, 158, 159, 160, 162, 163, 164, 166, 169, 170, 176, 177, 178]

# Values a client sends that must come back in the same attribute.
ECHOED: dict[str, Any] = {
    "orderRef": "7-1-entry",
    "outsideRth": True,
    "hidden": True,
    "discretionaryAmt": 0.25,
    "goodAfterTime": "20260107 10:00:00",
    "goodTillDate": "20260108 10:00:00",
    "modelCode": "model",
    "rule80A": "I",
    "settlingFirm": "firm",
    "percentOffset": 0.5,
    "displaySize": 3,
    "blockOrder": True,
    "sweepToFill": True,
    "allOrNone": True,
    "minQty": 2,
    "triggerMethod": 4,
    "trailingPercent": 1.5,
    "scaleInitLevelSize": 11,
    "scaleSubsLevelSize": 12,
    "hedgeType": "B",
    "hedgeParam": "0.7",
    "clearingAccount": "clear",
    "clearingIntent": "Away",
    "solicited": True,
    "randomizeSize": True,
    "randomizePrice": True,
    "cashQty": 100.5,
    "ocaGroup": "group",
    "ocaType": 2,
    "startingPrice": 1.25,
    "delta": 0.75,
    "tif": "GTC",
}
OPEN_ONLY = {"optOutSmartRouting": True, "triggerPrice": 3.5, "lmtPriceOffset": 0.1, "adjustedStopPrice": 150.5}


def place(version: int, **more: Any) -> tuple[Table, JoinedClient]:
    table = Table()
    client = table.connect(client_id=3, version=version)
    contract = Stock("AAPL", "SMART", "USD")
    contract.deltaNeutralContract = DeltaNeutralContract(conId=5, delta=0.5, price=7.5)
    client.place(limit("BUY", 10, 150.25, **{**ECHOED, **OPEN_ONLY, **more}), contract)
    return table, client


@pytest.mark.parametrize("version", VERSIONS)
def test_open_order_gives_back_what_was_placed(version: int) -> None:
    _table, client = place(version)

    told = client.read()[0]

    order_id, contract, order, state = told.arguments
    assert {name: getattr(order, name) for name in {**ECHOED, **OPEN_ONLY}} == {**ECHOED, **OPEN_ONLY}
    assert (order_id, order.clientId, order.permId) == (1, 3, 1_007_000_001)
    assert (order.action, order.totalQuantity, order.orderType, order.lmtPrice) == ("BUY", 10, "LMT", 150.25)
    assert (order.account, state.status, order.deltaNeutralOrderType) == ("DU1234567", "Submitted", "None")
    assert (contract.conId, contract.symbol, contract.secType, contract.exchange) == (265598, "AAPL", "STK", "SMART")
    assert (contract.localSymbol, contract.tradingClass, contract.currency) == ("AAPL", "NMS", "USD")
    assert contract.deltaNeutralContract == DeltaNeutralContract(conId=5, delta=0.5, price=7.5)


@pytest.mark.parametrize(
    ("since", "name", "value"),
    [(159, "duration", 30), (160, "postToAts", 5), (162, "autoCancelParent", True)],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_fields_that_came_later_are_there_from_their_version_on(
    version: int, since: int, name: str, value: object
) -> None:
    _table, client = place(version, **{name: value})

    order = client.read()[0].arguments[2]

    assert (getattr(order, name) == value) is (version >= since)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_completed_order_gives_back_what_was_placed(version: int) -> None:
    table, client = place(version)
    table.control("fill", order_id=1, price="150.20")
    client.read()

    client.api.reqCompletedOrders(False)

    completed, end = client.read()
    contract, order, state = completed.arguments
    # Not part of this message.
    expected = {name: value for name, value in ECHOED.items() if name != "blockOrder"}
    assert {name: getattr(order, name) for name in expected} == expected
    assert (order.permId, order.filledQuantity, order.orderType) == (1_007_000_001, 10, "LMT")
    assert (state.status, state.completedStatus) == ("Filled", "Filled Size: 10")
    assert state.completedTime == "20260107 10:00:00 US/Eastern"
    assert contract.conId == 265598
    assert end.name == "completedOrdersEnd"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_deal_and_its_commission(version: int) -> None:
    table, client = place(version)
    client.read()
    table.control("fill", order_id=1, quantity="4", price="150.20")

    told = {call.name: call.arguments for call in client.read()}

    request_id, contract, deal = told["execDetails"]
    assert (request_id, deal.orderId, deal.clientId, deal.permId) == (-1, 1, 3, 1_007_000_001)
    assert (deal.acctNumber, deal.exchange, deal.side) == ("DU1234567", "NASDAQ", "BOT")
    assert (deal.shares, deal.price, deal.cumQty, deal.avgPrice) == (4, 150.2, 4, 150.2)
    assert (deal.orderRef, deal.lastLiquidity, deal.pendingPriceRevision) == ("7-1-entry", 2, False)
    assert deal.time == datetime.fromisoformat("2026-01-07T15:00:00+00:00")
    assert contract.conId == 265598
    [report] = told["commissionReport"]
    assert (report.execId, report.commission, report.currency) == (deal.execId, 1.0, "USD")
    assert report.realizedPNL > 1e300  # Not set on an opening deal.
    status = told["orderStatus"]
    assert status == (1, "Submitted", 4.0, 6.0, 150.2, deal.permId, 0, 150.2, 3, "", 0.0)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_has_its_text_in_the_right_place(version: int) -> None:
    client = Table().connect(version=version)

    client.place(market("BUY", 0))

    [told] = client.read()
    assert told.arguments == (1, 434, "The order size cannot be zero.", "")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_has_the_advanced_reject_field_only_where_it_exists(version: int) -> None:
    client = Table().connect(version=version)

    client.place(market("BUY", 0))

    [fields] = client.frames()
    assert len(fields) == (6 if version >= 166 else 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_completed_child_names_its_parent(version: int) -> None:
    client = Table().connect(version=version)
    entry = client.place(market("BUY", 10, transmit=False))
    child = client.place(limit("SELL", 10, 999, parentId=entry))
    client.api.cancelOrder(child)
    client.read()

    client.api.reqCompletedOrders(False)

    parent, completed, _end = client.read()
    assert completed.arguments[1].parentPermId == parent.arguments[1].permId > 0
    assert (completed.arguments[2].status, completed.arguments[2].completedStatus) == ("Cancelled", "Cancelled")


@pytest.mark.parametrize("version", VERSIONS)
def test_contract_details(version: int) -> None:
    client = Table().connect(version=version)

    client.api.reqContractDetails(9, Stock("SPY", "SMART", "USD"))

    found, end = client.read()
    request_id, details = found.arguments
    contract = details.contract
    assert (request_id, contract.conId, contract.symbol, contract.exchange) == (9, 756733, "SPY", "SMART")
    assert (contract.primaryExchange, contract.tradingClass, contract.secType) == ("ARCA", "SPY", "STK")
    assert (details.minTick, details.longName, details.stockType) == (0.01, "SS SPDR S&P 500 ETF TRUST-US", "ETF")
    assert (details.timeZoneId, details.priceMagnifier, details.aggGroup) == ("US/Eastern", 1, 1)
    assert set(details.marketRuleIds.split(",")) == {"26"}
    assert details.liquidHours.startswith("20260107:0930-20260107:1600;20260108:0930")
    assert "20260110:CLOSED" in details.liquidHours
    assert (details.sizeIncrement == 0.0001) is (version >= 164)
    assert end.arguments == (9,)


@pytest.mark.parametrize("version", VERSIONS)
def test_symbol_samples(version: int) -> None:
    client = Table().connect(version=version)

    client.api.reqMatchingSymbols(4, "goog")

    [told] = client.read()
    request_id, found = told.arguments
    assert request_id == 4
    assert [sample.contract.symbol for sample in found] == ["GOOG", "GOOGL"]
    assert found[0].derivativeSecTypes == ["CFD", "OPT"]
    assert (found[0].contract.description == "ALPHABET INC-CL C") is (version >= 176)
