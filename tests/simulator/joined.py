"""Two real ends joined without a socket: ib_async's own encoder and decoder on one side, the gateway on the other.

table = Table()
client = table.connect(client_id=1)
client.place(buy(10))
assert client.names() == ["openOrder", "orderStatus", ...]
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from ib_async import Order as IbOrder
from ib_async import Stock
from ib_async.client import Client
from ib_async.decoder import Decoder

from ib_simulator.control import execute
from ib_simulator.errors import ProtocolError
from ib_simulator.fields import decode_fields
from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.journal import Journal
from ib_simulator.session import Session

ACCOUNT = "DU1234567"
AAPL = Stock("AAPL", "SMART", "USD")


class HandClock:
    """A clock that moves when told: a millisecond per look, so that nothing happens at the same time."""

    def __init__(self, start: datetime = datetime(2026, 1, 7, 15, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._ms = 0.0

    def now(self) -> datetime:
        self.advance(milliseconds=1)
        return self._now

    def monotonic_ms(self) -> float:
        return self._ms

    def advance(self, **amount: float) -> None:
        step = timedelta(**amount)
        self._now += step
        self._ms += step.total_seconds() * 1000


@dataclass(frozen=True)
class Told:
    """One callback of ib_async's decoder."""

    name: str
    arguments: tuple[Any, ...]


class Recorder:
    """Takes the place of ib_async's wrapper and writes down every callback."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.defaultTimezone = UTC
        self.ib = SimpleNamespace(TimezoneTWS="")

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments: self.told.append(Told(name, arguments))


@dataclass
class JoinedClient:
    """An ib_async client whose bytes go straight into a session, and back."""

    session: Session
    version: int
    client_id: int
    recorder: Recorder = field(default_factory=Recorder)
    next_order_id: int = 0

    def __post_init__(self) -> None:
        self.api = Client(self.recorder)
        self.api.connState = Client.CONNECTED
        self.api._serverVersion = self.version
        self.api.sendMsg = self._send
        self._decoder = Decoder(self.recorder, self.version)

    def _send(self, message: str) -> None:
        self.raw(message.encode())

    def raw(self, payload: bytes) -> None:
        """Send a payload as one frame."""
        self.session.receive(frame(payload))
        self.session.gateway.commit()

    def frames(self) -> list[list[str]]:
        """Take what arrived, as fields."""
        return [decode_fields(payload) for payload in split_frames(self.session.take_output())]

    def read(self) -> list[Told]:
        """Take what arrived, through ib_async's decoder; every frame must decode to something."""
        self.recorder.told.clear()
        for fields in self.frames():
            before = len(self.recorder.told)
            self._decoder.interpret(fields)
            assert len(self.recorder.told) > before, f"ib_async could not decode {fields}"
        return list(self.recorder.told)

    def order_news(self) -> list[str]:
        """Take what arrived as short lines: what a reader of the wire would note about orders."""
        lines = [_line(told) for told in self.read()]
        return [line for line in lines if line]

    def place(self, order: IbOrder, contract: Any = AAPL) -> int:
        """Send placeOrder (with the next id when the order has none) and return the id."""
        if not order.orderId:
            self.next_order_id += 1
            order.orderId = self.next_order_id
        self.next_order_id = max(self.next_order_id, order.orderId)
        self.api.placeOrder(order.orderId, contract, order)
        return order.orderId


class Table:
    """A gateway under test with a clock of its own and no journal unless given one."""

    def __init__(
        self,
        *,
        seed: int = 7,
        accounts: tuple[str, ...] = (ACCOUNT,),
        journal: Journal | None = None,
        hours: str = "always",
        start: datetime | None = None,
    ) -> None:
        self.clock = HandClock() if start is None else HandClock(start)
        config = GatewayConfig(accounts, seed=seed, hours=hours)
        self.gateway = Gateway(config, clock=self.clock, journal=journal)

    def pass_time(self, **amount: float) -> None:
        """Let simulated time pass, as `timedelta` counts it, and what it brings happen."""
        self.clock.advance(**amount)
        self.gateway.time_passed()

    def open(self, *, version: int = 178, offered: str | None = None) -> Session:
        """Shake hands up to the server version."""
        session = self.gateway.open_session()
        session.receive(PREAMBLE + frame((f"v157..{version}" if offered is None else offered).encode()))
        return session

    def connect(self, *, client_id: int = 1, version: int = 178) -> JoinedClient:
        """Shake hands and send startApi; the greeting is read and forgotten."""
        session = self.open(version=version)
        client = JoinedClient(session, version, client_id)
        client.raw(f"71\x002\x00{client_id}\x00\x00".encode())
        session.take_output()
        return client

    def control(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        """Carry out one control command and return the whole answer."""
        answer: dict[str, Any] = json.loads(execute(self.gateway, json.dumps({"cmd": cmd, **arguments}).encode()).line)
        return answer

    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("state")["orders"]
        return found


# Monday after the close, when the recorded bracket was placed, and Tuesday, half an hour after the open.
AFTER_HOURS = datetime(2026, 8, 24, 20, 43, tzinfo=UTC)
IN_HOURS = datetime(2026, 8, 25, 14, 0, tzinfo=UTC)


def table_at(moment: datetime, *, journal: Journal | None = None) -> Table:
    """A table with the calendar of US equities; AAPL is at 190."""
    table = Table(hours="us_equities", start=moment, journal=journal)
    table.control("set_price", symbol="AAPL", price="190")
    return table


def split_frames(data: bytes) -> list[bytes]:
    """Cut the server's bytes into payloads; they must end on a frame."""
    payloads: list[bytes] = []
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            raise ProtocolError("the output ends inside a frame")
        payloads.append(data[4 : 4 + length])
        data = data[4 + length :]
    return payloads


def _line(told: Told) -> str:
    match told.name:
        case "openOrder":
            order_id, _contract, order, state = told.arguments
            return f"open {order_id} {state.status} {order.totalQuantity:g}"
        case "orderStatus":
            order_id, status, filled, remaining, _average, _perm, _parent, _last, _client, why_held, _cap = (
                told.arguments
            )
            return f"status {order_id} {status} {filled:g}/{remaining:g}" + (f" {why_held}" if why_held else "")
        case "execDetails":
            _request, _contract, execution = told.arguments
            return f"deal {execution.orderId} {execution.side} {execution.shares:g}@{execution.price:g}"
        case "commissionReport":
            return f"commission {told.arguments[0].commission:g}"
        case "error":
            order_id, code, _text, _json = told.arguments
            return f"error {order_id} {code}"
    return ""


def market(action: str, quantity: float, **more: Any) -> IbOrder:
    return IbOrder(**{"action": action, "totalQuantity": quantity, "orderType": "MKT", "tif": "DAY", **more})


def limit(action: str, quantity: float, price: float, **more: Any) -> IbOrder:
    return market(action, quantity, **{"orderType": "LMT", "lmtPrice": price, **more})


def stop(action: str, quantity: float, price: float, **more: Any) -> IbOrder:
    return market(action, quantity, **{"orderType": "STP", "auxPrice": price, **more})
