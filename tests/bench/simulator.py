"""What the simulator bears: many clients that stream, many orders that rest, and how fast an order is answered.

order -> status    from a client's placeOrder until its first orderStatus, while everybody streams
memory, CPU        of the simulator's process, as the system counts them
"""

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from ib_simulator.process import SimulatorProcess, running_simulator
from tests.bench.simulator_client import LoadClient

CLIENTS, OPEN_ORDERS, QUOTES_PER_SECOND = 20, 1000, 200
ACCOUNTS = tuple(f"DU10000{number:02d}" for number in range(20))
SYMBOLS = (
    *("AAPL", "MSFT", "AMZN", "GOOG", "GOOGL", "META", "NVDA", "TSLA", "JPM", "BAC"),
    *("KO", "PEP", "WMT", "DIS", "INTC", "AMD", "SPY", "QQQ", "IWM", "XOM"),
)
ORDERS_PER_SECOND = 20
WAIT_SECONDS_MAX = 30.0
MEGABYTE = 1024 * 1024


@dataclass
class Load:
    """The figures of one run."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    messages: int = 0
    size: int = 0
    cpu_seconds: float = 0.0
    open_orders: int = 0
    quotes: float = 0.0
    errors: list[bytes] = field(default_factory=list)


def measure(seconds: float) -> Load:
    """Run the load for so many seconds against a simulator of its own."""
    symbols = _known_symbols()
    tick_seconds = len(symbols) / QUOTES_PER_SECOND
    with running_simulator(seed=7, accounts=ACCOUNTS, tick_seconds=tick_seconds) as simulator:
        return asyncio.run(_measure(simulator, symbols, seconds, quotes=len(symbols) / tick_seconds))


def _known_symbols() -> list[str]:
    with running_simulator(seed=7) as simulator:
        known = simulator.control.state()["prices"]
    return [symbol for symbol in SYMBOLS if symbol in known]


async def _measure(simulator: SimulatorProcess, symbols: list[str], seconds: float, *, quotes: float) -> Load:
    clients = [await _connected(simulator, number) for number in range(1, CLIENTS + 1)]
    await _rest_orders(clients, symbols)
    for client in clients:
        client.latencies.clear()
        client.stream(symbols)
    await asyncio.sleep(1)  # The first quotes are not the load.
    load = Load(seconds, quotes=quotes)
    before = [(client.messages, client.size) for client in clients]
    cpu_before, begun = _cpu_seconds(simulator.pid), time.perf_counter()
    load.memory_mb.append(_memory_mb(simulator.pid))
    for part in range(2):
        await _trade(clients, symbols, until=begun + seconds * (part + 1) / 2)
        load.memory_mb.append(_memory_mb(simulator.pid))
    load.seconds = time.perf_counter() - begun
    load.cpu_seconds = _cpu_seconds(simulator.pid) - cpu_before
    load.messages = sum(client.messages - old for client, (old, _bytes) in zip(clients, before, strict=True))
    load.size = sum(client.size - old for client, (_messages, old) in zip(clients, before, strict=True))
    load.latencies = [value for client in clients for value in client.latencies]
    load.errors = [error for client in clients for error in client.errors]
    load.open_orders = sum(order["live"] for order in simulator.control.state()["orders"])
    for client in clients:
        client.close()
    return load


async def _connected(simulator: SimulatorProcess, client_id: int) -> LoadClient:
    loop = asyncio.get_running_loop()
    _transport, client = await loop.create_connection(lambda: LoadClient(client_id), simulator.host, simulator.port)
    await asyncio.wait_for(client.ready.wait(), WAIT_SECONDS_MAX)
    return client


async def _rest_orders(clients: list[LoadClient], symbols: list[str]) -> None:
    """Fill the book with orders far from the market, evenly, each client in an account of its own."""
    for number in range(OPEN_ORDERS):
        client = clients[number % CLIENTS]
        side, price = (("BUY", "1.00"), ("SELL", "9000.00"))[number // CLIENTS % 2]
        client.place(
            symbol=symbols[number // CLIENTS % len(symbols)],
            action=side,
            price=price,
            account=ACCOUNTS[number % CLIENTS],
        )
    give_up_at = time.perf_counter() + WAIT_SECONDS_MAX
    while sum(client.answered for client in clients) < OPEN_ORDERS:
        assert time.perf_counter() < give_up_at, [client.errors[:1] for client in clients]
        await asyncio.sleep(0.01)


async def _trade(clients: list[LoadClient], symbols: list[str], *, until: float) -> None:
    """Place an order and take the one before back, at a steady pace, each client in turn."""
    turn = 0
    placed: dict[int, int] = {}
    while time.perf_counter() < until:
        client = clients[turn % CLIENTS]
        if client.client_id in placed:
            client.cancel(placed.pop(client.client_id))
        placed[client.client_id] = client.place(
            symbol=symbols[turn % len(symbols)], action="BUY", price="2.00", account=ACCOUNTS[turn % CLIENTS]
        )
        turn += 1
        await asyncio.sleep(1 / ORDERS_PER_SECOND)
    for client in clients:
        if client.client_id in placed:
            client.cancel(placed.pop(client.client_id))
    await asyncio.sleep(0.2)  # The last answers.


def _memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(load: Load) -> None:
    """Print the figures."""
    ordered = sorted(load.latencies) or [float("nan")]
    p50, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99))
    start, middle, end = load.memory_mb
    print(
        f"simulator: {CLIENTS} clients, {load.open_orders} open orders, "
        f"{load.quotes:.0f} quotes per second and client, {load.seconds:.0f} s"
    )
    print(f"  order -> status   n {len(load.latencies)}, p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {ordered[-1]:.2f} ms")
    print(f"  memory            start {start:.1f} MB, middle {middle:.1f} MB, end {end:.1f} MB")
    rate, megabytes = load.messages / load.seconds, load.size / load.seconds / 1e6
    print(f"  sent              {rate:,.0f} messages/s, {megabytes:.2f} MB/s")
    print(f"  CPU               {100 * load.cpu_seconds / load.seconds:.0f} % of one core")
    if load.errors:
        print(f"  errors            {len(load.errors)}, the first: {load.errors[0]!r}")
