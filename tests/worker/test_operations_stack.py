"""The kill switch, the watchdog and the alerts on the real processes: what a person sees from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.eventually import eventually
from tests.running_stack import ROOT, RunningStack, running_stack
from tests.services.mail_and_hook import Hook, web_hook
from tests.services.telegram_stand_in import CHAT, TOKEN, Telegram, telegram

pytestmark = pytest.mark.slow
LIMIT = {"symbol": "AAPL", "side": "LONG", "entry_type": "LIMIT", "entry_price": "1.00", "stop_price": "0.50"}


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with web_hook() as served:
        yield served


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telegram]:
    with telegram(tmp_path_factory.mktemp("telegram")) as served:
        yield served


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, hook: Hook, phone: Telegram) -> Iterator[RunningStack]:
    channels = {"ALERT_URLS": f"{hook.address} {phone.address}", **phone.environment}
    with running_stack(tmp_path_factory.mktemp("operations"), environment=channels) as started:
        yield started


def kill_switch(stack: RunningStack, *arguments: str) -> dict[str, Any]:
    """Run the command as an admin on the machine does."""
    servers = {"DATABASE_URL": stack.up["database_url"], "REDIS_URL": stack.up["redis_url"]}
    done = subprocess.run(
        [sys.executable, "manage.py", "kill_switch", *arguments],
        cwd=ROOT,
        env={**os.environ, **servers, "PYTHONPATH": str(ROOT / "backend")},
        capture_output=True,
        check=True,
        text=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def execute(stack: RunningStack, key: str, **setup: Any) -> tuple[int, dict[str, Any]]:
    planned = stack.api.post("/api/v1/setups/", {**LIMIT, "quantity": "10", **setup})
    assert planned.status == 201, planned.body
    path = f"/api/v1/setups/{planned.body['id']}/execute/"
    answer = stack.api.post(path, {}, Idempotency_Key=key, Prefer="wait=20")
    return answer.status, answer.body


def status_of(stack: RunningStack, execution: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = stack.api.get(f"/api/v1/executions/{execution['id']}/").body
    return body


def told(hook: Hook, kind: str) -> int:
    return sum(kind in post["message"] for post in hook.posts)


def test_engaging_cancels_what_works_refuses_what_is_new_and_is_told(
    stack: RunningStack, hook: Hook, phone: Telegram
) -> None:
    status, working = execute(stack, "works")
    assert (status, working["status"]) == (200, "WORKING")
    # When
    assert kill_switch(stack, "engage", "--reason", "wrong prices")["engaged"] is True
    # Then
    eventually(lambda: status_of(stack, working)["status"] == "CANCELLED", seconds_max=15)
    assert status_of(stack, working)["reason_code"] == "kill_switch"
    status, refused = execute(stack, "refused")
    assert (status, refused["code"]) == (409, "kill_switch_engaged")
    eventually(lambda: told(hook, "kill_switch") == 1, seconds_max=20)
    # By Telegram's own name, over TLS, and once
    eventually(lambda: phone.sent, seconds_max=20)
    ((path, message),) = phone.sent
    assert (path, message["chat_id"]) == (f"/bot{TOKEN}/sendMessage", int(CHAT))
    assert "kill_switch" in message["text"]
    assert "wrong prices" in message["text"]
    # And released, trading goes on
    assert kill_switch(stack, "release", "--reason", "right again")["engaged"] is False
    assert execute(stack, "goes on")[1]["status"] == "WORKING"


def test_flatten_closes_what_is_held_and_nobody_puts_a_stop_beside_it(stack: RunningStack) -> None:
    status, held = execute(stack, "held", entry_type="MARKET", entry_price=None, stop_price="10.00")
    assert (status, held["status"]) == (200, "OPEN"), held
    kill_switch(stack, "engage", "--reason", "out", "--flatten")
    eventually(lambda: status_of(stack, held)["status"] == "CLOSED", seconds_max=20)
    closed = status_of(stack, held)
    legs = [(order["leg"], order["status"]) for order in closed["brackets"][0]["orders"]]
    assert legs == [("ENTRY", "FILLED"), ("STOP_LOSS", "CANCELLED"), ("CLOSE", "FILLED")]
    assert (closed["exit_reason"], closed["attention"], closed["open_quantity"]) == ("CLOSE", "", "0")
    kill_switch(stack, "release", "--reason", "back")


def test_a_worker_that_stands_still_is_told_and_its_return_ends_it(stack: RunningStack, hook: Hook) -> None:
    pid: int = stack.up["pids"]["broker-worker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: told(hook, "worker_silent") == 1, seconds_max=40)
        broker = stack.api.get("/readyz").body["checks"]["broker_worker"]
        assert broker["ok"] is False
        (alert,) = stack.api.get("/api/v1/alerts/?open=true").body["results"]
        assert (alert["kind"], alert["deliveries"][0]["state"]) == ("worker_silent", "SENT")
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: stack.api.get("/api/v1/alerts/?open=true").body["results"] == [], seconds_max=40)
    assert told(hook, "worker_silent") == 1


def test_when_nobody_watches_readyz_says_so(stack: RunningStack, hook: Hook) -> None:
    stack.wait_ready()
    pid: int = stack.up["pids"]["worker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: not stack.api.get("/readyz").body["checks"]["watchdog"]["ok"], seconds_max=40)
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: stack.api.get("/readyz").body["checks"]["watchdog"]["ok"], seconds_max=40)


def test_the_gateway_that_goes_away_is_told_as_such(stack: RunningStack, hook: Hook) -> None:
    stack.wait_ready()
    pid: int = stack.up["pids"]["ib-simulator"]
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: told(hook, "gateway_silent") == 1, seconds_max=60)
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: stack.api.get("/api/v1/alerts/?open=true").body["results"] == [], seconds_max=60)
