"""A TCP proxy between the broker worker and the broker that lets a counted number of orders through.

What a process leaves on the wire when it dies between two messages is what the peer receives when a proxy stops
forwarding between them: the proxy makes that moment one that a test can choose.
"""

import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

PLACE_ORDER = b"3"

Rewrite = Callable[[list[str]], list[str]]


class BrokerProxy:
    """Forwards a client's frames until `orders_max` placeOrder frames went through; what comes then is held back.

    `held` is set when the first frame is held back. `let_through` lifts the limit for frames that come later; what was
    held is lost, as it is when its sender dies.
    """

    def __init__(self, *, host: str, port: int) -> None:
        self._peer = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._orders_left: int | None = None
        self._swallows = False
        self._rewrite: Rewrite | None = None
        self._lost, self._lose_max = b"", 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.held = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._listener.close()
        for end in self._sockets:
            end.close()

    def hold_after_orders(self, orders_max: int) -> None:
        """Let this many orders through from now on, then hold everything back."""
        with self._lock:
            self._orders_left = orders_max
            self.held.clear()

    def swallow(self) -> None:
        """Move no byte any more, either way, and leave every socket open: a line that is dead without a word."""
        self._swallows = True

    def rewrite(self, change: Rewrite) -> None:
        """Change the fields of what the broker says from now on: `change` is given them and returns those to send."""
        self._rewrite = change

    def lose_orders(self, *, named: str, count: int) -> None:
        """Lose the next so many placeOrder frames that contain a text, and forward all else."""
        with self._lock:
            self._lost, self._lose_max = named.encode(), count

    def let_through(self) -> None:
        """Forward everything again and unchanged, on connections made from now on too."""
        self._rewrite = None
        with self._lock:
            self._orders_left, self._lose_max = None, 0
        self._swallows = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                peer = socket.create_connection(self._peer)
            except OSError:
                client.close()
                continue
            self._sockets += [client, peer]
            threading.Thread(target=self._to_peer, args=(client, peer), daemon=True).start()
            threading.Thread(target=self._to_client, args=(peer, client), daemon=True).start()

    def _to_peer(self, client: socket.socket, peer: socket.socket) -> None:
        """Copy the greeting (`API` and its frame) and then frame by frame."""
        holding = False
        try:
            greeting = _read(client, 4)
            if not self._swallows:
                peer.sendall(greeting)
            while True:
                length = _read(client, 4)
                frame = _read(client, struct.unpack(">I", length)[0])
                holding = holding or not self._may_pass(frame)
                if holding:
                    self.held.set()
                elif self._is_lost(frame):
                    continue
                else:
                    peer.sendall(length + frame)
        except (OSError, EOFError):
            _shut(peer)

    def _to_client(self, peer: socket.socket, client: socket.socket) -> None:
        dead = False
        try:
            while True:
                length = _read(peer, 4)
                frame = _read(peer, struct.unpack(">I", length)[0])
                # What was swallowed once makes no sense any more afterwards.
                dead = dead or self._swallows
                if not dead:
                    client.sendall(self._rewritten(length + frame))
        except (OSError, EOFError):
            pass
        _shut(client)

    def _rewritten(self, message: bytes) -> bytes:
        if self._rewrite is None:
            return message
        body = "".join(f"{field}\0" for field in self._rewrite(message[4:-1].decode().split("\0"))).encode()
        return struct.pack(">I", len(body)) + body

    def _is_lost(self, frame: bytes) -> bool:
        with self._lock:
            if not self._lose_max or frame.split(b"\0", 1)[0] != PLACE_ORDER or self._lost not in frame:
                return False
            self._lose_max -= 1
            return True

    def _may_pass(self, frame: bytes) -> bool:
        if self._swallows:
            return False
        with self._lock:
            if self._orders_left is None:
                return True
            if frame.split(b"\0", 1)[0] == PLACE_ORDER:
                self._orders_left -= 1
            return self._orders_left >= 0


def _read(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = source.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
