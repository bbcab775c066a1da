"""The whole book as JSON, for `state`: decimals as texts, orders in placing order, finished ones too."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ib_simulator.clock import SimulatedClock
from ib_simulator.desk.orders import Order, Stage
from ib_simulator.market.paths import PricePath
from ib_simulator.messages.answer import rounded
from ib_simulator.money.ledger import Execution

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def book_state(gateway: "Gateway") -> dict[str, Any]:
    """Return accounts, connections, orders, executions, positions, prices and what the scenario does."""
    scenario = gateway.scenario
    return {
        "accounts": list(gateway.config.accounts),
        "seed": gateway.config.seed,
        "connections": [
            {"client_id": session.client_id, "server_version": session.server_version, "connection": session.number}
            for session in gateway.connected()
        ],
        "orders": [order_state(order) for order in gateway.book],
        "executions": [_execution_state(execution) for execution in gateway.ledger.executions],
        "positions": [
            {
                "account": held.account,
                "symbol": held.instrument.symbol,
                "quantity": _text(held.quantity),
                "average_cost": _text(rounded(held.average_cost)),
            }
            for held in gateway.ledger.positions()
        ],
        "prices": {symbol: _text(price) for symbol, price in gateway.market.prices().items()},
        "market": _market_state(gateway),
        "clock": _clock_state(gateway),
        "next_valid_ids": {str(client): last + 1 for client, last in sorted(gateway.book.last_ids.items())},
        "fills_paused": scenario.fills_paused,
        "cancels_held": scenario.cancels_held,
        "hard_to_borrow": sorted(scenario.hard_to_borrow),
        "price_cap_percent": _text(scenario.price_cap_percent),
        "master_client_id": scenario.master_client_id,
        "accepting": scenario.accepting,
        "switches": dict(scenario.switches),
    }


def _market_state(gateway: "Gateway") -> dict[str, Any]:
    """Return what was done to the market: the process of all, and the symbols that commands or sessions touched."""
    market = gateway.market
    touched = [path for listed in gateway.instruments if (path := market.path(listed)).bent or path.pinned]
    return {
        "process": market.plan.process,
        "steps": market.steps,
        "touched": {path.instrument.symbol: _path_state(path) for path in touched},
    }


def _path_state(path: PricePath) -> dict[str, Any]:
    quote = path.quote()
    return {
        "process": path.process.name,
        "pinned": path.pinned,
        "halted": path.halted,
        **{name: _text(getattr(quote, name)) for name in ("last", "bid", "ask", "open", "high", "low", "close")},
        "volume": quote.volume,
        "liquidity": _text(path.liquidity),
        "limits": [_text(band) for band in path.bands],
    }


def _clock_state(gateway: "Gateway") -> dict[str, Any]:
    clock = gateway.clock
    simulated = isinstance(clock, SimulatedClock) and clock.is_simulated
    return {
        "simulated": simulated,
        "hours": gateway.config.hours,
        "now": clock.now().isoformat() if simulated else None,
        "speed": gateway.clock_speed,
    }


def order_state(order: Order) -> dict[str, Any]:
    """Return one order; `live` means it may fill now or when triggered, `status` is IB's word."""
    return {
        "order_id": order.order_id,
        "client_id": order.client_id,
        "perm_id": order.perm_id,
        "parent_id": order.parent_id,
        "parent_perm_id": order.parent_perm_id,
        "account": order.account,
        "symbol": order.instrument.symbol,
        "action": order.action,
        "order_type": order.order_type,
        "quantity": _text(order.quantity),
        "filled": _text(order.filled),
        "remaining": _text(order.remaining),
        "average_price": _text(rounded(order.average_price)),
        "limit_price": _text(order.limit_price),
        "stop_price": _text(order.stop_price),
        "tif": order.tif,
        "outside_rth": order.outside_rth,
        "transmit": order.transmit,
        "status": order.status.value,
        "why_held": order.why_held,
        "order_ref": order.order_ref,
        "oca_group": order.oca_group,
        "live": order.stage is Stage.WORKING,
        "wakes_at": _moment(order.wakes_at),
        "due_at": _moment(order.due_at),
        "expires_at": _moment(order.expires_at),
        "completed_at": _moment(order.completed_at),
    }


def _execution_state(execution: Execution) -> dict[str, Any]:
    return {
        "exec_id": execution.exec_id,
        "order_id": execution.order_id,
        "client_id": execution.client_id,
        "perm_id": execution.perm_id,
        "order_ref": execution.order_ref,
        "account": execution.account,
        "symbol": execution.instrument.symbol,
        "side": execution.side,
        "quantity": _text(execution.quantity),
        "price": _text(execution.price),
        "time": execution.time.isoformat(),
        "commission": _text(execution.commission),
        "currency": execution.currency,
        "realized_pnl": _text(execution.realized_pnl),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
