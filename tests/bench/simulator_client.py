"""A cheap client for load: one socket that counts frames and notes when an order is first answered, and no more."""

import asyncio
import struct
import time
from collections.abc import Sequence

VERSIONS = b"v157..178"
ORDER_STATUS, NEXT_VALID_ID, ERROR = b"3", b"9", b"4"


def frame(*fields: object) -> bytes:
    """Write one frame."""
    payload = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(payload)) + payload


def limit_order(order_id: int, *, symbol: str, action: str, price: str, account: str, order_ref: str) -> bytes:
    """Write placeOrder (3) as a client of version 178 does for a limit order without anything special."""
    contract = [0, symbol, "STK", "", 0, "", "", "SMART", "", "USD", "", "", "", ""]
    order = [action, 1, "LMT", price, "", "GTC", "", account, "", 0, order_ref, 1, 0, 0, 0, 0, 0, 0, 0]
    allocation = ["", 0, "", "", "", "", ""]
    middle = ["", 0, "", -1, 0, "", "", 0, "", "", 0, 0, "", 0, "", "", "", "", "", 0, "", "", "", ""]
    trail = [0, "", "", "", "", "", "", "", "", "", "", 0, "", "", 0, 0]
    tail = ["", "", 0, "", 0, 0, 0, 0, "", "", "", "", "", "", 0, "", "", "", "", "", "", "", "", 0, 0, 0, ""]
    since = ["", "", 0, "", ""]
    return frame(3, order_id, *contract, *order, *allocation, *middle, *trail, *tail, *since)


class LoadClient(asyncio.Protocol):
    """One connection. `latencies` are milliseconds from sending an order to its first orderStatus."""

    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self.ready = asyncio.Event()
        self.messages = 0
        self.size = 0
        self.errors: list[bytes] = []
        self.latencies: list[float] = []
        self.answered = 0
        self._sent: dict[bytes, float] = {}
        self._buffer = b""
        self._next_id = 0
        self._greeted = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"API\0" + struct.pack(">I", len(VERSIONS)) + VERSIONS)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.size += len(data)
        buffer = self._buffer + data if self._buffer else data
        position, end = 0, len(buffer)
        while end - position >= 4:
            length = int.from_bytes(buffer[position : position + 4], "big")
            if end - position - 4 < length:
                break
            start = position + 4
            position = start + length
            self.messages += 1
            # Most are ticks; only these need a look.
            if buffer[start : start + 2] in {b"3\0", b"9\0", b"4\0"} or not self._greeted:
                self._look(buffer[start:position].split(b"\0"), now)
        self._buffer = buffer[position:]

    def _look(self, fields: Sequence[bytes], now: float) -> None:
        if not self._greeted:
            self._greeted = True
            self.send(frame(71, 2, self.client_id, ""))
        elif fields[0] == NEXT_VALID_ID:
            self._next_id = int(fields[2])
            self.ready.set()
        elif fields[0] == ORDER_STATUS and (sent := self._sent.pop(fields[1], None)) is not None:
            self.latencies.append((now - sent) * 1000)
            self.answered += 1
        elif fields[0] == ERROR and int(fields[3]) not in {202, 2104, 2106, 2158}:
            self.errors.append(b"|".join(fields))

    def send(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def stream(self, symbols: Sequence[str]) -> None:
        """Ask for the quotes of these stocks."""
        for number, symbol in enumerate(symbols):
            contract = [0, symbol, "STK", "", 0, "", "", "SMART", "", "USD", "", ""]
            self.send(frame(1, 11, 10_000 + number, *contract, 0, "", 0, 0, ""))

    def place(self, *, symbol: str, action: str, price: str, account: str) -> int:
        """Send an order that does not fill, and note when."""
        order_id, self._next_id = self._next_id, self._next_id + 1
        message = limit_order(
            order_id, symbol=symbol, action=action, price=price, account=account, order_ref=f"load-{order_id}"
        )
        self._sent[str(order_id).encode()] = time.perf_counter()
        self.send(message)
        return order_id

    def cancel(self, order_id: int) -> None:
        self.send(frame(4, 1, order_id, ""))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
