"""The kill switch with flatten, through the real processes: it closes what the account holds of ours, once, no more."""

import time
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.domain.close import CLOSES_MAX
from app.executions.services.exposure import LAG
from tests.eventually import eventually
from tests.worker.desk import PRICE, Desk
from tests.worker.test_closed_elsewhere import live_orders, position
from tests.worker.test_operations_stack import kill_switch

pytestmark = pytest.mark.slow

# How long nobody may undo what another one has done: the guard and the close look every second.
STAYS_SECONDS = 12
CLOSED = "Order rejected - reason:Exchange is closed."


@pytest.fixture
def released(desk: Desk) -> Iterator[None]:
    """Prices where the tests begin, a user who may engage, and no switch engaged after them."""
    for symbol in ("NVDA", "TSLA"):
        desk.broker.control.set_price(symbol, PRICE)
    may = "INSERT INTO auth_user_groups (user_id, group_id) SELECT u.id, g.id FROM auth_user u, auth_group g "
    named = "WHERE u.username = %s AND g.name = 'trader' ON CONFLICT DO NOTHING"
    desk.stack.execute(may + named, desk.stack.up["username"])
    yield
    desk.broker.control.clear_faults()
    if desk.stack.api.get("/api/v1/kill-switch/").body["engaged"]:
        kill_switch(desk.stack, "release", "--reason", "over")


def flatten(desk: Desk) -> None:
    """Engage at once, before anything else has been judged."""
    answer = desk.stack.api.post("/api/v1/kill-switch/", {"reason": "news", "flatten": True})
    assert answer.status == 200, answer


def passes(seconds: float) -> None:
    """Wait until so much time has passed."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until, seconds_max=seconds * 2)


def sold_by_us(desk: Desk, execution_id: int) -> Decimal:
    """Return how many shares our orders of the execution sold, by the simulator's own book."""
    refs = {order["order_ref"] for order in desk.placed(execution_id) if order["action"] == "SELL"}
    deals = [deal for deal in desk.broker.control.state()["executions"] if deal["order_ref"] in refs]
    return sum((Decimal(deal["quantity"]) for deal in deals), Decimal(0))


@pytest.mark.case("T3")
@pytest.mark.usefixtures("released")
def test_flatten_closes_no_more_than_the_account_holds(desk: Desk) -> None:
    # Given ten shares of two symbols, of which all, and six, are sold in TWS
    held = {symbol: position(desk, symbol) for symbol in ("NVDA", "TSLA")}
    executions = {symbol: desk.held(symbol=symbol) for symbol in ("NVDA", "TSLA")}
    for symbol, quantity in (("NVDA", 10), ("TSLA", 6)):
        desk.broker.control.place_external(symbol=symbol, action="SELL", quantity=quantity, order_type="MKT")
    # When everything is to be closed in the same moment
    flatten(desk)
    # Then nothing and four are sold, and the account is as it was before any of it
    closed = {symbol: desk.becomes(pk, "CLOSED") for symbol, pk in executions.items()}
    assert {symbol: sold_by_us(desk, pk) for symbol, pk in executions.items()} == {"NVDA": 0, "TSLA": 4}
    assert {symbol: position(desk, symbol) for symbol in executions} == held
    assert (closed["NVDA"]["exit_reason"], closed["TSLA"]["exit_reason"]) == ("EXTERNAL", "CLOSE+EXTERNAL")
    assert all("closed elsewhere" in execution["attention"] for execution in closed.values())
    assert [live_orders(desk, pk) for pk in executions.values()] == [[], []]


@pytest.mark.case("T3")
@pytest.mark.usefixtures("released")
def test_flatten_waits_where_no_deal_explains_what_is_missing(desk: Desk) -> None:
    # Given ten shares that the account does not show, for no reason that the broker tells
    before = position(desk, "NVDA")
    execution_id = desk.held(symbol="NVDA")
    passes(LAG.total_seconds() + 1)  # Until then a report without them would only lag their purchase.
    desk.broker.control.set_position(symbol="NVDA", quantity=str(before))
    flatten(desk)
    # Then a person is told that closing waits, and nothing is sold
    eventually(lambda: "it is to be closed and waits" in desk.read(execution_id)["attention"], seconds_max=60)
    assert (sold_by_us(desk, execution_id), position(desk, "NVDA")) == (0, before)
    # And once the account shows them, they are closed
    desk.broker.control.set_position(symbol="NVDA", quantity=str(before + 10))
    eventually(lambda: desk.read(execution_id)["status"] == "CLOSED", seconds_max=90)
    assert (sold_by_us(desk, execution_id), position(desk, "NVDA")) == (10, before)


@pytest.mark.case("T25")
@pytest.mark.usefixtures("released")
def test_when_every_close_is_refused_the_guards_stop_stays(desk: Desk) -> None:
    # Given a Gateway that refuses each order to close
    execution_id = desk.held(symbol="NVDA")
    desk.broker.control.reject_next(code=201, text=CLOSED, order_type="MKT", count=CLOSES_MAX)
    kill_switch(desk.stack, "engage", "--reason", "news", "--flatten")
    # When the last one is refused, a person is told, and the guard places a stop
    failed = f"{CLOSES_MAX} orders to close 10 shares failed"
    eventually(lambda: failed in desk.read(execution_id)["attention"], seconds_max=60)
    (stop,) = eventually(lambda: desk.live_stops(execution_id), seconds_max=45)
    # Then nobody undoes that, with the switch engaged and after it was released
    for engaged in (True, False):
        passes(STAYS_SECONDS)
        assert [one["order_ref"] for one in desk.live_stops(execution_id)] == [stop["order_ref"]]
        assert [order["status"] for order in desk.legs(execution_id, "CLOSE")] == ["REJECTED"] * CLOSES_MAX
        if engaged:
            kill_switch(desk.stack, "release", "--reason", "over")
    # And a person may have it closed again
    path = f"/api/v1/executions/{execution_id}/close/"
    asked = desk.stack.api.post(path, {"fraction": "1"}, Idempotency_Key=str(uuid.uuid4()))
    assert asked.status == 202, asked
    desk.becomes(execution_id, "CLOSED")
    assert sold_by_us(desk, execution_id) == 10
