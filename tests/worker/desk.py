"""A trading desk of real processes: the running stack, the broker it trades at, and the wire between them."""

import uuid
from dataclasses import dataclass
from typing import Any

from ib_simulator.process import SimulatorProcess
from tests.broker_proxy import BrokerProxy
from tests.eventually import eventually
from tests.running_stack import RunningStack
from tests.same_book import assert_same_deals, assert_same_orders, refs_of

WORKER = "broker-worker"
PRICE = "190"
SETUP = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "100.00", "quantity": "10"}
LIMIT = {"entry_type": "LIMIT", "entry_price": "180.00"}


@dataclass(frozen=True)
class Desk:
    """What a test sees, does and breaks."""

    stack: RunningStack
    broker: SimulatorProcess
    wire: BrokerProxy

    def request(self, **changes: Any) -> int:
        """Have a setup executed, and return the execution's id at once."""
        setup = self.stack.api.post("/api/v1/setups/", SETUP | changes)
        assert setup.status == 201, setup
        path = f"/api/v1/setups/{setup.body['id']}/execute/"
        answer = self.stack.api.post(path, Idempotency_Key=str(uuid.uuid4()))
        assert answer.status == 202, answer
        execution_id: int = answer.body["id"]
        return execution_id

    def read(self, execution_id: int) -> dict[str, Any]:
        """Read an execution over the API."""
        answer = self.stack.api.get(f"/api/v1/executions/{execution_id}/")
        assert answer.status == 200, answer
        body: dict[str, Any] = answer.body
        return body

    def legs(self, execution_id: int, leg: str) -> list[dict[str, Any]]:
        """Return our orders of one kind."""
        (bracket,) = self.read(execution_id)["brackets"]
        return [order for order in bracket["orders"] if order["leg"] == leg]

    def ref(self, execution_id: int, leg: str) -> str:
        """Return the name of the execution's one order of a kind."""
        (order,) = self.legs(execution_id, leg)
        name: str = order["order_ref"]
        return name

    def placed(self, execution_id: int) -> list[dict[str, Any]]:
        """Return the execution's orders in the broker's book, in placing order."""
        refs = refs_of(self.read(execution_id))
        return [order for order in self.broker.control.orders() if order["order_ref"] in refs]

    def live_stops(self, execution_id: int) -> list[dict[str, Any]]:
        """Return the stops of the execution that work at the broker."""
        return [order for order in self.placed(execution_id) if order["live"] and order["order_type"] == "STP"]

    def becomes(self, execution_id: int, status: str) -> dict[str, Any]:
        """Wait for a status of the execution, and return it as read."""

        def there() -> dict[str, Any]:
            execution = self.read(execution_id)
            assert execution["status"] == status, execution
            return execution

        return eventually(there, seconds_max=45)

    def agrees(self, execution_id: int) -> dict[str, Any]:
        """Wait until our rows are the broker's book: orders, states, and each deal once, with its time and cost."""

        def same() -> dict[str, Any]:
            book, execution = self.broker.control.state(), self.read(execution_id)
            refs = refs_of(execution)
            assert_same_orders(execution, [order for order in book["orders"] if order["order_ref"] in refs])
            assert_same_deals(execution, book["executions"])
            return execution

        return eventually(same, seconds_max=45)

    def working(self, **changes: Any) -> int:
        """Return an execution whose entry waits at the broker for its price, all of it in the rows."""
        execution_id = self.request(**(LIMIT | changes))
        self.becomes(execution_id, "WORKING")
        self.agrees(execution_id)
        return execution_id

    def held(self, **changes: Any) -> int:
        """Return an execution that holds its shares behind a live stop, all of it in the rows."""
        execution_id = self.request(**changes)
        self.becomes(execution_id, "OPEN")
        self.agrees(execution_id)
        return execution_id

    def kill_worker(self) -> int:
        """Kill the broker worker with signal 9; return the fence that it held."""
        fence: int = self.connection("fence")
        self.stack.kill(WORKER)
        return fence

    def next_worker(self, *, after: int) -> None:
        """Wait for the worker that is started after the one with this fence: connected, reconciled, READY."""
        eventually(lambda: self.connection("fence") > after and self.connection("state") == "READY", seconds_max=60)

    def connection(self, column: str) -> Any:
        """Read a column of the connection's row."""
        return self.stack.rows(f"SELECT {column} FROM accounts_brokerconnection WHERE client_id = 1")[0][0]  # noqa: S608
