"""A small synchronous client of the control port, for tests and scripts.

with SimulatorControl("127.0.0.1", 4102) as control:
    control.set_price("AAPL", "189.50")
    assert control.state()["orders"] == []
"""

import json
import socket
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from ib_simulator.client_faults import FaultCommands
from ib_simulator.client_orders import OrderStateCommands

Number = str | int | Decimal
DEFAULT_TIMEOUT_SECONDS = 10.0


class ControlError(Exception):
    """The simulator said no; `code` is stable, for example `unknown_order` or `order_not_live`."""

    def __init__(self, *, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class SimulatorControl(FaultCommands, OrderStateCommands):
    """One connection to the control port. Not for several threads at once."""

    def __init__(self, host: str, port: int, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Connects. Raises OSError when nobody listens."""
        self._socket = socket.create_connection((host, port), timeout=timeout_seconds)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def send(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        """Send one command and return its answer without `ok`; arguments that are None are left out.

        Raises ControlError when it is refused, ConnectionError when the simulator is gone, TimeoutError when silent.
        """
        given = {name: _plain(value) for name, value in arguments.items() if value is not None}
        self._socket.sendall(json.dumps({"cmd": cmd, **given}).encode() + b"\n")
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the simulator closed the control connection")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise ControlError(code=answer["code"], message=answer["message"])
        return answer

    def ping(self) -> None:
        self.send("ping")

    def state(self) -> dict[str, Any]:
        """Return the whole book; `docs/simulator.md` shows it."""
        return self.send("state")

    def overview(self) -> dict[str, Any]:
        """Return what a person wants to see at a glance; cheaper than `state`."""
        return self.send("overview")

    def orders(self) -> list[dict[str, Any]]:
        """Return the book's orders in placing order."""
        found: list[dict[str, Any]] = self.state()["orders"]
        return found

    def messages(
        self, *, client_id: int | None = None, name: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return what clients sent, oldest first."""
        found: list[dict[str, Any]] = self.send("messages", client_id=client_id, name=name, limit=limit)["messages"]
        return found

    def set_price(self, symbol: str, price: Number) -> None:
        self.send("set_price", symbol=symbol, price=price)

    def release_price(self, symbol: str) -> None:
        self.send("release_price", symbol=symbol)

    def step(self, n: int = 1) -> dict[str, str]:
        """Move all prices by `n` steps and return them."""
        prices: dict[str, str] = self.send("step", n=n)["prices"]
        return prices

    def tick(self, symbol: str, last: Number, **more: Number) -> dict[str, Any]:
        """Make one tick at once; more: bid, ask, bid_size, ask_size, volume. Returns last, bid and ask."""
        return self.send("tick", symbol=symbol, last=last, **more)

    def set_process(
        self, symbol: str, process: str, *, step_ticks: int | None = None, csv: str | None = None
    ) -> dict[str, Any]:
        """Choose `walk`, `fixed` or `replay` (of bars given as CSV) for one symbol from now on."""
        return self.send("set_process", symbol=symbol, process=process, step_ticks=step_ticks, csv=csv)

    def set_spread(self, symbol: str, ticks: int) -> None:
        self.send("set_spread", symbol=symbol, ticks=ticks)

    def set_liquidity(self, symbol: str, size: int | None) -> None:
        """Limit what can be dealt on each side per step; None takes the limit away."""
        self.send("set_liquidity", symbol=symbol, size=size)

    def halt(self, symbol: str) -> None:
        self.send("halt", symbol=symbol)

    def resume(self, symbol: str) -> None:
        self.send("resume", symbol=symbol)

    def set_limits(self, symbol: str, *, lower: Number | None = None, upper: Number | None = None) -> None:
        """Set limit down and limit up; None takes one away."""
        self.send("set_limits", symbol=symbol, lower=lower, upper=upper)

    def clock(self) -> dict[str, Any]:
        """Return `now` (ISO 8601, UTC), `speed` and `phase` (closed, pre, regular, post)."""
        return self.send("clock")

    def set_clock(self, moment: datetime | str) -> dict[str, Any]:
        """Go to a later moment (with its offset) and return the clock."""
        return self.send("set_clock", moment=moment.isoformat() if isinstance(moment, datetime) else moment)

    def advance_clock(self, seconds: Number) -> dict[str, Any]:
        return self.send("advance_clock", seconds=seconds)

    def set_clock_speed(self, speed: Number) -> dict[str, Any]:
        """Simulated seconds per real second from now on; 0 lets time stand."""
        return self.send("set_clock_speed", speed=speed)

    def fill(
        self,
        *,
        order_id: int | None = None,
        perm_id: int | None = None,
        order_ref: str | None = None,
        client_id: int | None = None,
        quantity: Number | None = None,
        price: Number | None = None,
    ) -> dict[str, Any]:
        """Fill a live order: all that is left, or `quantity`, at `price` (else its limit, else the quote)."""
        return self.send(
            "fill",
            order_id=order_id,
            perm_id=perm_id,
            order_ref=order_ref,
            client_id=client_id,
            quantity=quantity,
            price=price,
        )

    def pause_fills(self) -> None:
        self.send("pause_fills")

    def resume_fills(self) -> None:
        self.send("resume_fills")

    def reject_next(
        self,
        *,
        code: int,
        text: str | None = None,
        symbol: str | None = None,
        order_type: str | None = None,
        on: str | None = None,
        count: int | None = None,
    ) -> None:
        self.send("reject_next", code=code, text=text, symbol=symbol, order_type=order_type, on=on, count=count)

    def cancel_order(
        self,
        *,
        order_id: int | None = None,
        perm_id: int | None = None,
        order_ref: str | None = None,
        client_id: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Cancel an order as the system would."""
        self.send(
            "cancel_order",
            order_id=order_id,
            perm_id=perm_id,
            order_ref=order_ref,
            client_id=client_id,
            reason=reason,
        )

    def modify_order(
        self,
        *,
        order_id: int | None = None,
        perm_id: int | None = None,
        order_ref: str | None = None,
        client_id: int | None = None,
        quantity: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
    ) -> dict[str, Any]:
        """Change a live order as somebody at TWS would. Returns it."""
        order: dict[str, Any] = self.send(
            "modify_order",
            order_id=order_id,
            perm_id=perm_id,
            order_ref=order_ref,
            client_id=client_id,
            quantity=quantity,
            limit_price=limit_price,
            stop_price=stop_price,
        )["order"]
        return order

    def place_external(self, *, symbol: str, action: str, quantity: Number, **more: Any) -> dict[str, Any]:
        """Place a manual order; more: order_type, limit_price, stop_price, tif, client_id, ... Returns it."""
        order: dict[str, Any] = self.send("place_external", symbol=symbol, action=action, quantity=quantity, **more)[
            "order"
        ]
        return order

    def set_position(
        self, *, symbol: str, quantity: Number, average_cost: Number | None = None, account: str | None = None
    ) -> None:
        self.send("set_position", account=account, symbol=symbol, quantity=quantity, average_cost=average_cost)

    def transfer(
        self, *, symbol: str, quantity: Number, average_cost: Number | None = None, account: str | None = None
    ) -> str:
        """Add shares to a position (below zero: take them) without an execution; returns what is held then."""
        held: str = self.send("transfer", account=account, symbol=symbol, quantity=quantity, average_cost=average_cost)[
            "quantity"
        ]
        return held

    def lag_positions(self, seconds: Number) -> None:
        """Report positions so much later than they change; 0: at once again."""
        self.send("lag_positions", seconds=seconds)

    def split(self, symbol: str, *, ratio: Number) -> dict[str, Any]:
        """Make `ratio` shares of each. Returns the new price and the orders that it changed."""
        return self.send("split", symbol=symbol, ratio=ratio)

    def set_account_value(self, *, key: str, value: str, account: str | None = None) -> None:
        self.send("set_account_value", account=account, key=key, value=value)

    def correct_execution(self, exec_id: str, *, quantity: Number | None = None, price: Number | None = None) -> str:
        """Correct a deal, or bust it with quantity 0; returns the id of the correction."""
        corrected: str = self.send("correct_execution", exec_id=exec_id, quantity=quantity, price=price)["exec_id"]
        return corrected

    def drop_connections(self, *, client_id: int | None = None) -> int:
        """Close client sockets; returns how many."""
        dropped: int = self.send("drop_connections", client_id=client_id)["dropped"]
        return dropped

    def refuse_connections(self) -> None:
        self.send("refuse_connections")

    def accept_connections(self) -> None:
        self.send("accept_connections")

    def mute(self, messages: Sequence[str] | None = None, *, client_id: int | None = None) -> None:
        """Lose messages of these names (all without names)."""
        self.send("mute", messages=messages, client_id=client_id)

    def unmute(self, messages: Sequence[str] | None = None) -> None:
        self.send("unmute", messages=messages)

    def hold_answers(self, messages: Sequence[str] | None = None, *, client_id: int | None = None) -> None:
        """Keep messages of these names back (all without names) until `release_answers`."""
        self.send("hold_answers", messages=messages, client_id=client_id)

    def release_answers(self, messages: Sequence[str] | None = None) -> None:
        self.send("release_answers", messages=messages)

    def send_error(self, *, code: int, text: str, id: int = -1, client_id: int | None = None) -> None:  # noqa: A002
        """Send an error or notice, for example 1100; `id` is IB's name for the request or order it is about."""
        self.send("send_error", id=id, code=code, text=text, client_id=client_id)

    def roll_back_next_id(self, by: int) -> None:
        self.send("roll_back_next_id", by=by)

    def set_switch(self, name: str, value: str) -> None:
        self.send("set_switch", name=name, value=value)

    def reset(self) -> None:
        """Begin anew: everybody is dropped, book, prices, switches and faults are as at the start."""
        self.send("reset")

    def shutdown(self) -> None:
        self.send("shutdown")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return list(value) if isinstance(value, tuple) else value
