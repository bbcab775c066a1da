"""Recordings: exact, complete, repeatable against a fresh gateway, and playable to a client."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async import IB, LimitOrder, MarketOrder, Stock

from ib_simulator.client import SimulatorControl
from ib_simulator.clock import Clock, SimulatedClock
from ib_simulator.fields import decode_fields
from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.market.plans import PricePlan
from ib_simulator.replay import main
from ib_simulator.server import Addresses, Server
from ib_simulator.tape.recording import FrameCutter, Recorder, read_payload, written_payload
from ib_simulator.tape.replaying import SAME, Recording, RecordingError, check, played, read_recording
from ib_simulator.tape.understudy import Understudy
from tests.simulator.joined import HandClock, split_frames

AAPL = Stock("AAPL", "SMART", "USD")
_PACKAGE_PARENT = Path(__file__).resolve().parents[2] / "backend"


@given(st.binary(max_size=60))
def test_a_payload_is_written_exactly(payload: bytes) -> None:
    line = json.loads(json.dumps(written_payload(payload)))

    assert read_payload(line) == payload


PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=6).map(
        lambda texts: "".join(f"{text}\0" for text in texts).encode()
    ),
    st.sampled_from([rb"a\u0000b" + b"\0", b'"\\\0', b"\0", b"\0\0"]),
)


@given(PAYLOADS)
def test_a_frame_is_written_exactly(payload: bytes) -> None:
    file = io.BytesIO()
    recorder = Recorder(file, clock=HandClock(), played={})
    recorder.opened(3)

    recorder.sent(frame(payload), connection=3, client_id=None, server_version=178)

    _header, _opened, event = (json.loads(line) for line in file.getvalue().splitlines())
    assert read_payload(event) == payload
    assert {name: event[name] for name in ("event", "connection", "client_id")} == {
        "event": "out",
        "connection": 3,
        "client_id": None,
    }
    assert {**event, **written_payload(payload)} == event


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(1, 7))
def test_frames_are_cut_alike_however_the_bytes_come(payloads: list[bytes], size: int) -> None:
    data = PREAMBLE + b"".join(frame(payload) for payload in payloads)
    cutter = FrameCutter(PREAMBLE)

    found = [payload for start in range(0, len(data), size) for payload in cutter.feed(data[start : start + size])]

    assert found == payloads


@asynccontextmanager
async def recorded(
    file: io.BytesIO, *, clock: Clock | None = None, config: GatewayConfig | None = None
) -> AsyncIterator[Addresses]:
    """A server on a free port that records into `file`; its clock stands but for a millisecond a look."""
    config = config or GatewayConfig(accounts=("DU1234567",), seed=7)
    gateway = Gateway(config, clock=clock or HandClock())
    server = Server(gateway, tick_seconds=0, recorder=Recorder(file, clock=gateway.clock, played=played(config)))
    addresses = await server.start(Addresses("127.0.0.1", 0, 0))
    try:
        yield addresses
    finally:
        await server.stop()


async def converse(addresses: Addresses, *, client_id: int = 1) -> None:
    ib = IB()
    await ib.connectAsync(addresses.host, addresses.port, clientId=client_id, timeout=4, raiseSyncErrors=True)
    try:
        await ib.reqContractDetailsAsync(AAPL)
        trade = ib.placeOrder(AAPL, MarketOrder("BUY", 10, tif="DAY"))
        resting = ib.placeOrder(AAPL, LimitOrder("BUY", 5, 100, tif="GTC"))
        await ib.reqExecutionsAsync()
        assert trade.orderStatus.status == "Filled"
        ib.cancelOrder(resting.order)
        await ib.reqAllOpenOrdersAsync()
    finally:
        ib.disconnect()


async def conversation() -> Recording:
    file = io.BytesIO()
    async with recorded(file) as addresses:
        await converse(addresses)
        async with asyncio.timeout(5):
            while b'"event":"close"' not in file.getvalue():
                await asyncio.sleep(0.005)
    return read_recording(file.getvalue().splitlines(keepends=True))


async def test_everything_is_recorded_with_its_connection() -> None:
    recording = await conversation()

    events = [event["event"] for event in recording.events if event["event"] != "beat"]
    assert (events[0], events[-1]) == ("open", "close")
    first, greeting, start = recording.events[1:4]
    assert (first["event"], first["text"]) == ("in", "v157..178")
    assert (greeting["event"], greeting["server_version"], greeting["fields"][0]) == ("out", 178, "178")
    assert (start["event"], start["fields"]) == ("in", ["71", "2", "1", ""])
    orders = [event for event in recording.events if event["event"] == "in" and event.get("fields", [""])[0] == "3"]
    assert [(event["client_id"], event["connection"]) for event in orders] == [(1, 1)] * 2


async def test_a_fresh_gateway_says_the_same() -> None:
    recording = await conversation()

    assert check(recording) == SAME


async def test_commands_that_move_prices_and_the_clock_are_carried_out_again() -> None:
    file = io.BytesIO()
    start = datetime.fromisoformat("2026-01-07T09:00:00-05:00")
    config = GatewayConfig(accounts=("DU1",), seed=3, hours="us_equities", prices=PricePlan("fixed"))
    async with recorded(file, clock=SimulatedClock(start=start, speed=0), config=config) as addresses:
        ib = IB()
        await ib.connectAsync(addresses.host, addresses.port, clientId=1, timeout=4)
        trade = ib.placeOrder(AAPL, LimitOrder("BUY", 5, 185, tif="DAY", account="DU1"))
        await ib.reqAllOpenOrdersAsync()
        await asyncio.to_thread(_command_prices_and_clock, addresses)
        await ib.reqAllOpenOrdersAsync()
        status = trade.orderStatus.status
        ib.disconnect()
    recording = read_recording(file.getvalue().splitlines(keepends=True))

    assert status == "Filled"
    assert recording.played["prices"]["process"] == "fixed"
    assert check(recording) == SAME


def _command_prices_and_clock(addresses: Addresses) -> None:
    with SimulatorControl(addresses.host, addresses.control_port) as control:
        control.set_clock("2026-01-07T09:30:05-05:00")
        control.set_price("AAPL", "184")


def test_a_run_with_an_old_book_cannot_be_checked() -> None:
    config = GatewayConfig(accounts=("DU1",))
    recording = Recording({**played(config, resumed=True), "started_at": "2026-01-07T15:00:00+00:00"}, [])

    with pytest.raises(RecordingError, match="state directory"):
        check(recording)


async def test_the_first_difference_is_shown() -> None:
    recording = await conversation()
    changed = next(event for event in recording.events if event["event"] == "out" and event["fields"][0] == "10")
    changed["fields"][2] = "MSFT"

    outcome = check(recording)

    assert outcome.startswith("connection 1, frame ")
    assert "|MSFT|" in outcome.split(", is ")[0]
    assert "|AAPL|" in outcome.split(", is ")[1]


async def test_a_missing_answer_is_a_difference() -> None:
    recording = await conversation()
    last = max(number for number, event in enumerate(recording.events) if event["event"] == "out")
    del recording.events[last]

    assert check(recording).endswith("was not there")


def test_another_seed_is_another_conversation() -> None:
    file = io.BytesIO()
    asyncio.run(_record(file))
    recording = read_recording(file.getvalue().splitlines(keepends=True))

    assert check(Recording({**recording.played, "seed": 8}, recording.events)) != SAME


async def _record(file: io.BytesIO) -> None:
    async with recorded(file) as addresses:
        await converse(addresses)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1"),
        (b"{}\n", "line 1"),
        (b'{"recording": 2}\n', "line 1"),
        (b'{"recording": 1}\nnonsense\n', "line 2"),
        (b'{"recording": 1}\n[1]\n', "line 2"),
    ],
)
def test_what_is_no_recording(content: bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        read_recording(content.splitlines(keepends=True))


def ask(understudy: Understudy, *questions: str) -> list[str]:
    said = understudy.hear(b"".join(frame(question.replace("|", "\0").encode()) for question in questions))
    return ["|".join(decode_fields(payload)) for payload in split_frames(said)]


def scripted(*rows: tuple[str, str]) -> Understudy:
    events: list[dict[str, Any]] = [{"event": "open", "connection": 1}]
    for event, text in [("in", "v157..178"), ("out", "178|now|"), *rows]:
        payload = written_payload(text.replace("|", "\0").encode())
        events.append({"event": event, "connection": 1, "server_version": 178, **payload})
    understudy = Understudy(Recording({}, events))
    understudy.hear(PREAMBLE)
    assert ask(understudy, "v100..200") == ["178|now"]
    return understudy


def test_the_understudy_answers_with_the_clients_ids() -> None:
    understudy = scripted(
        ("in", "9|8|5|0|AAPL|"), ("out", "10|5|AAPL|"), ("out", "52|1|5|"), ("in", "61|1|"), ("out", "62|1|")
    )

    assert ask(understudy, "9|8|77|0|AAPL|") == ["10|77|AAPL", "52|1|77"]
    assert ask(understudy, "61|1|") == ["62|1"]
    assert understudy.is_content


def test_the_understudy_finds_questions_in_another_order_and_refuses_others() -> None:
    understudy = scripted(("in", "61|1|"), ("out", "62|1|"), ("in", "49|1|"), ("out", "49|1|1700000000|"))

    assert ask(understudy, "49|1|") == ["49|1|1700000000"]
    assert ask(understudy, "9|8|4|0|AAPL|")[0].startswith("4|2|4|321|")
    assert understudy.report() == ["not asked: 61|1", "not recorded: 9|8|4|0|AAPL"]
    assert not understudy.is_content


def test_an_order_keeps_the_clients_id_in_all_its_news() -> None:
    understudy = scripted(
        ("in", "3|5|AAPL|"),
        ("out", "3|5|Submitted|"),
        ("in", "4|1|5||"),
        ("out", "3|5|Cancelled|"),
        ("out", "4|2|5|202||"),
    )

    assert ask(understudy, "3|9|AAPL|", "4|1|9||") == ["3|9|Submitted", "3|9|Cancelled", "4|2|9|202|"]


async def test_a_real_client_is_played_to() -> None:
    recording = await conversation()
    understudy = Understudy(recording)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(understudy.hear(data))
        writer.close()
        await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    await converse(Addresses(host, port, 0))
    async with asyncio.timeout(5):
        await gone.wait()
    server.close()

    assert understudy.report() == []


def started(*arguments: str) -> tuple[subprocess.Popen[str], Addresses]:
    """Start a program of the package and read where it listens."""
    command = [sys.executable, "-m", *arguments, "--port", "0"]
    process = subprocess.Popen(command, cwd=_PACKAGE_PARENT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    words = dict(word.split("=", 1) for word in process.stdout.readline().split() if "=" in word)
    return process, Addresses("127.0.0.1", int(words["port"]), 0)


def test_the_programs_record_check_and_play(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    simulator, addresses = started("ib_simulator", "--control-port", "0", "--record", str(path))
    with simulator:
        asyncio.run(converse(addresses))
        simulator.terminate()
        assert simulator.wait(10) == 0

    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "same\n"
    assert main(["check", str(tmp_path / "none")]) == 2

    player, addresses = started("ib_simulator.replay", "serve", str(path))
    with player:
        asyncio.run(converse(addresses, client_id=1))
        assert player.wait(10) == 0
