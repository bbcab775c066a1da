"""What a session keeps follows what is open: nothing known is handed on again, and the library keeps no books."""

import pytest

from app.brokers.ib import IBBroker, told
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import BrokerDesk, bracket, eventually

pytestmark = [pytest.mark.simulator_only, pytest.mark.case("T35")]


async def ask_for_everything(broker: IBBroker) -> int:
    """Return how many orders, deals and costs were told."""
    answers = [await broker.open_orders(), await broker.fills_since(), await broker.completed_orders()]
    return sum(len(answer) for answer in answers)


async def trade(desk: BrokerDesk, simulator: SimulatorProcess, name: str) -> None:
    """Open a position and have it stopped out."""
    stopped = f"{name}-stop"
    simulator.control.set_price("AAPL", "190")
    await desk.broker.place_bracket(bracket(name, target_price="210"))
    await eventually(lambda: "Submitted" in desk.heard.statuses(f"{name}-target"))
    simulator.control.set_price("AAPL", "175")
    await eventually(lambda: "Filled" in desk.heard.statuses(stopped))
    await eventually(lambda: "Cancelled" in desk.heard.statuses(f"{name}-target"))


async def test_what_is_known_is_answered_and_not_handed_on_again(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    await trade(desk, simulator, "first")
    simulator.control.set_price("AAPL", "190")
    await desk.broker.place_bracket(bracket("held"))
    await eventually(lambda: len(desk.heard.commissions()) == 3)
    first = await ask_for_everything(desk.broker)
    known = len(desk.heard.events)

    second, third = [await ask_for_everything(desk.broker) for _ in range(2)]

    assert (second, third) == (first, first)
    assert len(desk.heard.events) == known
    keys = [event.dedupe_key for event in desk.heard.events]
    assert len(keys) == len(set(keys))


async def test_orders_that_are_over_are_let_go_and_still_answered(
    desk: BrokerDesk, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "OVER_KEPT_MAX", 2)
    for number in range(4):
        await trade(desk, simulator, f"setup-{number}")
    await eventually(lambda: len(desk.heard.commissions()) == 8)
    await ask_for_everything(desk.broker)
    link = desk.broker._connection.require_link()
    await ask_for_everything(desk.broker)
    known = len(desk.heard.events)

    await ask_for_everything(desk.broker)

    assert len(desk.heard.events) == known
    session = link.told
    assert (len(session._over), len(session._orders)) == (2, 2)
    assert len(session._key_by_perm_id) <= 2
    assert (session._commissions, session._account_by_exec_id) == ({}, {})
    books = link.ib.wrapper
    assert [len(book) for book in (books.trades, books.permId2Trade, books.fills, books._results)] == [0, 0, 0, 0]
    # And what lives is known whole
    simulator.control.set_price("AAPL", "190")
    await desk.broker.place_bracket(bracket("held"))
    await eventually(lambda: "PreSubmitted" in desk.heard.statuses("held-stop"))
    assert [order.told.order_ref for order in await desk.broker.open_orders()] == ["held-stop"]
