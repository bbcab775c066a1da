"""What a Gateway says oddly: the parts that nobody needs cost nothing, and what is needed is heard."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.base import ConnectionState
from app.core.errors import FixRequest
from app.domain.broker_events import DealUnreadable, FillTold
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import BrokerDesk, bracket, eventually
from tests.integration.scripted_peer import ScriptedPeer, frame
from tests.integration.test_ib_connection_loss_integration import settings_for
from tests.permits import PermitOf

pytestmark = pytest.mark.simulator_only

OURS, OTHER = 1, 77


def deal(*, time: str = "20261120 10:00:00 UTC", client_id: int = OURS, order_id: int = 7, **odd: str) -> list[object]:
    """Return a deal's message; `odd` are figures to say instead: strike, liquidation, filled, average, multiplier."""
    return [
        *(11, -1, order_id, 265598, "AAPL", "STK", "", odd.get("strike", "0"), "", "", "SMART", "USD", "AAPL", "NMS"),
        *("0000e0d5.01.01", time, "DU1234567", "NYSE", "BOT", 10, 189.5, 12, client_id),
        *(odd.get("liquidation", "0"), odd.get("filled", "10"), odd.get("average", "189.5"), "ref"),
        *("", odd.get("multiplier", ""), "", odd.get("liquidity", "2"), 0),
    ]


async def heard(desk: BrokerDesk) -> FillTold:
    await eventually(lambda: desk.heard.events)
    (fill,) = desk.heard.events
    assert isinstance(fill, FillTold)
    return fill


@pytest.mark.case("T5")
async def test_a_deal_whose_time_cannot_be_read_counts() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        before = datetime.now(UTC)
        peer.say(*deal(time="20261127 07:29:51 JST"))
        fill = await heard(desk)
    assert (fill.quantity, fill.price, fill.unreadable_time) == (10, Decimal("189.5"), "20261127 07:29:51 JST")
    assert fill.executed_at == fill.received_at >= before
    assert [state for state, _reason in desk.heard.states if state is ConnectionState.DEGRADED] == []


@pytest.mark.case("T5")
@pytest.mark.parametrize("figure", ["strike", "liquidation", "filled", "average", "multiplier", "liquidity"])
async def test_a_deal_s_figure_that_nobody_needs_costs_nothing(figure: str) -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.say(*deal(**{figure: "many"}))
        fill = await heard(desk)
    assert (fill.quantity, fill.executed_at) == (10, datetime(2026, 11, 20, 10, tzinfo=UTC))


@pytest.mark.case("T6")
async def test_a_time_without_a_zone_is_of_the_gateway_s_zone() -> None:
    async with ScriptedPeer(clock="20200101 03:11:00 EST") as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.say(*deal(time="20261120  10:00:00"))
        fill = await heard(desk)
    assert fill.executed_at == datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.mark.case("T15")
async def test_an_order_id_of_others_at_the_end_of_all_numbers_is_not_followed() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.say(*deal(client_id=OTHER, order_id=2_147_483_640))
        await heard(desk)
        placed = await desk.broker.place_bracket(bracket("setup"))
    assert max(placed.order_ids.values()) < 100


@pytest.mark.case("T15")
async def test_no_order_takes_an_id_beyond_the_last_one() -> None:
    greeting = (frame(15, 1, "DU1234567"), frame(9, 1, 2_147_483_646))
    async with ScriptedPeer(instead_of_greeting=greeting) as peer, BrokerDesk(settings_for(peer)) as desk:
        stored: list[object] = []
        with pytest.raises(FixRequest) as refused:
            await desk.broker.place_bracket(bracket("setup"), permit=PermitOf(stored.append))
        assert refused.value.code == "order_ids_used_up"
        assert stored == []
        assert [message for message in peer.received if message[0] == "3"] == []


@pytest.mark.case("T14")
async def test_a_gateway_that_says_so_while_it_greets_us_is_degraded() -> None:
    greeting = (frame(4, 2, -1, 2110, "broken", ""), frame(15, 1, "DU1234567"), frame(9, 1, 1))
    async with ScriptedPeer(instead_of_greeting=greeting) as peer, BrokerDesk(settings_for(peer)) as desk:
        assert desk.broker.state is ConnectionState.DEGRADED
        # Answers from its memory would prove nothing.
        assert await desk.broker.recover() is False
        peer.say(4, 2, -1, 1102, "restored", "")
        await eventually(lambda: desk.broker.state is ConnectionState.READY)


@pytest.mark.case("T37")
@pytest.mark.parametrize(
    ("field", "text"), [("shares", "some"), ("price", "1.7976931348623157E308"), ("side", "?"), ("permId", "x")]
)
async def test_a_deal_that_no_answer_can_tell_is_noted_once_and_costs_no_answer(
    desk: BrokerDesk, simulator: SimulatorProcess, field: str, text: str
) -> None:
    # Given a Gateway whose word on every deal lacks what is needed
    simulator.control.garble(["execDetails"], field=field, text=text)
    await desk.broker.place_bracket(bracket("setup"))
    # When it is heard, everything is asked for
    await eventually(lambda: desk.broker.state is ConnectionState.DEGRADED)
    assert await desk.broker.recover()
    # Then the connection is left as it was, the deal is noted, and no later answer is spoiled by it
    assert desk.broker.state is ConnectionState.READY
    for _ in range(2):
        assert await desk.broker.fills_since() == []
    assert desk.broker.state is ConnectionState.READY
    (unreadable,) = [event for event in desk.heard.events if isinstance(event, DealUnreadable)]
    assert (unreadable.order_ref, unreadable.symbol) == ("setup-entry", "AAPL")
    assert repr(text) in unreadable.evidence
    assert desk.heard.fills() == []


@pytest.mark.case("T37")
async def test_a_deal_that_is_known_to_be_unreadable_costs_nothing_when_it_is_told_again() -> None:
    spoilt = deal()[2:]
    spoilt[17] = "some"  # shares
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.answer("16", lambda _fields: [frame(53, 1)])
        peer.answer("99", lambda _fields: [frame(102)])
        peer.answer("7", lambda fields: [frame(11, fields[2], *spoilt), frame(55, 1, fields[2])])
        # Given a deal that was heard, and that the answer tells no better
        peer.say(11, -1, *spoilt)
        await eventually(lambda: desk.broker.state is ConnectionState.DEGRADED)
        assert await desk.broker.recover()
        # When it is told once more by itself
        peer.say(11, -1, *spoilt)
        peer.say(4, 2, 700, 98765, "Something after it", "")
        await eventually(desk.heard.messages)
        # Then nothing is asked for again
        assert desk.broker.state is ConnectionState.READY


@pytest.mark.case("T37")
@pytest.mark.parametrize(("field", "text"), [("commission", "some"), ("realizedPNL", "?")])
async def test_a_cost_that_cannot_be_read_costs_no_answer(
    desk: BrokerDesk, simulator: SimulatorProcess, field: str, text: str
) -> None:
    simulator.control.garble(["commissionReport"], field=field, text=text)
    await desk.broker.place_bracket(bracket("setup"))
    await eventually(desk.heard.fills)
    assert len(await desk.broker.fills_since()) == (1 if field == "commission" else 2)
    assert [state for state, _reason in desk.heard.states if state is ConnectionState.DEGRADED] == []


@pytest.mark.case("T17")
@pytest.mark.parametrize("text", ["1.7976931348623157E308", "nan"])
async def test_an_average_cost_that_is_no_number_costs_no_connection_and_no_answer(
    desk: BrokerDesk, simulator: SimulatorProcess, text: str
) -> None:
    # Given a position of somebody else whose average cost nobody can read, pushed and asked for
    simulator.control.garble(["position"], field="avgCost", text=text)
    simulator.control.place_external(symbol="KO", action="BUY", quantity=100)
    await eventually(desk.broker.positions_pushed_take)
    # Then what is held is told all the same
    (held,) = await desk.broker.positions()
    assert (held.contract.symbol, held.quantity, held.average_cost) == ("KO", 100, None)
    assert desk.broker.state is ConnectionState.READY
