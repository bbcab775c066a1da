"""A broker under test with everything it told, tickets to place, and the wire's fields by name."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self, TypeVar

from app.brokers.base import BracketTicket, BrokerSession, ConnectionState, OrderTicket
from app.brokers.ib import IBBroker, IBSettings
from app.domain.broker_events import AnyBrokerEvent, CommissionTold, FillTold, OrderMessageTold, OrderTold
from app.domain.contract import Contract
from app.domain.terms import Action, OrderType, TimeInForce
from ib_simulator.process import SimulatorProcess

AAPL = Contract(symbol="AAPL")
T = TypeVar("T")


async def eventually(look: Callable[[], T], *, seconds_max: float = 10.0) -> T:
    """Return the first true value of `look`; fail with the last one at the limit."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + seconds_max
    while not (value := look()):
        assert loop.time() < give_up_at, f"not true within {seconds_max:g} s; last seen: {value!r}"
        await asyncio.sleep(0.01)
    return value


@dataclass
class Heard:
    """What a broker told, in order."""

    events: list[AnyBrokerEvent] = field(default_factory=list)
    states: list[tuple[ConnectionState, str]] = field(default_factory=list)

    def orders(self, order_ref: str | None = None) -> list[OrderTold]:
        told = [event for event in self.events if isinstance(event, OrderTold)]
        return [event for event in told if order_ref in (None, event.order_ref)]

    def statuses(self, order_ref: str) -> list[str]:
        """The different statuses of an order, in the order they were first told."""
        return list(dict.fromkeys(event.raw_status for event in self.orders(order_ref)))

    def fills(self) -> list[FillTold]:
        return [event for event in self.events if isinstance(event, FillTold)]

    def commissions(self) -> list[CommissionTold]:
        return [event for event in self.events if isinstance(event, CommissionTold)]

    def messages(self, order_id: int | None = None) -> list[OrderMessageTold]:
        told = [event for event in self.events if isinstance(event, OrderMessageTold)]
        return [event for event in told if order_id in (None, event.order_id)]

    def note_state(self, state: ConnectionState, reason: str) -> None:
        self.states.append((state, reason))


class BrokerDesk:
    """A connected broker while its block runs."""

    session: BrokerSession

    def __init__(self, settings: IBSettings) -> None:
        self.heard = Heard()
        self.broker = IBBroker(settings, on_event=self.heard.events.append, on_state=self.heard.note_state)

    async def __aenter__(self) -> Self:
        self.session = await self.broker.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.disconnect()


def simulator_settings(running: SimulatorProcess) -> IBSettings:
    """How to reach a simulator."""
    return IBSettings(
        host=running.host,
        port=running.port,
        reconnect_pause_seconds=0.05,
    )


def bracket(
    name: str = "setup",
    *,
    symbol: str = "AAPL",
    entry_type: OrderType = OrderType.MARKET,
    entry_price: str | None = None,
    stop_price: str = "180.00",
    target_price: str | None = None,
    quantity: str = "10",
    outside_rth: bool = False,
) -> BracketTicket:
    """A long bracket; the legs are named `<name>-entry`, `<name>-stop`, `<name>-target`."""
    size = Decimal(quantity)
    exit_leg = {"action": Action.SELL, "quantity": size, "time_in_force": TimeInForce.GTC, "outside_rth": outside_rth}
    target = OrderTicket(
        order_ref=f"{name}-target",
        order_type=OrderType.LIMIT,
        limit_price=Decimal(target_price or 0),
        **exit_leg,  # type: ignore[arg-type]
    )
    return BracketTicket(
        contract=Contract(symbol=symbol),
        entry=OrderTicket(
            order_ref=f"{name}-entry",
            action=Action.BUY,
            order_type=entry_type,
            quantity=size,
            limit_price=Decimal(entry_price) if entry_price else None,
            outside_rth=outside_rth,
        ),
        stop_loss=stop_ticket(f"{name}-stop", stop_price=stop_price, quantity=quantity, outside_rth=outside_rth),
        take_profit=target if target_price else None,
    )


def stop_ticket(
    order_ref: str, *, stop_price: str = "180.00", quantity: str = "10", outside_rth: bool = False
) -> OrderTicket:
    return OrderTicket(
        order_ref=order_ref,
        action=Action.SELL,
        order_type=OrderType.STOP,
        quantity=Decimal(quantity),
        stop_price=Decimal(stop_price),
        time_in_force=TimeInForce.GTC,
        outside_rth=outside_rth,
    )


# Where a placeOrder message has its fields: ib_async's client.py, the same at server versions 157 to 178.
_PLACE_ORDER_FIELDS = {
    "order_id": 1,
    "symbol": 3,
    "action": 16,
    "quantity": 17,
    "order_type": 18,
    "limit_price": 19,
    "stop_price": 20,
    "tif": 21,
    "account": 23,
    "order_ref": 26,
    "transmit": 27,
    "parent_id": 28,
    "outside_rth": 33,
}


def sent_orders(messages: list[dict[str, Any]]) -> list[Mapping[str, str]]:
    """The placeOrder messages a client sent, in wire order, by field name."""
    return [
        {name: message["fields"][index] for name, index in _PLACE_ORDER_FIELDS.items()}
        for message in messages
        if message["name"] == "placeOrder"
    ]
