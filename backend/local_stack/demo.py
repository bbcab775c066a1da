"""Execute one demo setup over the REST API, as a user's script would. Uses nothing but HTTP and the simulator's
control port.

Run as `python -m local_stack.demo --url URL --symbol AAPL (--simulator-control-port N | --stop-price P)` with the
token in `DEMO_TOKEN`. Prints `{"reference": "IB-3:4", "execution": 1, "status": "OPEN", "known": false}` as one line,
or, with exit code 1, the error's code and message.

The demo buys once. Before anything is sent, a mark (`--mark FILE`, with a line for each `--place`: the simulator, or a
Gateway) holds the setup and the key of its request; a second run finds the execution with it and tells its reference
(`"known": true`), also after it was killed in between. Only a demo that bought nothing is tried anew, or `--again`.
"""

import argparse
import json
import os
import socket
import sys
import time
import uuid
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from local_stack.ports import LOOPBACK
from local_stack.private_file import private_json_read, private_json_write

QUANTITY = "10"
STOP_DISTANCE = Decimal("0.03")
TICK = Decimal("0.01")
READY_TIMEOUT_SECONDS = 30
REFERENCE_TIMEOUT_SECONDS = 60
REQUEST_TIMEOUT_SECONDS = 75
CONTROL_TIMEOUT_SECONDS = 5
POLL_SECONDS = 0.1
UNDER_WAY = ("REQUESTED", "SUBMITTING", "WORKING")
BOUGHT_NOTHING = ("REJECTED", "NOT_PLACED", "CANCELLED")

Json = dict[str, object]


class DemoError(Exception):
    """The demo could not be executed; `code` is the API's, or our own where there is none;
    `status` is the HTTP status of a refusal."""

    def __init__(self, code: str, message: str, *, status: int = 0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status


class Api:
    """The REST API as a script sees it: JSON in, JSON out."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self._netloc = urlsplit(url).netloc
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Token {token}"

    def call(self, method: str, path: str, body: Json | None = None, **headers: str) -> tuple[int, Json]:
        """Return the status and the answer's object; an answer that is not JSON comes as `{"text": ...}`."""
        connection = HTTPConnection(self._netloc, timeout=REQUEST_TIMEOUT_SECONDS)
        try:
            content = json.dumps(body) if body is not None else None
            connection.request(method, path, content, {**self._headers, **headers})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise DemoError("no_answer", f"{method} {path}: {error}") from error
        finally:
            connection.close()
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        return answer.status, parsed if isinstance(parsed, dict) else {"text": text[:500]}

    def demand(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """Return the answer's object of a request that succeeded. Raises DemoError with the API's code otherwise."""
        status, answer = self.call(method, path, body, **headers)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise DemoError(
                f"http_{status}",
                f"{method} {path} is redirected: with SECURE=true the API answers behind a TLS proxy only",
            )
        if status >= HTTPStatus.BAD_REQUEST:
            message = str(answer.get("message", answer))
            details = answer.get("details")
            raise DemoError(
                str(answer.get("code", f"http_{status}")),
                f"{message} {json.dumps(details)}" if details else message,
                status=status,
            )
        return answer


@dataclass(frozen=True, kw_only=True)
class DemoMark:
    """Where the demo of one place (the simulator, or a Gateway) is remembered."""

    file: Path
    place: str

    def read(self) -> Json:
        """Return what is remembered: setup, created_at, key. Empty when nothing is."""
        found = private_json_read(self.file).get(self.place)
        return found if isinstance(found, dict) else {}

    def write(self, content: Json) -> None:
        """Remember."""
        private_json_write(self.file, {**private_json_read(self.file), self.place: content})


def demo_execute(api: Api, *, symbol: str, stop_price: str, mark: DemoMark) -> Json:
    """Create a setup, execute it, and return the execution once the entry is filled and the stop is live."""
    _wait_ready(api)
    setup = api.demand(
        "POST",
        "/api/v1/setups/",
        {
            "symbol": symbol,
            "side": "LONG",
            "entry_type": "MARKET",
            "stop_price": stop_price,
            "quantity": QUANTITY,
            "notes": "Demo",
        },
    )
    key = str(uuid.uuid4())
    # Before the request: whoever is killed after it finds the same execution by the same key.
    mark.write({"setup": _value(setup, "id"), "created_at": setup.get("created_at"), "key": key})
    execution = _settled(api, _request(api, setup=_value(setup, "id"), key=key))
    if not execution.get("reference") or execution.get("status") in (*UNDER_WAY, *BOUGHT_NOTHING):
        raise _refusal(execution)
    return execution


def demo_known(api: Api, *, mark: DemoMark) -> Json | None:
    """Return the execution of the demo that was executed before; None when there is none, or it bought nothing."""
    known = mark.read()
    if not known:
        return None
    status, setup = api.call("GET", f"/api/v1/setups/{known.get('setup')}/")
    if status == HTTPStatus.NOT_FOUND or setup.get("created_at") != known.get("created_at"):
        # The mark is older than the database.
        return None
    try:
        execution = _settled(api, _request(api, setup=known.get("setup"), key=str(known.get("key"))))
    except DemoError as error:
        # Refused now, so nothing was requested with this key before: the same key answers the same execution.
        if error.code.startswith("idempotency"):
            raise
        if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            return None
        raise
    if execution.get("status") in BOUGHT_NOTHING:
        return None
    if not execution.get("reference"):
        raise _refusal(execution)
    return execution


def _request(api: Api, *, setup: object, key: str) -> Json:
    headers = {"Idempotency-Key": key, "Prefer": f"wait={REFERENCE_TIMEOUT_SECONDS}"}
    return api.demand("POST", f"/api/v1/setups/{setup}/execute/", {}, **headers)


def _settled(api: Api, execution: Json) -> Json:
    """Return the execution when its entry is filled or over, or as it is when the time is."""
    deadline = time.monotonic() + REFERENCE_TIMEOUT_SECONDS
    while execution.get("status") in UNDER_WAY and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        execution = api.demand("GET", f"/api/v1/executions/{_value(execution, 'id')}/")
    return execution


def _value(answer: Json, name: str) -> object:
    if name not in answer:
        raise DemoError("unexpected_answer", f"the API's answer has no {name}: {json.dumps(answer)[:200]}")
    return answer[name]


def simulator_price(control_port: int, symbol: str) -> Decimal:
    """Return the symbol's current price at the simulator (control port: one JSON object per line, each way)."""
    try:
        with socket.create_connection((LOOPBACK, control_port), timeout=CONTROL_TIMEOUT_SECONDS) as connection:
            connection.sendall(b'{"cmd":"state"}\n')
            with connection.makefile("rb") as stream:
                state = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise DemoError("simulator_no_answer", f"the simulator's control port {control_port}: {error}") from error
    price = state.get("prices", {}).get(symbol)
    if price is None:
        raise DemoError("unknown_symbol", f"the simulator has no price for {symbol}")
    return Decimal(price)


def stop_below(price: Decimal) -> str:
    """Return a stop price 3 % under `price`, on the tick."""
    return str((price * (1 - STOP_DISTANCE)).quantize(TICK, ROUND_HALF_EVEN))


def _wait_ready(api: Api) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while True:
        status, answer = api.call("GET", "/readyz")
        if status == HTTPStatus.OK:
            return
        if time.monotonic() > deadline:
            raise DemoError(
                "not_ready", f"/readyz answers {status} after {READY_TIMEOUT_SECONDS} s: {json.dumps(answer)}"
            )
        time.sleep(POLL_SECONDS)


def _refusal(execution: Json) -> DemoError:
    brackets = execution.get("brackets")
    orders = (
        [order for bracket in brackets if isinstance(bracket, dict) for order in bracket.get("orders", [])]
        if (isinstance(brackets, list))
        else []
    )
    errors = [f"{order.get('leg')}: {order['last_error']}" for order in orders if order.get("last_error")]
    reason = "; ".join(errors) or execution.get("attention") or "no reference in time"
    return DemoError(f"execution_{str(execution.get('status')).lower()}", f"execution {execution.get('id')}: {reason}")


def main() -> int:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.demo", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--symbol", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--simulator-control-port", type=int)
    source.add_argument("--stop-price")
    parser.add_argument("--mark", required=True, type=Path)
    parser.add_argument("--place", required=True)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    api = Api(options.url, token=os.environ["DEMO_TOKEN"])
    mark = DemoMark(file=options.mark, place=options.place)
    try:
        known = None if options.again else demo_known(api, mark=mark)
        if known is None:
            price = options.stop_price or stop_below(simulator_price(options.simulator_control_port, options.symbol))
            execution = demo_execute(api, symbol=options.symbol, stop_price=price, mark=mark)
        else:
            execution = known
        told = {"reference": execution["reference"], "execution": execution["id"], "status": execution["status"]}
        print(json.dumps({**told, "known": known is not None}))
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
