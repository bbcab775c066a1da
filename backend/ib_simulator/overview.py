"""What a person wants to see at a glance, for `overview`: much less than `state`, so that it may be asked often."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ib_simulator.book_state import order_state
from ib_simulator.messages.answer import rounded
from ib_simulator.money.ledger import trading_date
from ib_simulator.money.profit import position_profit

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

ORDERS_MAX = 100
_CENT = Decimal("0.01")


def overview(gateway: "Gateway") -> dict[str, Any]:
    """Return connections, positions, the newest active orders and how much was said so far."""
    active = gateway.book.active()
    return {
        "now": gateway.clock.now().astimezone(gateway.zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
        "seed": gateway.config.seed,
        "accounts": list(gateway.config.accounts),
        "connections": [
            {"client_id": session.client_id, "server_version": session.server_version, "connection": session.number}
            for session in gateway.connected()
        ],
        "received": gateway.traffic.received,
        "sent": gateway.traffic.sent,
        "all_orders": len(gateway.book),
        "active_orders": len(active),
        "orders": [order_state(order) for order in reversed(active[-ORDERS_MAX:])],
        "executions": len(gateway.ledger.executions),
        "positions": _positions(gateway),
        "fills_paused": gateway.scenario.fills_paused,
        "outage": gateway.scenario.outage,
        "refusing": not gateway.scenario.accepting,
    }


def _positions(gateway: "Gateway") -> list[dict[str, Any]]:
    today = trading_date(gateway.clock.now())
    rows: list[dict[str, Any]] = []
    for held in gateway.ledger.positions():
        profit = position_profit(held, ledger=gateway.ledger, market=gateway.market, today=today)
        rows.append(
            {
                "account": held.account,
                "symbol": held.instrument.local_symbol,
                "quantity": format(held.quantity, "f"),
                "average_cost": format(rounded(held.average_cost), "f"),
                "price": format(gateway.market.quote(held.instrument).last, "f"),
                "unrealized": format(profit.unrealized.quantize(_CENT), "f"),
            }
        )
    return rows
