"""Cut the TCP stream into frames, and put frames together.

A connection begins with the four bytes `API\\0`; from then on both sides send frames: a big-endian 32-bit length and
that many bytes. Nothing here knows what the bytes mean.
"""

import struct

from ib_simulator.errors import ProtocolError

PREAMBLE = b"API\0"
LENGTH_BYTES = 4
# The official client refuses anything longer (its MAX_MSG_LEN).
FRAME_LENGTH_MAX = 0xFFFFFF


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length in front."""
    return struct.pack(">I", len(payload)) + payload


class FrameReader:
    """Collects bytes, gives whole frames. The same bytes whole or one at a time give the same frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._preamble_seen = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and return the payloads completed by it.

        Raises ProtocolError when the stream does not begin with `API\\0` or announces a frame longer than any real one.
        """
        self._buffer += data
        if not self._preamble_seen and not self._take_preamble():
            return []
        frames: list[bytes] = []
        while (payload := self._take_frame()) is not None:
            frames.append(payload)
        return frames

    def _take_preamble(self) -> bool:
        seen = bytes(self._buffer[: len(PREAMBLE)])
        if not PREAMBLE.startswith(seen):
            # Before protocol version 100 a client began with its version number as a text.
            hint = ": an old client's handshake, it must be newer" if seen[:1].isdigit() else ""
            raise ProtocolError(f"the stream begins with {bytes(self._buffer[:40])!r}, not with {PREAMBLE!r}{hint}")
        if len(seen) < len(PREAMBLE):
            return False
        del self._buffer[: len(PREAMBLE)]
        self._preamble_seen = True
        return True

    def _take_frame(self) -> bytes | None:
        if len(self._buffer) < LENGTH_BYTES:
            return None
        (length,) = struct.unpack_from(">I", self._buffer)
        if length > FRAME_LENGTH_MAX:
            raise ProtocolError(f"a frame of {length} bytes is announced, {FRAME_LENGTH_MAX} are allowed")
        end = LENGTH_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[LENGTH_BYTES:end])
        del self._buffer[:end]
        return payload
