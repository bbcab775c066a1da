"""Closing many brackets at once through the real processes, measured from the broker's book and not from our rows.

For each bracket: how much was sold in all, when its stop ended, and when its closing deals were. A bracket is naked
from the end of its stop to its last sale; what the book says of that is printed, and with a target it is never.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ib_simulator.process import SimulatorProcess, running_simulator
from tests.eventually import eventually
from tests.running_stack import ROOT, RunningStack, running_stack

pytestmark = pytest.mark.slow
ACCOUNT = "DU1234567"
BRACKETS = 50
LONE = int(os.environ.get("CLOSE_LONE_STOPS", "10"))  # More, to measure what closing hundreds at once takes.
# Where a stop and a target are, as parts of the price: far enough that a random walk does not reach them by itself.
STOP_AT, TARGET_AT = Decimal("0.9"), Decimal("1.1")
SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMD")


@dataclass(frozen=True, kw_only=True)
class Closing:
    """What the broker's book says of one bracket: shares bought and sold, and for how long it was without a stop."""

    bought: Decimal
    sold: Decimal
    naked_seconds: float
    orders: dict[str, list[str]]  # statuses of its orders by leg


@dataclass(frozen=True, kw_only=True)
class Desk:
    stack: RunningStack
    broker: SimulatorProcess

    def held(self, count: int, *, with_target: bool) -> list[int]:
        """Have brackets bought, and return their executions once the broker holds their stops."""
        executions = [self._bought(number, with_target=with_target) for number in range(count)]
        for execution_id in executions:
            eventually(lambda pk=execution_id: self.read(pk)["status"] == "OPEN", seconds_max=60)  # type: ignore[misc]
        eventually(lambda: self._echoed(executions, with_target=with_target), seconds_max=60)
        return executions

    def _bought(self, number: int, *, with_target: bool) -> int:
        symbol = SYMBOLS[number % len(SYMBOLS)]
        last = Decimal(self.broker.control.state()["prices"][symbol])
        plan: dict[str, Any] = {
            "symbol": symbol,
            "side": "LONG",
            "entry_type": "MARKET",
            "stop_price": f"{last * STOP_AT:.2f}",
            "quantity": "10",
        }
        if with_target:
            plan["take_profits"] = [{"price": f"{last * TARGET_AT:.2f}"}]
        setup = self.stack.api.post("/api/v1/setups/", plan)
        assert setup.status == 201, setup
        path = f"/api/v1/setups/{setup.body['id']}/execute/"
        answer = self.stack.api.post(path, Idempotency_Key=f"{setup.body['id']}")
        assert answer.status == 202, answer
        execution_id: int = answer.body["id"]
        return execution_id

    def _echoed(self, executions: list[int], *, with_target: bool) -> bool:
        """Say whether our rows know the groups of all exits (a lone stop has none)."""
        query = "SELECT count(*) FROM executions_order o JOIN executions_bracket b ON b.id = o.bracket_id WHERE "
        query += "b.execution_id = ANY(%s) AND o.leg <> 'ENTRY' AND o.status IN ('HELD', 'WORKING')"
        query += " AND o.oca_group <> ''" if with_target else ""
        return bool(self.stack.rows(query, executions)[0][0] == len(executions) * (2 if with_target else 1))

    def read(self, execution_id: int) -> dict[str, Any]:
        body: dict[str, Any] = self.stack.api.get(f"/api/v1/executions/{execution_id}/").body
        return body

    def flatten(self, executions: list[int]) -> list[Closing]:
        """Close everything, wait until it is, and return what the book says of each."""
        self.kill_switch("engage", "--reason", "measured", "--flatten")
        try:
            for pk in executions:
                eventually(lambda pk=pk: self.read(pk)["status"] == "CLOSED", seconds_max=120)  # type: ignore[misc]
        finally:
            self.kill_switch("release", "--reason", "done")
        book = self.broker.control.state()
        return [_closing(self.read(pk), book) for pk in executions]

    def kill_switch(self, *arguments: str) -> None:
        servers = {"DATABASE_URL": self.stack.up["database_url"], "REDIS_URL": self.stack.up["redis_url"]}
        environment = {**os.environ, **servers, "PYTHONPATH": str(ROOT / "backend")}
        subprocess.run(
            [sys.executable, "manage.py", "kill_switch", *arguments],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
        )

    def positions(self) -> dict[str, str]:
        return {one["symbol"]: one["quantity"] for one in self.broker.control.state()["positions"]}


def _closing(execution: dict[str, Any], book: dict[str, Any]) -> Closing:
    (bracket,) = execution["brackets"]
    refs = {order["order_ref"]: order["leg"] for order in bracket["orders"]}
    deals = [deal for deal in book["executions"] if deal["order_ref"] in refs]
    bought = sum((Decimal(deal["quantity"]) for deal in deals if deal["side"] == "BOT"), Decimal(0))
    sold = [deal for deal in deals if deal["side"] == "SLD"]
    stops = [one for one in book["orders"] if refs.get(one["order_ref"]) in ("STOP_LOSS", "PROTECT")]
    ended = max(datetime.fromisoformat(one["completed_at"]) for one in stops)
    closed = max(datetime.fromisoformat(deal["time"]) for deal in sold)
    orders: dict[str, list[str]] = {}
    for one in book["orders"]:
        if one["order_ref"] in refs:
            orders.setdefault(refs[one["order_ref"]], []).append(one["status"])
    return Closing(
        bought=bought,
        sold=sum((Decimal(deal["quantity"]) for deal in sold), Decimal(0)),
        naked_seconds=max((closed - ended).total_seconds(), 0.0),
        orders=orders,
    )


@contextmanager
def running_desk(folder: Path, *, road: str) -> Iterator[Desk]:
    with running_simulator(seed=7, accounts=[ACCOUNT], state_dir=folder / "book", tick_seconds=0.2) as broker:
        gateway = {"IB_HOST": "127.0.0.1", "IB_PORT": str(broker.port), "IB_ACCOUNT": ACCOUNT}
        more = {"CLOSE_ROAD": road, "ORDERS_PER_CONTRACT_MAX": "0", "GATEWAY_MAINTENANCE": "none"}
        with running_stack(folder / "stack", environment=gateway | more) as stack:
            yield Desk(stack=stack, broker=broker)


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("auto"), road="auto") as desk:
        yield desk


@pytest.fixture(scope="module")
def join(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("join"), road="join") as desk:
        yield desk


def show(name: str, closings: list[Closing]) -> None:
    naked = sorted(one.naked_seconds for one in closings)
    marks = {"p50": naked[len(naked) // 2], "p90": naked[len(naked) * 9 // 10], "max": naked[-1]}
    told = {"brackets": len(naked), "naked": sum(one > 0 for one in naked)}
    told |= {f"seconds_{name}": round(seconds, 3) for name, seconds in marks.items()}
    sys.stdout.write(f"\nclose: {name}: {json.dumps(told)}\n")


def test_fifty_brackets_with_a_target_are_never_without_a_stop_and_sold_once(auto: Desk) -> None:
    executions = auto.held(BRACKETS, with_target=True)

    closings = auto.flatten(executions)

    show("50 with a target", closings)
    assert [(one.bought, one.sold) for one in closings] == [(10, 10)] * BRACKETS
    naked = [
        (one, auto.read(pk)["commands"]) for pk, one in zip(executions, closings, strict=True) if one.naked_seconds
    ]
    assert naked == []
    assert all(one.orders["TAKE_PROFIT"] == ["Filled"] and "CLOSE" not in one.orders for one in closings)
    assert auto.positions() == {}


def test_lone_stops_are_cancelled_first_and_each_is_sold_once(auto: Desk) -> None:
    executions = auto.held(LONE, with_target=False)

    closings = auto.flatten(executions)

    show(f"{LONE} lone stops", closings)
    assert [(one.bought, one.sold) for one in closings] == [(10, 10)] * LONE
    legs = {"ENTRY": ["Filled"], "STOP_LOSS": ["Cancelled"], "CLOSE": ["Filled"]}
    assert [one.orders for one in closings] == [legs] * LONE
    assert auto.positions() == {}


@pytest.mark.parametrize(
    ("joins", "closes"),
    [("linked", ["Filled"]), ("refused", ["Inactive", "Filled"]), ("not_linked", ["Filled"])],
)
def test_a_close_that_joins_sells_once_whatever_becomes_of_the_join(join: Desk, joins: str, closes: list[str]) -> None:
    join.broker.control.set_switch("oca_join", joins)
    executions = join.held(5, with_target=True)

    closings = join.flatten(executions)

    show(f"5 joined, {joins}", closings)
    assert [(one.bought, one.sold, one.orders["CLOSE"]) for one in closings] == [(10, 10, closes)] * 5
    assert [one.orders["STOP_LOSS"] + one.orders["TAKE_PROFIT"] for one in closings] == [["Cancelled"] * 2] * 5
    assert joins == "refused" or [one.naked_seconds for one in closings] == [0.0] * 5
    assert join.positions() == {}


def test_a_part_is_closed_and_the_rest_keeps_its_exits(auto: Desk) -> None:
    (execution_id,) = auto.held(1, with_target=True)
    path = f"/api/v1/executions/{execution_id}/close/"

    assert auto.stack.api.post(path, {"fraction": "0.45"}, Idempotency_Key=path).status == 202

    eventually(lambda: auto.read(execution_id)["open_quantity"] == "6", seconds_max=60)
    book = auto.broker.control.state()
    refs = {one["order_ref"]: one["leg"] for one in auto.read(execution_id)["brackets"][0]["orders"]}
    found = {
        refs[one["order_ref"]]: (one["quantity"], one["live"]) for one in book["orders"] if one["order_ref"] in refs
    }
    assert found == {
        "ENTRY": ("10", False),
        "TAKE_PROFIT": ("6", True),
        "STOP_LOSS": ("6", True),
        "CLOSE": ("4", False),
    }
    # At a limit that the market has reached, the rest goes by its target
    last = Decimal(book["prices"][SYMBOLS[0]])
    body = {"fraction": "1", "order_type": "LIMIT", "limit_price": f"{last * Decimal('0.99'):.2f}"}
    # A moment after the part was closed: that it is done is noted by the next look at it
    eventually(
        lambda: auto.stack.api.post(path, body, Idempotency_Key=f"{path} the rest").status == 202, seconds_max=10
    )
    eventually(lambda: auto.read(execution_id)["status"] == "CLOSED", seconds_max=60)
    assert auto.positions() == {}
