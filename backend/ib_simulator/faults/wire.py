"""What a connection has to send, and when: delay, jitter, merging, small segments and a slow line, without a clock.

    put ──> queue (by due time) ──> gathered (merging) ──> segments (cutting, slow line) ──> take

Times are monotonic milliseconds given by the caller. On a calm line everything is taken at once, as one piece.
"""

import heapq
from collections import deque
from dataclasses import dataclass
from math import ceil
from random import Random

# A slow line hands out what it carries in this time, so that it flows instead of coming in lumps.
SLOW_LINE_PIECE_MS = 50


@dataclass(frozen=True)
class Line:
    """How a connection's bytes travel; 0 turns a fault off.

    `delay_ms` and up to `jitter_ms` more for every message, in order. `merge_ms` or `merge_bytes`: bytes are kept until
    the first of the two is reached. `piece_min` to `piece_max` bytes a segment, `gap_ms` apart. `bytes_per_second`: no
    more than that.
    """

    delay_ms: int = 0
    jitter_ms: int = 0
    merge_ms: int = 0
    merge_bytes: int = 0
    piece_min: int = 0
    piece_max: int = 0
    gap_ms: int = 0
    bytes_per_second: int = 0


CALM = Line()


class Outbox:
    """The output of one connection. The same seed and the same times give the same pieces."""

    def __init__(self, *, seed: str) -> None:
        self._random = Random(seed)  # noqa: S311 - reproducible faults, not secrets.
        self._ready = bytearray()
        self._queue: list[tuple[float, int, bytes]] = []
        self._sequence = 0
        self._last_due = 0.0
        self._gathered = bytearray()
        self._gathered_since = 0.0
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._line_free_at = 0.0
        self._waiting_size = 0

    @property
    def is_empty(self) -> bool:
        return not (self._ready or self._queue or self._gathered or self._pieces)

    @property
    def is_calm(self) -> bool:
        """Whether nothing waits for its time, so that what comes now may go out now."""
        return not (self._queue or self._gathered or self._pieces)

    @property
    def size(self) -> int:
        """How many bytes wait here."""
        return len(self._ready) + self._waiting_size

    def put(self, data: bytes, *, now_ms: float, line: Line = CALM, late_ms: float = 0) -> None:
        """Add a message. One that is `late_ms` late is overtaken by those that follow; all others stay in order."""
        if line is CALM and not late_ms and self.is_calm:
            self.put_ready(data)
            return
        due = now_ms + line.delay_ms
        if line.jitter_ms:
            due += self._random.randint(0, line.jitter_ms)
        if late_ms:
            due += late_ms
        else:
            due = self._last_due = max(due, self._last_due)
        self._sequence += 1
        self._waiting_size += len(data)
        heapq.heappush(self._queue, (due, self._sequence, data))

    def put_ready(self, data: bytes) -> None:
        """Add a message that goes out at once. Only while `is_calm`."""
        self._ready += data

    def take(self, *, now_ms: float, line: Line = CALM) -> list[bytes]:
        """Return and forget what is due, as the pieces that are to be written one by one."""
        self._gather(now_ms)
        if self._gathered and self._is_gathered_due(now_ms, line):
            self._cut(bytes(self._gathered), now_ms, line)
            self._gathered.clear()
        pieces: list[bytes] = []
        if self._ready:
            pieces.append(bytes(self._ready))
            self._ready.clear()
        while self._pieces and self._pieces[0][0] <= now_ms:
            pieces.append(self._pieces.popleft()[1])
            self._waiting_size -= len(pieces[-1])
        return pieces

    def next_due_ms(self, *, line: Line = CALM) -> float | None:
        """Return when `take` will have something; None when nothing waits."""
        moments = []
        if self._ready:
            moments.append(0.0)
        if self._queue:
            moments.append(self._queue[0][0])
        if self._gathered:
            moments.append(self._gathered_since + line.merge_ms)
        if self._pieces:
            moments.append(self._pieces[0][0])
        return min(moments, default=None)

    def discard(self) -> None:
        """Forget everything: what a connection that breaks had not sent yet."""
        self._ready.clear()
        self._queue.clear()
        self._gathered.clear()
        self._pieces.clear()
        self._waiting_size = 0

    def _gather(self, now_ms: float) -> None:
        while self._queue and self._queue[0][0] <= now_ms:
            due, _sequence, data = heapq.heappop(self._queue)
            if not self._gathered:
                self._gathered_since = due
            self._gathered += data

    def _is_gathered_due(self, now_ms: float, line: Line) -> bool:
        if not line.merge_ms:
            return True
        full = bool(line.merge_bytes) and len(self._gathered) >= line.merge_bytes
        return full or now_ms >= self._gathered_since + line.merge_ms

    def _cut(self, data: bytes, now_ms: float, line: Line) -> None:
        while data:
            size = self._piece_size(len(data), line)
            due = max(now_ms, self._line_free_at)
            self._pieces.append((due, data[:size]))
            travel_ms = ceil(size * 1000 / line.bytes_per_second) if line.bytes_per_second else 0
            self._line_free_at = due + line.gap_ms + travel_ms
            data = data[size:]

    def _piece_size(self, left: int, line: Line) -> int:
        most = self._random.randint(max(line.piece_min, 1), line.piece_max) if line.piece_max else left
        if line.bytes_per_second:
            most = min(most, max(1, line.bytes_per_second * SLOW_LINE_PIECE_MS // 1000))
        return min(most, left)
