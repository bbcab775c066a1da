"""Which connections the web process keeps: each has its time, and when there are too many, the idle make room.

    connected ──> HEAD ──whole request head──> BODY ──whole body──> NEXT ──first byte──> HEAD ...
                  10 s                         30 s                 10 s

What is awaited from a client has a limit; what we owe to a client has none (a page's stream lasts for minutes), but a
client that does not read its answer for 30 s is hung up on.

A refusal of new connections would lock out the user together with the flood, most of all where both come from one
address (a proxy's, or 127.0.0.1). So a full house refuses nobody: it closes those from whom something is awaited, of
the address that has most of them, the oldest first. Example: with 448 places, 1,000 idle connections from one address
are held open; each new one ends the oldest idle ones, and a request that comes whole within milliseconds is answered.
Where everybody is being answered, the answer that lasts longest is ended: it is a page's stream, and the browser opens
it again.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from uvicorn.server import ServerState

from app.config.offers import OfferDecliningProtocol
from app.core.addresses import network_of

# One place is freed together with a few more: to look for them at each new connection would cost more than the flood.
ROOM_SHARE = 16


def _last_answer(status: str, *, code: str, message: str) -> bytes:
    content = json.dumps({"code": code, "message": message, "details": {}})
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n{content}".encode()


LATE_ANSWER = _last_answer(
    "408 Request Timeout", code="request_timeout", message="The request did not arrive whole in time."
)
NO_HTTP_ANSWER = _last_answer("400 Bad Request", code="request_refused", message="This is no request of HTTP.")
# Request line, headers and what stands between the pieces of a body; the parser itself would keep any amount.
OVERHEAD_BYTES_MAX = 65_536
# A body in pieces of one byte each has five bytes around every one.
OVERHEAD_BYTES_PER_BODY_BYTE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How many connections are kept, and for how long each waits for its client."""

    connections_max: int
    head_seconds: float = 10
    body_seconds: float = 30
    next_seconds: float = 10
    unread_seconds: float = 30


class Awaited(IntEnum):
    """What the client is to send; who has sent least goes first."""

    HEAD = 0
    NEXT = 1
    BODY = 2


class Connections:
    """The open connections, and how many were ended by us since somebody last asked."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.now = clock
        self._open: set[PatientProtocol] = set()
        self._ended: Counter[str] = Counter()
        self._ended_addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: "PatientProtocol") -> bool:
        """Take the connection in, making room where there is none; say whether it may stay."""
        if len(self._open) >= self.limits.connections_max and not self._make_room():
            self._note("refused", connection)
            return False
        self._open.add(connection)
        return True

    def forget(self, connection: "PatientProtocol") -> None:
        """Take note that the connection is gone."""
        self._open.discard(connection)

    def sweep(self) -> None:
        """End every connection whose client has had its time."""
        for connection in list(self._open):
            overdue = connection.overdue()
            if overdue:
                self.end(connection, why=overdue)

    def ended(self) -> tuple[Counter[str], Counter[str]]:
        """Return how many connections were ended since the last call: by reason, and by address."""
        told = self._ended, self._ended_addresses
        self._ended, self._ended_addresses = Counter(), Counter()
        return told

    def _make_room(self) -> bool:
        wanted = max(1, self.limits.connections_max // ROOM_SHARE)
        waiting: defaultdict[str, list[PatientProtocol]] = defaultdict(list)
        for connection in self._open:
            if not connection.is_owed:
                waiting[connection.address].append(connection)
        for group in sorted(waiting.values(), key=len, reverse=True):
            group.sort(key=lambda connection: (connection.awaited, connection.since))
            for connection in group[: max(1, min(wanted, len(group)))]:
                self.end(connection, why="made_room")
                wanted -= 1
            if wanted <= 0:
                break
        if len(self._open) < self.limits.connections_max:
            return True
        answered = [connection for connection in self._open if connection.is_being_answered]
        if not answered:
            return False
        self.end(min(answered, key=lambda connection: connection.since), why="made_room")
        return True

    def end(self, connection: "PatientProtocol", *, why: str) -> None:
        """Close the connection and count it."""
        # Closed by the loop a moment later; its place is free at once, so that the next one does not find it taken.
        self._open.discard(connection)
        connection.end(late=why in ("head_late", "body_late"))
        if why != "next_late":  # Every browser leaves some of its connections unused: nothing to tell.
            self._note(why, connection)

    def _note(self, why: str, connection: "PatientProtocol") -> None:
        self._ended[why] += 1
        self._ended_addresses[connection.address] += 1


class GuardedState(ServerState):
    """What uvicorn shares between its connections, and the rule about them."""

    def __init__(self, guard: Connections) -> None:
        super().__init__()
        self.guard = guard


class PatientProtocol(OfferDecliningProtocol):
    """uvicorn's HTTP/1.1 over httptools, which by itself waits for ever for a request and for a reader.

    uvicorn's own limit for an idle connection is given up at the first byte that comes; these limits are not.
    """

    _has_sent = False
    _overhead_bytes = 0
    _unread_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request head, if there is a place."""
        super().connection_made(transport)
        self._guard = cast("GuardedState", self.server_state).guard
        self.address = network_of(self.client[0] if self.client else "")
        self._await(Awaited.HEAD)
        if not self._guard.admit(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._guard.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it."""
        if self.parser is None or self.transport.is_closing():
            return
        self._has_sent = True
        self._overhead_bytes += len(data)
        super().data_received(data)
        if self._overhead_bytes > OVERHEAD_BYTES_MAX:
            self._guard.end(self, why="too_large")

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, as JSON, and hang up.

        While a request that came whole is not answered yet, nothing is written: it would be taken for that answer.
        """
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.is_owed or begun:
            self.transport.abort()
            return
        self.transport.write(NO_HTTP_ANSWER)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request: its time begins with its first byte, that of the very first one with the connection."""
        if self.awaited is not Awaited.HEAD:
            self._await(Awaited.HEAD)
        self._overhead_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it, unless it comes after the body: nobody reads those."""
        if self.awaited is Awaited.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        if self.is_offer:
            return
        self._await(Awaited.BODY)
        self._overhead_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand it on; what belongs to it is not counted as overhead."""
        self._overhead_bytes = max(0, self._overhead_bytes - OVERHEAD_BYTES_PER_BODY_BYTE * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the next request; the answer is ours to give."""
        if self.is_offer:
            return
        self._await(Awaited.NEXT)
        self._overhead_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the client's time anew: while we answered, it had nothing to send."""
        if self.awaited is not Awaited.BODY:
            self.since = self._guard.now()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self._unread_since = self._guard.now()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it reads again."""
        self._unread_since = None
        super().resume_writing()

    @property
    def is_owed(self) -> bool:
        """Whether it is our turn: a whole request is here, and its answer is not finished."""
        unanswered = self.cycle is not None and not self.cycle.response_complete
        return unanswered and self.awaited is not Awaited.BODY

    @property
    def is_being_answered(self) -> bool:
        """Whether the answer has begun and is not finished."""
        return self.is_owed and bool(self.cycle.response_started)

    def overdue(self) -> str:
        """Return what the client did not do in time; an empty text where it has time still."""
        now, limits = self._guard.now(), self._guard.limits
        if self._unread_since is not None and now - self._unread_since > limits.unread_seconds:
            return "answer_unread"
        if self.is_owed:
            return ""
        if self.awaited is Awaited.BODY and self.flow.read_paused:
            self.since = now  # It is we who do not read.
            return ""
        name, seconds = {
            Awaited.HEAD: ("head_late", limits.head_seconds),
            Awaited.BODY: ("body_late", limits.body_seconds),
            Awaited.NEXT: ("next_late", limits.next_seconds),
        }[self.awaited]
        return name if now - self.since > seconds else ""

    def end(self, *, late: bool) -> None:
        """Close, at once; who is late with a request that was begun is told so."""
        unanswered = self.awaited is Awaited.HEAD or not self.cycle.response_started
        if late and self._has_sent and unanswered:
            self.transport.write(LATE_ANSWER)
            self.transport.close()
        else:
            self.transport.abort()

    def _await(self, awaited: Awaited) -> None:
        self.awaited, self.since = awaited, self._guard.now()
