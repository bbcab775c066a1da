"""Sockets around the gateway; the only file with asyncio besides `__main__`.

After everything that happened (bytes from a client, a command, a tick, a moment that came) the journal is written
first, then every connection's output, then connections that are to end are closed. One timer waits for the earliest
moment at which anything is due.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ib_simulator import control
from ib_simulator.gateway import Gateway
from ib_simulator.session import Session
from ib_simulator.tape.recording import Recorder

logger = logging.getLogger(__name__)

# How long after a deal the account's values are sent.
ACCOUNT_VALUES_SECONDS = 1.0
LOOK_SECONDS_MIN = 0.05
# A client that doesn't read is dropped when this much waits for it.
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
CONTROLS_MAX = 64
LISTEN_AGAIN_SECONDS = 0.5
# A moment that is due at once still gives the sockets a turn.
TIMER_SECONDS_MIN = 0.0005


@dataclass(frozen=True)
class Addresses:
    """Where to listen; port 0 is any free one."""

    host: str
    port: int
    control_port: int


class PortInUse(OSError):
    """A port cannot be listened on; the message names it."""


class _ClientProtocol(asyncio.Protocol):
    def __init__(self, server: "Server") -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{transport!r} is not a stream")
        self._transport = transport
        self._session = self._server.client_connected(transport)
        self._server.flush()

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._server.client_said(self._session, data)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._session is not None:
            self._server.client_gone(self._session)


class Server:
    """Listens for clients and for control connections, and moves the market on a timer."""

    def __init__(self, gateway: Gateway, *, tick_seconds: float, recorder: Recorder | None = None) -> None:
        self._gateway = gateway
        self._recorder = recorder
        self._tick_seconds = tick_seconds
        self._transports: dict[int, tuple[Session, asyncio.Transport]] = {}
        self._controls: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._control_listener: asyncio.Server | None = None
        self._timers: list[asyncio.Task[None]] = []
        self._due: asyncio.TimerHandle | None = None
        self._syncer: asyncio.Task[None] | None = None
        self._syncing = asyncio.Lock()
        self._addresses = Addresses("127.0.0.1", 0, 0)
        self.stopped = asyncio.Event()

    async def start(self, addresses: Addresses) -> Addresses:
        """Listen and return the addresses in use. Raises PortInUse."""
        self._control_listener = await self._listen_control(addresses)
        try:
            self._listener = await self._listen(addresses.host, addresses.port)
        except PortInUse:
            self._control_listener.close()
            raise
        self._addresses = Addresses(
            host=addresses.host, port=_port_of(self._listener), control_port=_port_of(self._control_listener)
        )
        self._timers = [asyncio.create_task(self._push_values())]
        if self._tick_seconds > 0:
            self._timers.append(asyncio.create_task(self._tick()))
        return self._addresses

    async def stop(self) -> None:
        """Close everything."""
        for timer in self._timers:
            timer.cancel()
        if self._due is not None:
            self._due.cancel()
        for listener in (self._listener, self._control_listener):
            if listener is not None:
                listener.close()
        self._gateway.commit()
        for _session, transport in list(self._transports.values()):
            transport.abort()
        for writer in list(self._controls):
            writer.close()
        # One turn of the loop lets the transports report that they are closed.
        await asyncio.sleep(0)

    def client_connected(self, transport: asyncio.Transport) -> Session:
        session = self._gateway.open_session()
        if self._recorder is not None:
            self._recorder.opened(session.number)
        self._transports[session.number] = (session, transport)
        return session

    def client_gone(self, session: Session) -> None:
        self._transports.pop(session.number, None)
        if self._recorder is not None:
            self._recorder.closed(session.number)
        self._gateway.forget(session)

    def client_said(self, session: Session, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.received(
                data, connection=session.number, client_id=session.client_id, server_version=session.server_version
            )
        session.receive(data)
        self.flush()

    def flush(self) -> None:
        """Write the journal, then all output, then close what is to be closed."""
        self._gateway.commit()
        for session, transport in list(self._transports.values()):
            self._serve(session, transport)
        self._wait_for_due()

    def _serve(self, session: Session, transport: asyncio.Transport) -> None:
        for piece in session.take_pieces():
            if not transport.is_closing():
                transport.write(piece)
                if self._recorder is not None:
                    self._recorder.sent(
                        piece,
                        connection=session.number,
                        client_id=session.client_id,
                        server_version=session.server_version,
                    )
        if not session.closing:
            waiting = transport.get_write_buffer_size() + session.output_size
            if waiting > OUTPUT_BYTES_MAX:
                # Whoever does not read is cut off, or its news would fill the memory.
                logger.warning(
                    "connection=%d client_id=%s dropped: %d bytes wait for it, it does not read",
                    session.number,
                    session.client_id,
                    waiting,
                )
                session.drop()
            elif session.wants_reading:
                transport.resume_reading()
            else:
                transport.pause_reading()
        if session.is_finished:
            transport.close()

    def _wait_for_due(self) -> None:
        moments = [session.next_due_ms() for session, _ in self._transports.values()]
        moments.append(self._gateway.agenda.next_due_ms())
        due_ms = min((moment for moment in moments if moment is not None), default=None)
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if due_ms is not None:
            delay = max((due_ms - self._gateway.clock.monotonic_ms()) / 1000, TIMER_SECONDS_MIN)
            self._due = asyncio.get_running_loop().call_later(delay, self._do_due)

    def _do_due(self) -> None:
        self._due = None
        self._safely(self._gateway.wake)
        self._sync_soon()

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(lambda: _ClientProtocol(self), host, port)
        except OSError as error:
            raise PortInUse(f"cannot listen on {host} port {port} (--port): {error.strerror or error}") from error

    async def _listen_control(self, addresses: Addresses) -> asyncio.Server:
        try:
            return await asyncio.start_server(
                self._serve_control, addresses.host, addresses.control_port, limit=control.LINE_LENGTH_MAX
            )
        except OSError as error:
            where = f"{addresses.host} port {addresses.control_port} (--control-port)"
            raise PortInUse(f"cannot listen on {where}: {error.strerror or error}") from error

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._controls) >= CONTROLS_MAX:
            writer.write(control.too_many().line)
            writer.close()
            return
        self._controls.add(writer)
        try:
            while line := await _read_line(reader):
                if self._recorder is not None:
                    self._recorder.commanded(line)
                reply = control.execute(self._gateway, line) if line.endswith(b"\n") else control.too_long()
                await self._after_command()
                writer.write(reply.line)
                await writer.drain()
                if reply.shutdown:
                    self.stopped.set()
                    break
                if reply.hang_up:
                    break
        except (ConnectionError, TimeoutError) as error:
            logger.info("control connection lost: %r", error)
        finally:
            self._controls.discard(writer)
            writer.close()

    async def _after_command(self) -> None:
        self._gateway.wake()
        self.flush()
        await self._sync_listener()

    def _sync_soon(self) -> None:
        """A fault that ended by itself may have opened or closed the port."""
        if self._gateway.scenario.accepting != (self._listener is not None):
            self._syncer = asyncio.create_task(self._sync_listener())

    async def _sync_listener(self) -> None:
        async with self._syncing:
            accepting = self._gateway.scenario.accepting
            if not accepting and self._listener is not None:
                self._listener.close()
                self._listener = None
            elif accepting and self._listener is None:
                try:
                    self._listener = await self._listen(self._addresses.host, self._addresses.port)
                except PortInUse as error:
                    logger.warning("%s; trying again", error)
                    self._gateway.after(LISTEN_AGAIN_SECONDS, lambda: None, key="listen")
                    self._wait_for_due()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            # By deadlines, so that the time a step takes doesn't make the next one late.
            due = max(due + self._tick_seconds, loop.time())
            await asyncio.sleep(due - loop.time())
            if self._recorder is not None:
                self._recorder.stepped()
            self._safely(self._gateway.step)

    async def _push_values(self) -> None:
        while True:
            # A clock that runs fast is looked at more often, so that the open is not seen a minute late.
            await asyncio.sleep(max(ACCOUNT_VALUES_SECONDS / max(self._gateway.clock_speed, 1.0), LOOK_SECONDS_MIN))
            if self._recorder is not None:
                self._recorder.beat()
            self._safely(self._gateway.time_passed)
            self._safely(self._gateway.push_due_values)

    def _safely(self, action: Callable[[], None]) -> None:
        """Do what a timer asks for; a mistake in it must be seen and must not stop the timer."""
        try:
            action()
        except Exception:
            logger.exception("a timer's action failed")
        self.flush()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return a line with its end, what came before the end of the stream, or `?` for a line that is too long."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial + b"\n" if error.partial.strip() else b""
    except asyncio.LimitOverrunError:
        return b"?"


def _port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])
