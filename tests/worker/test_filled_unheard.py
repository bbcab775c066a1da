"""A stop fills while nobody listens, and the day is over, in a shared account and in our own: the real processes."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from app.core import clock
from ib_simulator.process import running_simulator
from tests.broker_proxy import BrokerProxy
from tests.eventually import eventually
from tests.running_stack import running_stack
from tests.worker.conftest import ACCOUNT
from tests.worker.desk import PRICE, Desk

pytestmark = [pytest.mark.slow, pytest.mark.case("T21")]

A_DAY = 86_400


@pytest.fixture
def desk(tmp_path: Path, account_use: str) -> Iterator[Desk]:
    """A stack of its own: its Gateway's clock is set forward by a day."""
    with (
        running_simulator(seed=7, accounts=[ACCOUNT], state_dir=tmp_path / "book", tick_seconds=0) as broker,
        BrokerProxy(host=broker.host, port=broker.port) as wire,
    ):
        gateway = {"IB_HOST": "127.0.0.1", "IB_PORT": str(wire.port), "IB_ACCOUNT": ACCOUNT}
        with running_stack(tmp_path / "stack", environment=gateway | {"ACCOUNT_USE": account_use}) as stack:
            broker.control.set_price("AAPL", PRICE)
            yield Desk(stack=stack, broker=broker, wire=wire)


def filled_unheard(desk: Desk) -> int:
    """Return an execution whose stop filled at 99 while no one was connected, a day ago."""
    execution_id = desk.held()
    control = desk.broker.control
    control.refuse_connections()
    control.drop_connections()
    eventually(lambda: desk.connection("state") in ("DISCONNECTED", "CONNECTING"), seconds_max=45)
    control.set_price("AAPL", "99")
    eventually(lambda: not desk.live_stops(execution_id), seconds_max=45)
    control.advance_clock(A_DAY)
    control.set_price("AAPL", PRICE)
    control.accept_connections()
    return execution_id


def cancels_of(desk: Desk, execution_id: int) -> list[str]:
    return [one["settled_how"] for one in desk.read(execution_id)["commands"] if one["kind"] == "CANCEL"]


@pytest.mark.parametrize("account_use", ["EXCLUSIVE"])
def test_in_an_account_of_our_own_it_is_settled_by_evidence(desk: Desk) -> None:
    execution_id = filled_unheard(desk)
    closed = desk.becomes(execution_id, "CLOSED")
    assert (closed["exit_reason"], closed["open_quantity"]) == ("EXTERNAL", "0")
    assert cancels_of(desk, execution_id) == ["order_cancelled"], "one, and nothing is repeated"
    assert not any(order["live"] for order in desk.broker.control.orders())


@pytest.mark.parametrize("account_use", ["SHARED"])
def test_in_a_shared_account_a_person_enters_the_deal(desk: Desk) -> None:
    execution_id = filled_unheard(desk)

    def asked() -> str:
        text: str = desk.read(execution_id)["attention"]
        assert "enter its deal, or say that the shares were closed elsewhere" in text
        assert "no deal explains the difference" in text
        return text

    eventually(asked, seconds_max=90)
    assert desk.read(execution_id)["status"] == "OPEN"
    deal = {"act": "enter_fill", "order_ref": desk.ref(execution_id, "STOP_LOSS"), "quantity": "10", "price": "99.00"}
    deal |= {"executed_at": clock.now().isoformat()}
    path = f"/api/v1/executions/{execution_id}/resolve/"
    seen = desk.stack.api.post(path, deal | {"dry_run": True})
    assert (seen.status, seen.body["open_after"]) == (200, "0")
    assert desk.stack.api.post(path, deal | {"facts": seen.body["facts"]}).status == 202
    closed = desk.becomes(execution_id, "CLOSED")
    assert (closed["exit_reason"], Decimal(closed["fills"][-1]["price"])) == ("STOP_LOSS", 99)
    assert cancels_of(desk, execution_id) == []
