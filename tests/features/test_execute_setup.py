"""Steps of execute_setup.feature: an analyst's script on the REST API, and the simulator's book as the judge."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from pytest_bdd import given, parsers, scenarios, then, when

from ib_simulator.client import SimulatorControl
from tests.admin_site import AdminSite
from tests.eventually import eventually
from tests.running_stack import Answer, Api, RunningStack
from tests.same_book import assert_same_deals, assert_same_orders, refs_of

pytestmark = pytest.mark.slow
scenarios("execute_setup.feature")


@dataclass
class Story:
    """What a scenario has done so far."""

    body: dict[str, Any] = field(default_factory=dict)
    setup: int = 0
    answers: list[Answer] = field(default_factory=list)

    @property
    def execution(self) -> dict[str, Any]:
        """The last answered execution."""
        answered: dict[str, Any] = self.answers[-1].body
        return answered


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def book(stack: RunningStack) -> Any:
    with stack.simulator() as control:
        yield control
        control.resume_fills()


def orders_of(book: SimulatorControl, execution: dict[str, Any]) -> list[dict[str, Any]]:
    refs = refs_of(execution)
    return [order for order in book.orders() if order["order_ref"] in refs]


def read(stack: RunningStack, story: Story) -> dict[str, Any]:
    answer = stack.api.get(f"/api/v1/executions/{story.execution['id']}/")
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    return body


def execute(stack: RunningStack, story: Story, *, key: str, **headers: str) -> None:
    answer = stack.api.post(f"/api/v1/setups/{story.setup}/execute/", Idempotency_Key=key, **headers)
    assert answer.status in (200, 202), answer
    story.answers.append(answer)


@given("the system is up")
def system_up(stack: RunningStack) -> None:
    stack.wait_ready()


@given(parsers.parse("AAPL trades at {price}"))
def trades_at(stack: RunningStack, book: SimulatorControl, price: str) -> None:
    book.set_price("AAPL", price)
    # The price the checks judge by is at most 30 s old; the scenarios need the one set here.
    stack.execute("UPDATE market_instrument SET last_price_at = NULL")


@given("fills are paused at the broker")
def fills_paused(book: SimulatorControl) -> None:
    book.pause_fills()


@given(parsers.parse('the broker refuses the next order with {code:d} "{text}"'))
def refuses_next(book: SimulatorControl, code: int, text: str) -> None:
    book.reject_next(code=code, text=text)


@given(parsers.re(r"a LONG market setup for (?P<quantity>\d+) AAPL with its stop at (?P<stop>[\d.]+)(?P<more>.*)"))
def market_setup(stack: RunningStack, story: Story, quantity: str, stop: str, more: str) -> None:
    story.body = {
        "symbol": "AAPL",
        "side": "LONG",
        "entry_type": "MARKET",
        "stop_price": stop,
        "quantity": quantity,
    }
    if within := re.search(r"filled within (\d+) seconds", more):
        story.body["entry_timeout_seconds"] = int(within[1])
    if targets := re.search(r"targets at ([\d.]+) and ([\d.]+)", more):
        story.body["take_profits"] = [{"price": price, "fraction": "0.5"} for price in targets.groups()]
    answer = stack.api.post("/api/v1/setups/", story.body)
    assert answer.status == 201, answer
    story.setup = answer.body["id"]


@when("the analyst executes it and waits")
def executes_and_waits(stack: RunningStack, story: Story) -> None:
    execute(stack, story, key=str(uuid.uuid4()), Prefer="wait=30")
    assert story.answers[-1].status == 200, story.answers[-1]


@when("the analyst executes it")
def executes(stack: RunningStack, story: Story) -> None:
    execute(stack, story, key=str(uuid.uuid4()))
    assert story.answers[-1].status == 202


@when("the analyst executes it twice with the same key")
def executes_twice(stack: RunningStack, story: Story) -> None:
    key = str(uuid.uuid4())
    execute(stack, story, key=key, Prefer="wait=30")
    execute(stack, story, key=key, Prefer="wait=30")


@when("ten scripts execute it at once with the same key")
def executes_at_once(stack: RunningStack, story: Story) -> None:
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(10) as pool:
        for done in [pool.submit(execute, stack, story, key=key, Prefer="wait=30") for _ in range(10)]:
            done.result()


@when(parsers.re(r"AAPL (falls|rises) to (?P<price>[\d.]+)"))
def moves_to(book: SimulatorControl, price: str) -> None:
    book.set_price("AAPL", price)


@when(parsers.re(r"a script posts a setup with (?P<name>\w+) set to (?P<value>\S+)"))
def posts_wrong(stack: RunningStack, story: Story, name: str, value: str) -> None:
    body = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "185.00", "quantity": "10"}
    story.answers.append(stack.api.post("/api/v1/setups/", body | {name: value}))


@when("a script without a token asks for the setups")
def asks_without_token(stack: RunningStack, story: Story) -> None:
    story.answers.append(Api(url=stack.up["url"], token="").get("/api/v1/setups/"))


@then(parsers.parse("the answer is {status:d} with the code {code}"))
def answer_is(story: Story, status: int, code: str) -> None:
    answer = story.answers[-1]
    assert (answer.status, answer.body["code"]) == (status, code), answer
    assert set(answer.body) == {"code", "message", "details"}


@then("the answer has a reference like IB-<entry>:<stop>")
def has_reference(story: Story) -> None:
    ids = {order["leg"]: order["order_id"] for order in story.execution["brackets"][0]["orders"]}
    assert story.execution["reference"] == f"IB-{ids['ENTRY']}:{ids['STOP_LOSS']}"


@then("both answers name the same execution")
def same_execution(story: Story) -> None:
    assert len(story.answers) >= 2
    assert len({answer.body["id"] for answer in story.answers}) == 1


@then("the broker's book has exactly one entry and one stop for it")
def one_entry_one_stop(stack: RunningStack, story: Story, book: SimulatorControl) -> None:
    placed = orders_of(book, read(stack, story))
    assert sorted(order["order_type"] for order in placed) == ["MKT", "STP"], placed
    entry, stop = sorted(placed, key=lambda order: order["order_type"])
    assert stop["parent_id"] == entry["order_id"]
    # No order of ours stands in the book under any other name.
    mine = stack.rows("SELECT order_ref FROM executions_order")
    strangers = {order["order_ref"] for order in book.orders()} - {ref for (ref,) in mine}
    assert not strangers


@then(parsers.parse("the stop is a live child of the entry for {quantity} shares at {price}"))
def stop_is_live(stack: RunningStack, story: Story, book: SimulatorControl, quantity: str, price: str) -> None:
    entry, stop = sorted(orders_of(book, read(stack, story)), key=lambda order: order["order_type"])
    assert entry["status"] == "Filled"
    assert (stop["live"], stop["status"], stop["why_held"]) == (True, "PreSubmitted", "trigger")
    assert (stop["parent_id"], Decimal(stop["remaining"])) == (entry["order_id"], Decimal(quantity))
    assert Decimal(stop["stop_price"]) == Decimal(price)


@then("the broker's book has no live order for it")
def nothing_live(stack: RunningStack, story: Story, book: SimulatorControl) -> None:
    eventually(lambda: not [order for order in orders_of(book, read(stack, story)) if order["live"]])


@then(parsers.parse("the execution ends {status} because of {reason}"))
def ends(stack: RunningStack, story: Story, status: str, reason: str) -> None:
    def ended() -> bool:
        execution = read(stack, story)
        assert execution["status"] == status, execution
        return reason in (execution["reason_code"], execution["exit_reason"])

    eventually(ended)


@then(parsers.parse("the entry shows the broker's code {code:d}"))
def entry_shows(stack: RunningStack, story: Story, code: int) -> None:
    entry = read(stack, story)["brackets"][0]["orders"][0]
    assert entry["leg"] == "ENTRY"
    assert entry["last_error"]["code"] == code


@then("every filled share has a live stop and a live target at the broker")
def all_protected(stack: RunningStack, story: Story, book: SimulatorControl) -> None:
    live = [order for order in orders_of(book, read(stack, story)) if order["live"]]
    for kind in ("STP", "LMT"):
        assert sum(Decimal(order["remaining"]) for order in live if order["order_type"] == kind) == 10


@then(parsers.parse("{held:d} shares are open and {stopped:d} are stopped at the broker"))
def open_and_stopped(stack: RunningStack, story: Story, book: SimulatorControl, held: int, stopped: int) -> None:
    def settled() -> bool:
        assert Decimal(read(stack, story)["open_quantity"]) == held
        live = [order for order in orders_of(book, read(stack, story)) if order["live"]]
        return sum(Decimal(order["remaining"]) for order in live if order["order_type"] == "STP") == stopped

    eventually(settled)


@then("the API, the admin and the broker's book show the same orders, fills and commissions")
def all_agree(stack: RunningStack, story: Story, book: SimulatorControl) -> None:
    def agree() -> bool:
        execution = read(stack, story)
        assert_same_orders(execution, orders_of(book, execution))
        assert_same_deals(execution, book.state()["executions"])
        return True

    eventually(agree)
    execution = read(stack, story)
    page = AdminSite(stack.up).execution_page(execution["id"])
    for bracket in execution["brackets"]:
        for order in bracket["orders"]:
            assert order["order_ref"] in page
            assert str(order["perm_id"]) in page
    for fill in execution["fills"]:
        assert fill["exec_id"] in page
