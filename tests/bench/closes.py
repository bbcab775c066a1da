"""What closing many brackets at once costs, measured from the broker's book and not from our rows.

For each bracket: how much was sold in all, when its stop ended, and when its closing deals were. A bracket is naked
from the end of its stop to its last sale. Prices move all the time; a kill switch with flatten closes all of them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from ib_simulator.process import SimulatorProcess, running_simulator
from tests.eventually import eventually
from tests.running_stack import ROOT, RunningStack, running_stack

ACCOUNT = "DU1234567"
# Where a stop and a target are, as parts of the price: far enough that a random walk does not reach them by itself.
STOP_AT, TARGET_AT = Decimal("0.9"), Decimal("1.1")
SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMD")
JOINS = ("linked", "refused", "not_linked")
BRACKETS, LONE = 50, 100


def measure(folder: Path) -> Iterator[tuple[str, str]]:
    """Return rows of name and figure; raise AssertionError where something was sold twice, or not at all."""
    with running_desk(folder / "auto", road="auto") as desk:
        yield f"{BRACKETS} with a target", told(desk.flatten(desk.held(BRACKETS, with_target=True)))
        yield f"{LONE} lone stops", told(desk.flatten(desk.held(LONE, with_target=False)))
    with running_desk(folder / "join", road="join") as desk:
        for joins in JOINS:
            desk.broker.control.set_switch("oca_join", joins)
            yield f"{BRACKETS} that join, {joins}", told(desk.flatten(desk.held(BRACKETS, with_target=True)))
    with running_desk(folder / "cancel_first", road="cancel_first") as desk:
        yield f"{BRACKETS}, cancelled first", told(desk.flatten(desk.held(BRACKETS, with_target=True)))


def told(closings: "Sequence[Closing]") -> str:
    """Return how many of them were naked, and for how long."""
    assert all(one.bought == one.sold for one in closings), "not sold, or sold twice"
    naked = sorted(one.naked_seconds for one in closings)
    marks = {"p50": naked[len(naked) // 2], "p90": naked[len(naked) * 9 // 10], "max": naked[-1]}
    seconds = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in marks.items())
    return f"{sum(one > 0 for one in naked)} without a stop before their sale: {seconds} ms; each sold once"


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
            eventually(partial(self._stands, execution_id, "OPEN"), seconds_max=60)
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

    def _stands(self, execution_id: int, status: str) -> bool:
        return bool(self.read(execution_id)["status"] == status)

    def read(self, execution_id: int) -> dict[str, Any]:
        body: dict[str, Any] = self.stack.api.get(f"/api/v1/executions/{execution_id}/").body
        return body

    def flatten(self, executions: list[int]) -> list[Closing]:
        """Close everything, wait until it is, and return what the book says of each."""
        self.kill_switch("engage", "--reason", "measured", "--flatten")
        try:
            for pk in executions:
                eventually(partial(self._stands, pk, "CLOSED"), seconds_max=120)
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
