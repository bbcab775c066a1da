"""`scripts/bench`: what an execution costs, measured from outside, all processes on this machine.

    POST -> wire     from the first byte of `POST …/execute/` until the simulator has received the bracket's last leg
    bare -> wire     the same bracket from a script with `ib_async` alone, until the simulator has received its last leg
    fill -> row      from the command that fills the entry until the news of its committed row arrives over Redis

Before that, `simulator.py` loads the simulator alone. Ours and the bare script's are measured in turns, so that a noisy
machine disturbs both alike. Clocks: CLOCK_MONOTONIC, which all processes of a machine share.
"""

import argparse
import asyncio
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

import psycopg
import redis
from ib_async import IB, MarketOrder, Stock, StopOrder

from ib_simulator.client import SimulatorControl
from tests.bench import busy_account, closes, endurance, long_history, many_brackets, simulator
from tests.running_stack import RunningStack, running_stack

SETUP = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "100.00", "quantity": "10"}
BARE_CLIENT_ID = 77
# How many brackets come at once, and how many are open then.
SHORT_COUNTS, FULL_COUNTS = (100, 200), (500, 1000)
WAIT_SECONDS_MAX = 20.0
QUIET_SECONDS = 0.2
# How long the simulator is under load.
SHORT_SECONDS, FULL_SECONDS = 10.0, 60.0


# What a run without `--only` measures, and what takes many minutes, as `endurance` does.
ALWAYS = ("stack", "brackets", "simulator")
LONG = {"busy": busy_account.measure, "history": long_history.measure}


class Bench:
    """One run on one stack."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._api = stack.api
        self._control: SimulatorControl = stack.simulator()

    def run(self, rounds: int, *, warm_up: int) -> dict[str, list[float]]:
        """Return milliseconds by what was measured."""
        figures: dict[str, list[float]] = {"POST -> wire": [], "bare -> wire": [], "fill -> row": []}
        self._control.pause_fills()
        ib = self._bare_connect()
        with psycopg.connect(self._stack.up["database_url"], autocommit=True) as rows:
            for number in range(warm_up + rounds):
                setup_id = self._api.post("/api/v1/setups/", SETUP).body["id"]
                execution, post_ms = self._execute(setup_id)
                bare_ms = self._bare(ib)
                fill_ms = self._fill(execution, rows)
                if number >= warm_up:
                    for name, value in zip(figures, (post_ms, bare_ms, fill_ms), strict=True):
                        figures[name].append(value)
        ib.disconnect()
        return figures

    def _execute(self, setup_id: int) -> tuple[dict[str, object], float]:
        begun = time.monotonic()
        answer = self._api.post(f"/api/v1/setups/{setup_id}/execute/", Idempotency_Key=str(uuid.uuid4()))
        assert answer.status == 202, answer
        refs = {order["order_ref"] for order in answer.body["brackets"][0]["orders"]}
        return answer.body, (self._on_the_wire(refs) - begun) * 1000

    def _on_the_wire(self, refs: set[str]) -> float:
        """Return when the simulator had received an order under each of these names, in monotonic seconds."""
        time.sleep(QUIET_SECONDS)  # The simulator notes the moment; asking at once would only disturb what is measured.
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < give_up_at:
            seen = {
                ref: message["received_ms"] / 1000
                for message in self._control.messages(name="placeOrder", limit=8)
                for ref in refs.intersection(message["fields"])
            }
            if seen.keys() == refs:
                return float(max(seen.values()))
            time.sleep(QUIET_SECONDS)
        raise AssertionError(f"not on the wire within {WAIT_SECONDS_MAX:g} s: {refs}")

    def _bare_connect(self) -> IB:
        told = self._stack.up["simulator"]
        ib = IB()
        ib.connect(told["host"], told["port"], clientId=BARE_CLIENT_ID, timeout=10)
        return ib

    def _bare(self, ib: IB) -> float:
        contract = Stock("AAPL", "SMART", "USD")
        refs = [f"bare-{uuid.uuid4()}" for _ in range(2)]
        begun = time.monotonic()
        entry = MarketOrder("BUY", 10, tif="DAY", orderRef=refs[0], transmit=False, orderId=ib.client.getReqId())
        stop = StopOrder("SELL", 10, 100.0, tif="GTC", orderRef=refs[1], parentId=entry.orderId)
        trades = [ib.placeOrder(contract, order) for order in (entry, stop)]
        ib.sleep(0.02)
        wire = self._on_the_wire(set(refs))
        ib.cancelOrder(trades[0].order)
        ib.sleep(0.02)
        return (wire - begun) * 1000

    def _fill(self, execution: dict[str, object], rows: "psycopg.Connection[tuple[int, ...]]") -> float:
        entry_ref = execution["brackets"][0]["orders"][0]["order_ref"]  # type: ignore[index]
        query = "SELECT 1 FROM executions_fill f JOIN executions_order o ON o.id = f.order_id WHERE o.order_ref = %s"
        self._acknowledged(entry_ref, rows)
        with redis.Redis.from_url(self._stack.up["redis_url"]) as client, client.pubsub() as news:
            news.subscribe(f"execution:{execution['id']}")
            news.get_message(timeout=1)
            begun = time.monotonic()
            self._control.fill(order_ref=entry_ref)
            while time.monotonic() - begun < WAIT_SECONDS_MAX:
                told = news.get_message(ignore_subscribe_messages=True, timeout=WAIT_SECONDS_MAX)
                heard = time.monotonic()
                if told and rows.execute(query, [entry_ref]).fetchone():
                    return (heard - begun) * 1000
        raise AssertionError("the fill did not reach the rows")

    def _acknowledged(self, order_ref: str, rows: "psycopg.Connection[tuple[int, ...]]") -> None:
        """Wait until the order's answers are recorded, so that only the fill is measured."""
        query = "SELECT 1 FROM executions_order WHERE order_ref = %s AND acknowledged_at IS NOT NULL"
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while rows.execute(query, [order_ref]).fetchone() is None:
            assert time.monotonic() < give_up_at, "the order was not acknowledged"
            time.sleep(0.005)
        time.sleep(QUIET_SECONDS)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(figures: dict[str, list[float]]) -> None:
    """Print a table of milliseconds, and what ours costs beyond the bare script's."""
    print(f"{'milliseconds':<14} {'n':>5} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8}")
    for name, values in figures.items():
        marks = [percentile(values, share) for share in (0.5, 0.9, 0.99)]
        print(f"{name:<14} {len(values):>5} " + " ".join(f"{value:>8.2f}" for value in [*marks, max(values)]))
    ours, bare = statistics.median(figures["POST -> wire"]), statistics.median(figures["bare -> wire"])
    print(f"ours - bare (medians): {ours - bare:.2f} ms, ours / bare: {ours / bare:.1f}")
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")


def show(figures: Iterable[tuple[str, str]]) -> None:
    """Print what was measured, as soon as it was."""
    for name, figure in figures:
        print(f"{name:<40} {figure}", flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--only", choices=(*ALWAYS, *LONG, "closes", "endurance"), help="measure one of them")
    parser.add_argument("--minutes", type=int, default=30, help="how long `--only endurance` goes on")
    parser.add_argument(
        "--full",
        action="store_true",
        help="60 s of load on the simulator (else 10), 500 brackets at once and 1,000 open (else 100 and 200)",
    )
    options = parser.parse_args()
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # The bare script's own cancels are not news.
    if options.only in (None, "simulator"):
        simulator.report(simulator.measure(FULL_SECONDS if options.full else SHORT_SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        if options.only in (None, "stack"):
            asyncio.set_event_loop(asyncio.new_event_loop())
            with running_stack(Path(folder) / "bench") as stack:
                report(Bench(stack).run(options.rounds, warm_up=options.warm_up))
        if options.only in (None, "brackets"):
            with running_stack(Path(folder) / "brackets") as stack:
                burst, open_brackets = FULL_COUNTS if options.full else SHORT_COUNTS
                show(many_brackets.measure(stack, burst=burst, open_brackets=open_brackets))
        if options.only == "endurance":
            with running_stack(Path(folder) / "endurance") as stack:
                show(endurance.measure(stack, minutes=options.minutes))
        if options.only == "closes":
            show(closes.measure(Path(folder)))
        if options.only in LONG:
            with running_stack(Path(folder) / options.only) as stack:
                show(LONG[options.only](stack))
    return 0


if __name__ == "__main__":
    sys.exit(main())
