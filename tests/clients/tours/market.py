"""The market and the desk, moved over the simulator's control port: one JSON line there, one back."""

import json
import socket


class Market:
    """One control connection. Prices are texts, so that they stay exact."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=10)
        self._lines = self._socket.makefile("rwb")

    def order(self, cmd: str, **arguments: object) -> dict[str, object]:
        """Carry out one control command. Raises RuntimeError with the simulator's words when it is refused."""
        self._lines.write(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
        self._lines.flush()
        answer: dict[str, object] = json.loads(self._lines.readline())
        if not answer["ok"]:
            raise RuntimeError(f"{cmd}: {answer}")
        return answer

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
