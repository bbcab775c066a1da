"""Deals of combinations: one execution of the whole, and one for each leg, which moves its position and is charged.

[DOC CAMPUS 5161] The execution ids of combinations have five segments.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from ib_simulator.desk.orders import Order
from ib_simulator.market.prices import Market, Quote
from ib_simulator.money.ledger import Execution, Ledger


def book_deal(
    ledger: Ledger,
    market: Market,
    order: Order,
    *,
    quantity: Decimal,
    price: Decimal,
    time: datetime,
    liquidity: int,
) -> list[Execution]:
    """Book a deal of an order whose `filled` and `cost` already contain it; the whole comes before its legs."""
    if not order.instrument.legs:
        return [ledger.record(order, quantity=quantity, price=price, time=time, liquidity=liquidity)]
    number = ledger.next_deal_number()
    whole = Execution(
        exec_id=f"{number}.01.01.01",
        order_sequence=order.sequence,
        order_id=order.order_id,
        client_id=order.client_id,
        perm_id=order.perm_id,
        order_ref=order.order_ref,
        account=order.account,
        instrument=order.instrument,
        exchange=order.exchange,
        side="BOT" if order.is_buy else "SLD",
        quantity=quantity,
        price=price,
        cumulative=order.filled,
        average_price=order.average_price,
        time=time,
        commission=Decimal(0),
        realized_pnl=None,
        liquidity=liquidity,
    )
    ledger.enter(whole)
    executions = [whole]
    for position, (leg, leg_price) in enumerate(
        zip(order.instrument.legs, _leg_prices(market, order, price), strict=True)
    ):
        part = replace(
            order,
            instrument=leg.instrument,
            action="BUY" if leg.is_buy == order.is_buy else "SELL",
            quantity=order.quantity * leg.ratio,
            filled=order.filled * leg.ratio,
            cost=order.filled * leg.ratio * leg_price,
            commission=Decimal(0),
        )
        execution = ledger.record(
            part,
            quantity=quantity * leg.ratio,
            price=leg_price,
            time=time,
            liquidity=liquidity,
            exec_id=f"{number}.{position + 2:02d}.01.01",
        )
        order.commission += execution.commission
        executions.append(execution)
    return executions


def _leg_prices(market: Market, order: Order, price: Decimal) -> list[Decimal]:
    """Return what each leg deals at: its quote; the first takes what is left to the price of the whole."""
    legs = order.instrument.legs
    prices = [_side(market.quote(leg.instrument), is_buy=leg.is_buy == order.is_buy) for leg in legs]
    total = sum((leg.signed_ratio * leg_price for leg, leg_price in zip(legs, prices, strict=True)), Decimal(0))
    prices[0] += (price - total) / legs[0].signed_ratio
    return prices


def _side(quote: Quote, *, is_buy: bool) -> Decimal:
    return quote.ask if is_buy else quote.bid
