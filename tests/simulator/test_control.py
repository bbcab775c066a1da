"""The control port's commands, and lines that are none."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_simulator.argument_names import ARGUMENT_NAMES
from ib_simulator.client import SimulatorControl
from ib_simulator.commands import COMMANDS
from ib_simulator.control import execute, too_long
from tests.simulator.joined import JoinedClient, Table, limit, market


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


# --- lines that are no commands ------------------------------------------------------------------------------


@pytest.mark.case("S69")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "bad_json"),
        (b"hello\n", "bad_json"),
        (b"[1]\n", "bad_json"),
        (b"\xff\xfe\n", "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b"{}", "unknown_command"),
        (b'{"cmd":"nothing"}', "unknown_command"),
        (b'{"cmd":["state"]}', "unknown_command"),
        (b'{"cmd":"set_price"}', "missing_argument"),
        (b'{"cmd":"fill","order_id":1,"quantitiy":"1"}', "unknown_argument"),
        (b'{"cmd":"state","all":true}', "unknown_argument"),
        (b'{"cmd":"cancel_order","order_id":1,"":null}', "unknown_argument"),
        (b'{"cmd":"fill","order_id":1,"order_id":1}', "repeated_argument"),
        (b'{"cmd":"state","cmd":"shutdown"}', "repeated_argument"),
        (b'{"cmd":"fill","order_id":1,"quantity":{"a":1,"a":2}}', "repeated_argument"),
        (b'{"cmd":"set_price","symbol":"NOSUCH","price":"1"}', "unknown_symbol"),
        (b'{"cmd":"set_price","symbol":"AAPL","price":"1.001"}', "bad_value"),
        (b'{"cmd":"set_price","symbol":"AAPL","price":"-1"}', "bad_value"),
        (b'{"cmd":"set_price","symbol":"AAPL","price":"NaN"}', "bad_value"),
        (b'{"cmd":"set_price","symbol":"AAPL","price":true}', "bad_value"),
        (b'{"cmd":"set_price","symbol":7,"price":"1"}', "bad_value"),
        (b'{"cmd":"step","n":"3"}', "bad_value"),
        (b'{"cmd":"step","n":0}', "bad_value"),
        (b'{"cmd":"fill"}', "missing_argument"),
        (b'{"cmd":"fill","order_id":99}', "unknown_order"),
        (b'{"cmd":"fill","order_id":1,"quantity":""}', "bad_value"),
        (b'{"cmd":"fill","order_id":1,"quantity":"11"}', "bad_value"),
        (b'{"cmd":"cancel_order","order_ref":"x"}', "unknown_order"),
        (b'{"cmd":"modify_order","order_ref":"x"}', "unknown_order"),
        (b'{"cmd":"modify_order","order_id":1,"quantity":0}', "bad_value"),
        (b'{"cmd":"modify_order","order_id":1,"quantity":"1.5"}', "refused"),
        (b'{"cmd":"modify_order","order_id":1,"limit_price":"1.001"}', "refused"),
        (b'{"cmd":"modify_order","order_id":1,"stop_price":"140"}', "refused"),
        (b'{"cmd":"set_switch","name":"x","value":"y"}', "unknown_switch"),
        (b'{"cmd":"set_switch","name":"fill_sequence","value":"y"}', "bad_value"),
        (b'{"cmd":"set_position","account":"U1","symbol":"AAPL","quantity":"1"}', "unknown_account"),
        (b'{"cmd":"place_external","symbol":"AAPL","action":"BUY","quantity":"1","order_type":"MAGIC"}', "refused"),
        (b'{"cmd":"roll_back_next_id","by":0}', "bad_value"),
        (b'{"cmd":"mute","messages":"orderStatus"}', "bad_value"),
    ],
)
def test_a_wrong_line_says_why_and_changes_nothing(table: Table, client: JoinedClient, line: bytes, code: str) -> None:
    client.place(limit("BUY", 10, 150))
    before = table.control("state")

    reply = execute(table.gateway, line)

    answer = json.loads(reply.line)
    assert (answer["ok"], answer["code"]) == (False, code)
    assert answer["message"]
    assert (reply.shutdown, reply.hang_up) == (False, code == "bad_json")
    assert table.control("state") == before


def test_a_line_that_is_too_long_says_so() -> None:
    reply = too_long()
    assert (json.loads(reply.line)["code"], reply.hang_up) == ("bad_json", True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_ARGUMENTS = st.dictionaries(
    st.sampled_from(
        ["symbol", "price", "order_id", "quantity", "n", "by", "messages", "name", "value", "code", "action"]
    ),
    _JSON | st.sampled_from(["AAPL", "1", "10", "BUY"]),
)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(set(COMMANDS) - {"step"})), _ARGUMENTS)
def test_any_arguments_are_answered(name: str, arguments: dict[str, Any]) -> None:
    table = Table()
    table.connect().place(limit("BUY", 10, 150))

    answer = json.loads(execute(table.gateway, json.dumps({**arguments, "cmd": name}).encode()).line)

    assert answer["ok"] in {True, False}
    assert answer["ok"] or answer["code"]


def test_every_command_has_a_method_of_the_python_client() -> None:
    assert [name for name in COMMANDS if not callable(getattr(SimulatorControl, name, None))] == []


# --- prices and fills ----------------------------------------------------------------------------------------


def test_a_pinned_price_stays_until_it_is_released(table: Table) -> None:
    assert table.control("step", n=5)["prices"]["AAPL"] == "190.00"

    table.control("release_price", symbol="AAPL")
    moved = {table.control("step", n=1)["prices"]["AAPL"] for _ in range(10)}
    assert len(moved) > 1


def test_paused_fills_wait_for_the_market_but_not_for_the_command(table: Table, client: JoinedClient) -> None:
    table.control("pause_fills")
    client.place(market("BUY", 10))
    assert table.orders()[0]["filled"] == "0"

    answer = table.control("fill", order_id=1, quantity=3, price="191")
    assert (answer["order"]["filled"], answer["order"]["average_price"]) == ("3", "191")
    table.control("resume_fills")

    assert table.orders()[0]["status"] == "Filled"
    prices = [execution["price"] for execution in table.control("state")["executions"]]
    assert prices == ["191", "190.01"]


@pytest.mark.parametrize("key", ["order_id", "perm_id", "order_ref"])
def test_an_order_is_found_by_any_of_its_names(table: Table, client: JoinedClient, key: str) -> None:
    client.place(limit("BUY", 10, 150, orderRef="7-1-entry"))
    [order] = table.orders()

    assert table.control("fill", **{key: order[key]})["ok"]
    assert table.orders()[0]["average_price"] == "150"


def test_a_client_id_tells_equal_order_ids_apart(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 10, 150))
    table.connect(client_id=2).place(limit("BUY", 20, 150))

    table.control("fill", order_id=1, client_id=1)

    assert [order["filled"] for order in table.orders()] == ["10", "0"]


@pytest.mark.parametrize("command", ["fill", "cancel_order", "modify_order"])
def test_a_finished_order_is_not_live(table: Table, client: JoinedClient, command: str) -> None:
    client.place(market("BUY", 10))

    assert table.control(command, order_id=1)["code"] == "order_not_live"


def test_a_manual_order_has_no_order_id(table: Table) -> None:
    zero = table.connect(client_id=0)

    order = table.control("place_external", symbol="AAPL", action="buy", quantity=10)["order"]

    assert (order["order_id"], order["client_id"], order["status"]) == (0, 0, "Filled")
    assert zero.order_news()[0] == "open 0 PreSubmitted 10"


# --- faults --------------------------------------------------------------------------------------------------


def test_muted_messages_are_lost(table: Table, client: JoinedClient) -> None:
    table.control("mute", messages=["orderStatus", "commissionReport"])
    client.place(market("BUY", 10))
    assert client.order_news() == ["open 1 PreSubmitted 10", "deal 1 BOT 10@190.01", "open 1 Filled 10"]

    table.control("unmute", messages=["commissionReport"])
    client.place(market("BUY", 10))
    assert [line.split()[0] for line in client.order_news()] == ["open", "deal", "open", "commission"]
    table.control("unmute")
    client.place(market("BUY", 10))
    assert len(client.order_news()) == 6


def test_muting_one_client_leaves_the_others_alone(table: Table, client: JoinedClient) -> None:
    other = table.connect(client_id=2)
    table.control("mute", client_id=1)

    for one in (client, other):
        one.api.reqCurrentTime()

    assert client.frames() == []
    assert len(other.frames()) == 1


def test_held_messages_come_late_and_as_they_were(table: Table, client: JoinedClient) -> None:
    table.control("hold_answers", messages=["execDetails", "openOrder"])
    client.place(market("BUY", 10))
    assert client.order_news() == ["status 1 PreSubmitted 0/10", "status 1 Filled 10/0", "commission 1"]

    table.control("release_answers", messages=["openOrder"])
    assert client.order_news() == ["open 1 PreSubmitted 10", "open 1 Filled 10"]
    table.control("release_answers")
    assert client.order_news() == ["deal 1 BOT 10@190.01"]


def test_dropped_connections_are_closed_and_their_client_id_is_free(table: Table, client: JoinedClient) -> None:
    other = table.connect(client_id=2)

    assert table.control("drop_connections", client_id=1)["dropped"] == 1

    assert (client.session.closing, other.session.closing) == (True, False)
    table.connect(client_id=1)
    assert table.control("drop_connections")["dropped"] == 2


def test_an_error_is_sent_to_one_or_all(table: Table, client: JoinedClient) -> None:
    other = table.connect(client_id=2)

    assert table.control("send_error", code=1100, text="Connectivity lost")["told"] == 2
    assert table.control("send_error", id=7, code=2102, text="busy", client_id=2)["told"] == 1

    assert client.order_news() == ["error -1 1100"]
    assert other.order_news() == ["error -1 1100", "error 7 2102"]


def test_connections_are_refused_until_accepted(table: Table) -> None:
    table.control("refuse_connections")
    assert table.control("state")["accepting"] is False
    table.control("accept_connections")
    assert table.control("state")["accepting"] is True


# --- looking -------------------------------------------------------------------------------------------------


def test_messages_show_what_was_sent_in_order_also_after_a_drop(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10, transmit=False, orderRef="a"))
    client.place(market("BUY", 10, orderRef="b"))
    table.control("drop_connections")
    table.connect(client_id=2).api.reqIds(1)

    found = table.control("messages")["messages"]

    assert [(message["name"], message["client_id"]) for message in found] == [
        ("startApi", None),
        ("placeOrder", 1),
        ("placeOrder", 1),
        ("startApi", None),
        ("reqIds", 2),
    ]
    assert [message["fields"][1] for message in found[1:3]] == ["1", "2"]
    assert [message["received_ms"] for message in found] == sorted(message["received_ms"] for message in found)
    assert found[0]["received_at"].startswith("2026-01-07T15:00:00")
    assert len(table.control("messages", name="placeOrder", limit=1)["messages"]) == 1
    assert [m["name"] for m in table.control("messages", client_id=2)["messages"]] == ["reqIds"]
    assert table.control("messages", limit=0)["messages"] == []


def test_the_state_is_the_whole_book(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10, orderRef="7-1-entry"))

    state = table.control("state")

    assert set(state) >= {
        *("ok", "accounts", "connections", "orders", "executions", "positions", "prices", "fills_paused", "switches"),
    }
    assert state["connections"] == [{"client_id": 1, "server_version": 178, "connection": 1}]
    assert state["positions"] == [
        {"account": "DU1234567", "symbol": "AAPL", "quantity": "10", "average_cost": "190.11"}
    ]
    [execution] = state["executions"]
    assert execution["exec_id"].count(".") == 3
    assert (execution["side"], execution["commission"], execution["realized_pnl"]) == ("BOT", "1.0000", None)
    assert state["prices"]["AAPL"] == "190.00"
    assert state["orders"][0]["order_ref"] == "7-1-entry"


def test_a_position_can_be_set(table: Table, client: JoinedClient) -> None:
    client.api.reqPositions()
    client.read()

    table.control("set_position", symbol="AAPL", quantity="-5", average_cost="180")
    table.control("set_position", symbol="MSFT", quantity="5")

    told = [call.arguments for call in client.read()]
    assert [(one[1].symbol, one[2], one[3] > 0) for one in told] == [("AAPL", -5, True), ("MSFT", 5, True)]


def test_a_position_of_an_option_can_be_set_by_its_local_symbol(table: Table, client: JoinedClient) -> None:
    client.api.reqPositions()
    client.read()

    table.control("set_position", symbol="KO    300118C00064000", quantity="2", average_cost="150")

    told = [call.arguments for call in client.read()]
    assert [(one[1].localSymbol, one[1].secType, one[2]) for one in told] == [("KO    300118C00064000", "OPT", 2)]


def test_ping_answers_and_shutdown_ends() -> None:
    table = Table()
    assert table.control("ping") == {"ok": True}
    assert execute(table.gateway, b'{"cmd":"shutdown"}').shutdown


@pytest.mark.case("S69")
def test_the_arguments_of_every_command_are_those_of_the_document() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text()
    text = text[text.index("## Control commands") :]
    rows = re.findall(r"^\| (`[^|]*) \|([^|]*)\|", text[: text.index("\n## ", 3)], re.MULTILINE)
    order = {"order_id", "perm_id", "order_ref", "client_id"}
    documented = {
        name: set(re.findall(r"`(\w+)`", takes)) | (order if "an order" in takes else set())
        for commands, takes in rows
        for name in re.findall(r"`(\w+)`", commands)
        if name in COMMANDS
    }
    assert documented == {name: set(names) for name, names in ARGUMENT_NAMES.items()}
    assert set(ARGUMENT_NAMES) == set(COMMANDS)
