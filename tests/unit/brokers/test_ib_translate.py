"""The border between floats and decimals, IB's words and ours."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async.contract import Contract as WireContract
from ib_async.contract import ContractDetails
from ib_async.objects import BarData, CommissionReport, Execution
from ib_async.objects import PriceIncrement as WireIncrement
from ib_async.util import UNSET_DOUBLE, UNSET_INTEGER

from app.brokers.base import OrderTicket
from app.brokers.ib import translate
from app.domain.broker_events import ToldStatus
from app.domain.contract import Contract, PriceIncrement
from app.domain.terms import Action, OrderType, TimeInForce

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
prices = st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(999999), places=4)


@given(price=prices)
def test_a_price_survives_the_float_and_back(price: Decimal) -> None:
    assert translate.to_decimal(translate.to_float(price)) == price


@pytest.mark.parametrize(
    ("wire", "ours"),
    [
        (10.0, "10"),
        (189.5, "189.5"),
        (0.1, "0.1"),
        (0.0, "0"),
        (1e16, "10000000000000000"),
        ("999998.90", "999998.90"),
        (-3.0, "-3"),
    ],
)
def test_a_number_has_no_noise_and_no_trailing_zero(wire: float | str, ours: str) -> None:
    assert str(translate.to_decimal(wire)) == ours


@pytest.mark.parametrize("wire", [None, "", UNSET_DOUBLE, "1.7976931348623157E308", float("nan"), float("inf")])
def test_not_set_is_none_and_where_a_number_is_needed_an_error(wire: float | str | None) -> None:
    assert translate.to_decimal(wire) is None
    with pytest.raises(ValueError, match="missing"):
        translate.require_decimal(wire)


def test_what_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="Not a number"):
        translate.to_decimal("many")


@pytest.mark.parametrize(("wire", "ours"), [(7, 7), (0, 0), (-1, 0), (UNSET_INTEGER, 0)])
def test_an_id_that_is_not_set_is_zero(wire: int, ours: int) -> None:
    assert translate.to_identifier(wire) == ours


def test_a_status_word_of_ibs_is_kept_and_another_is_unknown() -> None:
    for status in ToldStatus:
        assert translate.to_status(status.value) is status
    assert translate.to_status("Teleported") is ToldStatus.UNKNOWN


def test_a_side_is_an_action_or_an_error() -> None:
    assert [translate.to_action(side) for side in ("BOT", "SLD", "BUY", "SELL")] == [
        Action.BUY,
        Action.SELL,
        Action.BUY,
        Action.SELL,
    ]
    with pytest.raises(ValueError, match="Neither"):
        translate.to_action("SSHORT?")


def test_an_order_type_is_translated_both_ways_or_kept() -> None:
    for ours, wire in translate.WIRE_ORDER_TYPES.items():
        assert translate.to_order_type(wire) == ours.value
    assert translate.to_order_type("TRAIL") == "TRAIL"


def test_an_order_is_sent_with_every_field_that_protects_it() -> None:
    # Given a stop-limit ticket
    ticket = OrderTicket(
        order_ref="k-1-ENTRY",
        action=Action.BUY,
        order_type=OrderType.STOP_LIMIT,
        quantity=Decimal(10),
        limit_price=Decimal("190.10"),
        stop_price=Decimal("190.05"),
        time_in_force=TimeInForce.GTC,
        outside_rth=True,
    )
    # When it is translated
    order = translate.wire_order(ticket, order_id=7, client_id=3, account="DU1", parent_id=6, transmit=False)
    # Then nothing of it is missing
    assert (order.orderId, order.clientId, order.parentId, order.transmit) == (7, 3, 6, False)
    assert (order.action, order.orderType, order.totalQuantity) == ("BUY", "STP LMT", 10.0)
    assert (order.lmtPrice, order.auxPrice) == (190.10, 190.05)
    assert (order.tif, order.outsideRth, order.orderRef, order.account) == ("GTC", True, "k-1-ENTRY", "DU1")


def test_a_price_that_an_order_has_not_is_not_sent() -> None:
    ticket = OrderTicket(order_ref="r", action=Action.SELL, order_type=OrderType.MARKET, quantity=Decimal(1))
    order = translate.wire_order(ticket, order_id=1, client_id=1, account="DU1", parent_id=0, transmit=True)
    assert (order.lmtPrice, order.auxPrice, order.tif) == (UNSET_DOUBLE, UNSET_DOUBLE, "DAY")


def test_a_contract_goes_both_ways() -> None:
    contract = Contract(symbol="BRK B")
    assert translate.to_contract(translate.wire_contract(contract)) == contract
    assert translate.to_contract(WireContract(symbol="X")) == Contract(symbol="X")


def test_a_deal_is_told_in_utc_decimals_and_domain_words() -> None:
    # Given a deal in New York's time, with the order id TWS gives manual orders
    execution = Execution(
        execId="0000e0d5.6571d0d4.01.01",
        time=datetime(2026, 11, 20, 9, 30, 1, tzinfo=ZoneInfo("US/Eastern")),
        acctNumber="DU1",
        side="SLD",
        shares=10.0,
        cumQty=25.0,
        price=189.55,
        permId=77,
        clientId=0,
        orderId=UNSET_INTEGER,
        orderRef="ref",
    )
    # When it is translated
    fill = translate.fill_told(WireContract(symbol="AAPL"), execution, received_at=NOW)
    # Then it says what happened
    assert (fill.dedupe_key, fill.exec_id) == ("fill:0000e0d5.6571d0d4.01.01", "0000e0d5.6571d0d4.01.01")
    assert (fill.action, fill.quantity, fill.price) == (Action.SELL, Decimal(10), Decimal("189.55"))
    assert (fill.order_id, fill.perm_id, fill.order_ref, fill.symbol) == (0, 77, "ref", "AAPL")
    assert fill.cumulative == 25
    assert (fill.executed_at, fill.executed_at.tzinfo) == (datetime(2026, 11, 20, 14, 30, 1, tzinfo=UTC), UTC)


@pytest.mark.parametrize(("wire", "ours"), [(UNSET_DOUBLE, None), (0.0, Decimal(0)), (-12.5, Decimal("-12.5"))])
def test_a_cost_knows_a_realised_profit_only_where_there_is_one(wire: float, ours: Decimal | None) -> None:
    report = CommissionReport(execId="e.01", commission=1.0075, currency="USD", realizedPNL=wire)
    cost = translate.commission_told(report, account="DU1", received_at=NOW)
    assert (cost.amount, cost.currency, cost.realized_pnl) == (Decimal("1.0075"), "USD", ours)


def test_market_rules_are_sorted_and_a_symbol_without_one_has_its_smallest_tick() -> None:
    # Given a rule in any order
    rule = [WireIncrement(lowEdge=1.0, increment=0.01), WireIncrement(lowEdge=0.0, increment=0.0001)]
    steps = translate.price_increments(rule)
    assert steps == (
        PriceIncrement(low_edge=Decimal(0), increment=Decimal("0.0001")),
        PriceIncrement(low_edge=Decimal(1), increment=Decimal("0.01")),
    )
    # Then a description has it, or else its smallest tick at every price
    details = ContractDetails(
        contract=WireContract(conId=1, symbol="X", secType="STK", currency="USD", primaryExchange="NYSE"),
        minTick=0.05,
        longName="X CORP",
    )
    assert translate.symbol_info(details, steps).price_increments == steps
    info = translate.symbol_info(details, ())
    assert info.price_increments == (PriceIncrement(low_edge=Decimal(0), increment=Decimal("0.05")),)
    assert (info.con_id, info.long_name, info.primary_exchange) == (1, "X CORP", "NYSE")
    with pytest.raises(ValueError, match="no contract"):
        translate.symbol_info(ContractDetails(), ())


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("1795186200", datetime(2026, 11, 20, 14, 50, tzinfo=UTC)),
        ("20261120", datetime(2026, 11, 20, tzinfo=UTC)),
        ("20261120 09:30:00 US/Eastern", datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
    ],
)
def test_a_bar_starts_in_utc(text: str, start: datetime) -> None:
    row = BarData(date=text, open=1.0, high=2.5, low=0.5, close=2.0, volume=1200.0)  # type: ignore[arg-type]
    bar = translate.bar(row)
    assert (bar.start, bar.start.tzinfo) == (start, UTC)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == tuple(map(Decimal, ("1", "2.5", "0.5", "2", "1200")))


@pytest.mark.parametrize(("tick", "is_price"), [(189.5, True), (0.0, False), (-1.0, False), (float("nan"), False)])
def test_a_tick_without_a_price_is_none(tick: float, is_price: bool) -> None:
    assert translate.is_price(tick) is is_price
