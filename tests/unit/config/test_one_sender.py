"""Only one module calls what puts something on the broker's wire."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[3] / "backend" / "app"
SENDING_VERBS = frozenset({"place_bracket", "place_order", "modify_order", "cancel_order"})
# How the client library of Interactive Brokers puts orders, cancels and exercises on the wire.
CLIENT_VERBS = frozenset({"placeOrder", "cancelOrder", "reqGlobalCancel", "exerciseOptions"})
SENDER = "executions/services/commands_send.py"
# The connection of a worker is the broker of its services: it hands each verb on to the client library's loop.
HANDS_ON = "worker/broker_calls.py"


def calls_in(source: str) -> set[str]:
    """Return every use of a sending verb as `function.verb`: called, handed on to be called, or looked up by name."""
    return set(_uses(ast.parse(source), function=""))


def _uses(node: ast.AST, *, function: str) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
    if (name := _named(node)) in SENDING_VERBS:
        yield f"{function}.{name}"
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, function=function)


def _named(node: ast.AST) -> object:
    return node.attr if isinstance(node, ast.Attribute) else node.value if isinstance(node, ast.Constant) else None


def test_nothing_but_the_sender_calls_what_sends() -> None:
    # Given every module of the application but the adapters themselves
    modules = {path.relative_to(APP).as_posix(): path.read_text() for path in APP.rglob("*.py")}
    senders = {name: calls_in(text) for name, text in modules.items() if not name.startswith("brokers/")}
    used = {name: calls for name, calls in senders.items() if calls}
    # Then the worker's connection hands each verb on under its own name
    handed_on = used.pop(HANDS_ON)
    assert handed_on == {f"{verb}.{verb}" for verb in SENDING_VERBS}
    # And one module calls them, each of them
    assert set(used) == {SENDER}
    assert {call.partition(".")[2] for call in used[SENDER]} == SENDING_VERBS


def test_only_the_adapters_name_what_their_client_library_sends_with() -> None:
    # Whoever reached through a broker to its client would send past the sender
    modules = {path.relative_to(APP).as_posix(): ast.parse(path.read_text()) for path in APP.rglob("*.py")}
    named = {name for name, tree in modules.items() if any(_named(node) in CLIENT_VERBS for node in ast.walk(tree))}
    assert named == {"brokers/ib/broker.py"}


def test_the_sender_reads_and_writes_rows_only_through_its_outbox() -> None:
    # Another outbox must do without a database: the sender itself uses none
    tree = ast.parse((APP / SENDER).read_text())
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {module for module in modules if module.partition(".")[0] == "django"}
    assert not used & {"objects", "save", "filter", "update", "atomic", "refresh_from_db", "publish_on_commit"}
    assert not used & {"delete", "get_or_create", "create", "bulk_create", "bulk_update", "cursor", "execute"}


@pytest.mark.parametrize(
    "way",
    [
        "broker.cancel_order(1)",
        "call(broker.cancel_order, 1)",
        "verb = broker.cancel_order",
        "getattr(broker, 'cancel_order')(1)",
    ],
)
def test_each_way_to_use_a_verb_is_seen(way: str) -> None:
    assert calls_in(f"def close(broker):\n    {way}\n") == {"close.cancel_order"}
    assert calls_in(way) == {".cancel_order"}
