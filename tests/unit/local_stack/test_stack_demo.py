"""The demo as a user's script: against a small HTTP server that answers what the API is documented to answer."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local_stack import demo
from local_stack.demo import Api, DemoError, DemoMark, demo_execute, demo_known, simulator_price, stop_below

Answer = tuple[int, dict[str, object]]
SETUP: dict[str, object] = {"id": 7, "created_at": "2026-01-02T03:04:05Z"}
OPEN = {"id": 5, "status": "OPEN", "reference": "IB-3:4", "attention": "", "brackets": []}


class FakeApi:
    """Answers each path with the next of its answers (the last one again and again), and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {
            "GET /readyz": [(200, {})],
            "POST /api/v1/setups/": [(201, SETUP)],
            "GET /api/v1/setups/7/": [(200, SETUP)],
            "POST /api/v1/setups/7/execute/": [(200, OPEN)],
        }
        self.asked: list[tuple[str, dict[str, str], object]] = []

    def answer(self, line: str, headers: dict[str, str], body: object) -> Answer:
        self.asked.append((line, headers, body))
        answers = self.answers[line]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def fake() -> FakeApi:
    return FakeApi()


@pytest.fixture
def api(fake: FakeApi) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = fake.answer(f"{self.command} {self.path}", dict(self.headers), body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _reply  # noqa: N815 - The names that the base class calls.

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - The base class names it so.
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Api(f"http://127.0.0.1:{server.server_address[1]}", token="t0ken")
        server.shutdown()
        thread.join()


@pytest.fixture
def mark(tmp_path: Path) -> DemoMark:
    """Nothing is remembered yet."""
    return DemoMark(file=tmp_path / "demo.json", place="simulator")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits of a test."""
    monkeypatch.setattr(demo, "READY_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(demo, "REFERENCE_TIMEOUT_SECONDS", 1)


def test_it_makes_a_setup_and_executes_it_once(api: Api, fake: FakeApi, mark: DemoMark) -> None:
    assert demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)["reference"] == "IB-3:4"

    lines = [line for line, _, _ in fake.asked]
    assert lines == ["GET /readyz", "POST /api/v1/setups/", "POST /api/v1/setups/7/execute/"]
    _, headers, body = fake.asked[1]
    assert headers["Authorization"] == "Token t0ken"
    assert isinstance(body, dict)
    asked = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "184.30", "quantity": "10"}
    assert asked.items() <= body.items()
    _, headers, _ = fake.asked[2]
    assert headers["Prefer"] == "wait=60"
    assert headers["Idempotency-Key"]


def test_two_demos_have_keys_of_their_own(api: Api, fake: FakeApi, mark: DemoMark) -> None:
    for _ in range(2):
        demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)

    keys = [headers["Idempotency-Key"] for _, headers, _ in fake.asked if "Idempotency-Key" in headers]
    assert len(set(keys)) == 2


def test_it_waits_until_the_system_is_ready_and_the_entry_is_filled(api: Api, fake: FakeApi, mark: DemoMark) -> None:
    fake.answers["GET /readyz"] = [(503, {"gateway": False}), (200, {})]
    fake.answers["POST /api/v1/setups/7/execute/"] = [(202, {**OPEN, "status": "SUBMITTING"})]
    fake.answers["GET /api/v1/executions/5/"] = [(200, {**OPEN, "status": "WORKING"}), (200, OPEN)]

    assert demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)["reference"] == "IB-3:4"


@pytest.mark.parametrize(
    ("line", "answers", "message"),
    [
        ("GET /readyz", [(503, {"gateway": False})], r"not_ready: /readyz answers 503 after .*gateway"),
        ("POST /api/v1/setups/", [(401, {"code": "not_authenticated", "message": "No."})], r"not_authenticated: No\."),
        (
            "POST /api/v1/setups/",
            [(400, {"code": "stop_wrong_side", "message": "Above.", "details": {"stop_price": "1"}})],
            r"stop_wrong_side: Above\. .*stop_price",
        ),
        ("POST /api/v1/setups/", [(502, {})], r"http_502"),
        (
            "POST /api/v1/setups/7/execute/",
            [
                (
                    200,
                    {
                        **OPEN,
                        "status": "REJECTED",
                        "reference": None,
                        "brackets": [{"orders": [{"leg": "ENTRY", "last_error": "201 No margin"}]}],
                    },
                )
            ],
            r"execution_rejected: execution 5: ENTRY: 201 No margin",
        ),
        (
            "POST /api/v1/setups/7/execute/",
            [(200, {**OPEN, "status": "NOT_PLACED", "reference": None, "attention": "never arrived"})],
            r"execution_not_placed: execution 5: never arrived",
        ),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_every_failure_has_a_code(
    api: Api, fake: FakeApi, line: str, answers: list[Answer], message: str, mark: DemoMark
) -> None:
    fake.answers[line] = answers

    with pytest.raises(DemoError, match=message):
        demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)


@pytest.mark.usefixtures("impatient")
def test_an_entry_that_never_fills_is_a_failure(api: Api, fake: FakeApi, mark: DemoMark) -> None:
    fake.answers["POST /api/v1/setups/7/execute/"] = [(202, {**OPEN, "status": "WORKING"})]
    fake.answers["GET /api/v1/executions/5/"] = [(200, {**OPEN, "status": "WORKING"})]

    with pytest.raises(DemoError, match="execution_working: execution 5: no reference in time"):
        demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)


def test_a_server_that_is_gone_is_a_failure_of_its_own(mark: DemoMark) -> None:
    with pytest.raises(DemoError, match=r"no_answer: GET /readyz: .*refused"):
        demo_execute(Api("http://127.0.0.1:9", token="t"), symbol="AAPL", stop_price="184.30", mark=mark)


@pytest.fixture
def control() -> Iterator[Callable[[bytes], int]]:
    """A control port that answers one line."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def _answer(line: bytes) -> int:
            def _serve() -> None:
                connection, _ = server.accept()
                with connection, connection.makefile("rwb") as stream:
                    assert json.loads(stream.readline()) == {"cmd": "state"}
                    stream.write(line)

            threads.append(threading.Thread(target=_serve))
            threads[-1].start()
            return int(server.getsockname()[1])

        yield _answer
        for thread in threads:
            thread.join()


def test_the_price_comes_from_the_simulators_state(control: Callable[[bytes], int]) -> None:
    port = control(b'{"ok":true,"prices":{"AAPL":"190.01","MSFT":"400.00"}}\n')

    assert simulator_price(port, "AAPL") == Decimal("190.01")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"ok":true,"prices":{}}\n', "unknown_symbol"),
        (b"", "simulator_no_answer"),
        (b"garbage\n", "simulator_no_answer"),
    ],
)
def test_no_price_is_a_failure(control: Callable[[bytes], int], line: bytes, code: str) -> None:
    with pytest.raises(DemoError) as error:
        simulator_price(control(line), "AAPL")

    assert error.value.code == code


@pytest.mark.parametrize(("price", "stop"), [("190.00", "184.30"), ("190.01", "184.31"), ("0.50", "0.48")])
def test_the_stop_is_three_percent_below_on_the_tick(price: str, stop: str) -> None:
    assert stop_below(Decimal(price)) == stop


@pytest.mark.case("S11")
def test_a_second_demo_finds_the_first_by_its_key_and_buys_nothing(api: Api, fake: FakeApi, mark: DemoMark) -> None:
    demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)
    _, first, _ = fake.asked[-1]
    fake.asked.clear()

    known = demo_known(api, mark=mark)

    assert known == OPEN
    assert [line for line, _, _ in fake.asked] == ["GET /api/v1/setups/7/", "POST /api/v1/setups/7/execute/"]
    assert fake.asked[-1][1]["Idempotency-Key"] == first["Idempotency-Key"]


@pytest.mark.case("S11")
@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("GET /api/v1/setups/7/", (404, {"code": "not_found"})),
        ("GET /api/v1/setups/7/", (200, {**SETUP, "created_at": "2026-02-02T03:04:05Z"})),
        ("POST /api/v1/setups/7/execute/", (409, {"code": "stop_wrong_side", "message": "Above."})),
        ("POST /api/v1/setups/7/execute/", (200, {**OPEN, "status": "REJECTED", "reference": None})),
    ],
)
def test_a_demo_that_bought_nothing_here_is_not_known(
    api: Api, fake: FakeApi, mark: DemoMark, line: str, answer: Answer
) -> None:
    demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)
    fake.answers[line] = [answer]

    assert demo_known(api, mark=mark) is None


@pytest.mark.case("S11")
def test_a_demo_that_may_have_bought_is_not_repeated(api: Api, fake: FakeApi, mark: DemoMark) -> None:
    demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)
    fake.answers["POST /api/v1/setups/7/execute/"] = [(503, {"code": "database_away", "message": "Later."})]

    with pytest.raises(DemoError, match="database_away"):
        demo_known(api, mark=mark)


@pytest.mark.case("S11")
def test_another_gateway_has_a_demo_of_its_own(api: Api, mark: DemoMark) -> None:
    demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)

    assert demo_known(api, mark=replace(mark, place="10.0.0.5:4001")) is None
    assert demo_known(api, mark=mark) == OPEN


@pytest.mark.case("S35")
@pytest.mark.parametrize(
    ("answer", "code"), [((301, {}), "http_301"), ((200, {"unexpected": True}), "unexpected_answer")]
)
def test_an_answer_that_is_none_has_a_code_too(
    api: Api, fake: FakeApi, mark: DemoMark, answer: Answer, code: str
) -> None:
    fake.answers["POST /api/v1/setups/"] = [answer]

    with pytest.raises(DemoError) as error:
        demo_execute(api, symbol="AAPL", stop_price="184.30", mark=mark)

    assert error.value.code == code
