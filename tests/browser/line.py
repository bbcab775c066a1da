"""A TCP line between a browser and the site that a test can freeze: what a stopped process looks like from outside."""

import socket
import threading
from types import TracebackType
from typing import Self


class Line:
    """Forwards every byte; frozen, it accepts connections and moves none, and moves them on when it is thawed."""

    def __init__(self, *, port: int) -> None:
        self._peer = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._flows.set()
        self._listener.close()
        for end in self._sockets:
            _shut(end)
            end.close()

    def freeze(self) -> None:
        """Move no byte from now on."""
        self._flows.clear()

    def thaw(self) -> None:
        """Move everything again."""
        self._flows.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                peer = socket.create_connection(self._peer)
            except OSError:
                return
            self._sockets += [client, peer]
            for source, sink in ((client, peer), (peer, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        except OSError:
            pass
        _shut(sink)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
