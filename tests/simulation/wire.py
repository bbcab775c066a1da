"""A TCP proxy in front of the simulator that cuts at any byte, or goes silent without closing."""

import contextlib
import socket
import threading


class Wire:
    """Forwards bytes between the worker and the peer at `target`; one thread per direction of a connection."""

    def __init__(self) -> None:
        self.target = ("127.0.0.1", 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._bytes_left: dict[str, int | None] = {"up": None, "down": None}
        self._open = threading.Event()
        self._open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection now."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _close(end)

    def cut_after(self, *, direction: str, count: int) -> None:
        """Close the connection once so many more bytes went `up` (to the peer) or `down`; the rest of them is lost."""
        with self._lock:
            self._bytes_left[direction] = count

    def freeze(self) -> None:
        """Forward nothing from now on, with the sockets open: half-open, as a dead router leaves them."""
        self._open.clear()

    def heal(self) -> None:
        """Forward everything again."""
        with self._lock:
            self._bytes_left = {"up": None, "down": None}
        self._open.set()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                peer = socket.create_connection(self.target, timeout=5)
            except OSError:
                _close(client)
                continue
            peer.settimeout(None)
            for end in (client, peer):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((client, peer))
            threading.Thread(target=self._copy, args=(client, peer, "up"), daemon=True).start()
            threading.Thread(target=self._copy, args=(peer, client, "down"), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, direction: str) -> None:
        try:
            while data := source.recv(65536):
                self._open.wait()
                allowed = self._allowed(direction, len(data))
                target.sendall(data[:allowed])
                if allowed < len(data):
                    break
        except OSError:
            pass
        _close(source)
        _close(target)

    def _allowed(self, direction: str, length: int) -> int:
        with self._lock:
            left = self._bytes_left[direction]
            if left is None:
                return length
            if left < length:
                self._bytes_left[direction] = None
                return left
            self._bytes_left[direction] = left - length
            return length


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
