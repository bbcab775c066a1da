"""Execute one demo setup over the REST API, as a user's script would. Uses nothing but HTTP and the simulator's
control port.

Run as `python -m local_stack.demo --url URL --symbol AAPL (--simulator-control-port N | --stop-price P)` with the
token in `DEMO_TOKEN`. Prints the bracket's reference (`IB-3:4`); on failure the error's code and message, exit code 1.
"""

import argparse
import json
import os
import socket
import sys
import time
import uuid
from decimal import ROUND_HALF_EVEN, Decimal
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from local_stack.ports import LOOPBACK

QUANTITY = "10"
STOP_DISTANCE = Decimal("0.03")
TICK = Decimal("0.01")
READY_TIMEOUT_SECONDS = 30
REFERENCE_TIMEOUT_SECONDS = 60
REQUEST_TIMEOUT_SECONDS = 75
CONTROL_TIMEOUT_SECONDS = 5
POLL_SECONDS = 0.1

Json = dict[str, object]


class DemoError(Exception):
    """The demo could not be executed; `code` is the API's, or our own where there is none."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


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
        if status >= HTTPStatus.BAD_REQUEST:
            message = str(answer.get("message", answer))
            details = answer.get("details")
            raise DemoError(
                str(answer.get("code", f"http_{status}")), f"{message} {json.dumps(details)}" if details else message
            )
        return answer


def demo_execute(api: Api, *, symbol: str, stop_price: str) -> str:
    """Create a setup, execute it, and return the reference once the entry is filled and the stop is live."""
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
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": f"wait={REFERENCE_TIMEOUT_SECONDS}"}
    execution = api.demand("POST", f"/api/v1/setups/{setup['id']}/execute/", {}, **headers)
    deadline = time.monotonic() + REFERENCE_TIMEOUT_SECONDS
    while not execution.get("reference") or execution.get("status") in ("REQUESTED", "SUBMITTING", "WORKING"):
        if execution.get("status") in ("REJECTED", "NOT_PLACED", "CANCELLED", "CLOSED") or time.monotonic() > deadline:
            raise _refusal(execution)
        time.sleep(POLL_SECONDS)
        execution = api.demand("GET", f"/api/v1/executions/{execution['id']}/")
    return str(execution["reference"])


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
    options = parser.parse_args()
    try:
        stop_price = options.stop_price or stop_below(simulator_price(options.simulator_control_port, options.symbol))
        api = Api(options.url, token=os.environ["DEMO_TOKEN"])
        print(demo_execute(api, symbol=options.symbol, stop_price=stop_price))
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
