"""IB's published schedules, row by row. Each row was computed by hand from the schedule."""

from decimal import Decimal

import pytest

from ib_simulator.market.instruments import Instrument
from ib_simulator.money.commissions import Deal, Schedule, deal_commission
from tests.simulator.joined import Table, limit, market

STOCK = Instrument(265598, "AAPL", "APPLE INC", "NASDAQ", "NMS", Decimal(190))
OPTION = Instrument(
    1,
    "AAPL",
    "AAPL 200 C",
    "CBOE",
    "AAPL",
    Decimal(5),
    sec_type="OPT",
    strike=Decimal(200),
    right="C",
    multiplier="100",
)
FOREX = Instrument(2, "EUR", "European Monetary Union Euro", "IDEALPRO", "EUR.USD", Decimal("1.1"), sec_type="CASH")


def deal(instrument: Instrument, quantity: str, price: str, **more: str) -> Deal:
    units = Decimal(instrument.multiplier or 1)
    return Deal(
        instrument,
        Decimal(quantity),
        Decimal(quantity) * Decimal(price) * units,
        Decimal(price),
        **{name: Decimal(value) for name, value in more.items()},
    )


@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        ("100", "25", "1.0000"),  # [IBKR] Fixed Examples, all three.
        ("1000", "25", "5.0000"),
        ("1000", "0.25", "2.5000"),
        ("1", "200", "1.0000"),
        ("1", "50", "0.5000"),  # One per cent is below the minimum: it wins.
    ],
)
def test_fixed_stocks(quantity: str, price: str, expected: str) -> None:
    assert deal_commission(deal(STOCK, quantity, price), schedule=Schedule.FIXED) == Decimal(expected)


@pytest.mark.parametrize(
    ("quantity", "volume", "broker"),
    [
        ("50", "0", "0.35"),  # 0.175 is below the minimum.
        ("1000", "0", "3.50"),
        ("1000", "300000", "2.00"),
        ("1000", "299500", "2.75"),  # Half at 0.0035, half at 0.0020.
        ("1000", "3000000", "1.50"),
        ("1000", "20000000", "1.00"),
        ("1000", "100000000", "0.50"),
    ],
)
def test_tiered_stocks_and_the_fees_of_others(quantity: str, volume: str, broker: str) -> None:
    found = deal_commission(deal(STOCK, quantity, "100", volume=volume), schedule=Schedule.TIERED)

    shares = Decimal(quantity)
    fees = shares * Decimal("0.0002") + shares * Decimal("0.003") + Decimal(broker) * Decimal("0.000738")
    assert found == (Decimal(broker) + fees).quantize(Decimal("0.0001"))


def test_added_liquidity_pays_no_exchange() -> None:
    taking = deal(STOCK, "1000", "100")
    adding = Deal(STOCK, taking.quantity, taking.value, taking.price, takes_liquidity=False)

    saved = deal_commission(taking, schedule=Schedule.TIERED) - deal_commission(adding, schedule=Schedule.TIERED)

    assert saved == Decimal("3.0000")


@pytest.mark.parametrize(
    ("schedule", "quantity", "price", "volume", "expected"),
    [
        (Schedule.FIXED, "1", "5", "0", "1.0000"),
        (Schedule.FIXED, "10", "5", "0", "6.5000"),
        (Schedule.TIERED, "10", "5", "0", "6.5000"),
        (Schedule.TIERED, "10", "0.07", "0", "5.0000"),
        (Schedule.TIERED, "10", "0.04", "0", "2.5000"),
        (Schedule.TIERED, "10", "5", "10000", "5.0000"),
        (Schedule.TIERED, "10", "5", "50000", "2.5000"),
        (Schedule.TIERED, "10", "5", "100000", "1.5000"),
    ],
)
def test_options(schedule: Schedule, quantity: str, price: str, volume: str, expected: str) -> None:
    assert deal_commission(deal(OPTION, quantity, price, volume=volume), schedule=schedule) == Decimal(expected)


@pytest.mark.parametrize(("quantity", "expected"), [("20000", "2.0000"), ("1000000", "22.0000")])
def test_forex(quantity: str, expected: str) -> None:
    assert deal_commission(deal(FOREX, quantity, "1.1"), schedule=Schedule.FIXED) == Decimal(expected)


def test_regulators_are_paid_on_sales_only() -> None:
    bought = deal(STOCK, "1000", "100")
    sold = Deal(STOCK, bought.quantity, bought.value, bought.price, is_sale=True)

    assert deal_commission(bought, schedule=Schedule.FIXED, regulatory_fees=True) == Decimal("5.0000")
    # 0.0000278 of 100,000 USD and 0.000166 a share.
    assert deal_commission(sold, schedule=Schedule.FIXED, regulatory_fees=True) == Decimal("7.9460")


def test_the_minimum_is_the_orders_not_the_deals() -> None:
    table = Table()
    client = table.connect()
    client.place(limit("BUY", 300, 150))
    for quantity in ("100", "100", "100"):
        table.control("fill", order_id=1, quantity=quantity)

    commissions = [deal.commission for deal in table.gateway.ledger.executions]

    assert commissions == [Decimal("1.0000"), Decimal("0.0000"), Decimal("0.5000")]


def test_the_months_volume_counts_all_orders_of_the_account_and_begins_anew() -> None:
    table = Table()
    client = table.connect()
    table.control("set_switch", name="commissions", value="tiered")
    client.place(market("BUY", 300_000))
    client.place(market("BUY", 1000))
    table.clock.advance(days=31)
    client.place(market("BUY", 1000))

    within, after = (deal.commission for deal in table.gateway.ledger.executions[1:])

    # 1.50 less by the second tier, and its share of the pass-through.
    assert after - within == Decimal("1.5011")
