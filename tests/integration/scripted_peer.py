"""A Gateway of a few lines that says exactly what a test wants, broken things included."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

Answer = Callable[[list[str]], Sequence[bytes]]


def frame(*fields: object) -> bytes:
    """Return one message as it is on the wire: a length, then fields that each end in a NUL."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


class ScriptedPeer:
    """Greets one client after another. `server_version` "" keeps silent, `hang_up` closes at once."""

    def __init__(
        self,
        *,
        server_version: str = "178",
        clock: str = "20261120 10:00:00 UTC",
        accounts: str = "DU1234567",
        hang_up: bool = False,
        answer_positions: bool = True,
        instead_of_greeting: Sequence[bytes] = (),
    ) -> None:
        self._server_version = server_version
        self._clock = clock
        self._accounts = accounts
        self._hang_up = hang_up
        self._answer_positions = answer_positions
        self._instead_of_greeting = instead_of_greeting
        self._answers: dict[str, Answer] = {}
        self._writers: list[asyncio.StreamWriter] = []
        self.received: list[list[str]] = []
        self.host, self.port = "127.0.0.1", 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    @property
    def is_connected(self) -> bool:
        """Whether a client has come."""
        return bool(self._writers)

    def say(self, *fields: object) -> None:
        """Send one message to the client that came last."""
        self._writers[-1].write(frame(*fields))

    def answer(self, message_id: str, reply: "Answer") -> None:
        """From now on answer messages of this id with what `reply` makes of their fields."""
        self._answers[message_id] = reply

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self._hang_up:
            writer.close()
            return
        try:
            await reader.readexactly(4)
            await self._read(reader)
            if self._server_version:
                writer.write(frame(self._server_version, self._clock))
            while fields := await self._read(reader):
                self.received.append(fields)
                self._answer(writer, fields)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> list[str]:
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        return (await reader.readexactly(length)).decode().split("\0")

    def _answer(self, writer: asyncio.StreamWriter, fields: list[str]) -> None:
        if fields[0] == "71":
            for message in self._instead_of_greeting or (frame(15, 1, self._accounts), frame(9, 1, 1)):
                writer.write(message)
        if fields[0] in self._answers:
            for message in self._answers[fields[0]](fields):
                writer.write(message)
        elif fields[0] == "61" and self._answer_positions:
            writer.write(frame(62, 1))
