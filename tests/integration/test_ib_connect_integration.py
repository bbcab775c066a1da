"""How a connection begins: every way it can fail has its name, none hangs, and no live account is traded by mistake."""

import asyncio
import socket
import time
from dataclasses import replace

import pytest

from app.brokers.base import ConnectionState
from app.brokers.errors import (
    BrokerTimeout,
    ClientIdInUse,
    ConnectionRefused,
    LiveAccountRefused,
    NotConnected,
)
from app.brokers.ib import IBBroker, IBSettings
from app.core.errors import FixRequest
from app.domain.terms import OrderType
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import BrokerDesk, bracket, eventually
from tests.integration.scripted_peer import ScriptedPeer, frame

pytestmark = pytest.mark.simulator_only

READY, DEGRADED, DISCONNECTED = ConnectionState.READY, ConnectionState.DEGRADED, ConnectionState.DISCONNECTED


def settings_for(peer: ScriptedPeer) -> IBSettings:
    return IBSettings(
        host=peer.host,
        port=peer.port,
        connect_timeout_seconds=0.5,
        request_timeout_seconds=0.5,
        reconnect_pause_seconds=0.0,
    )


async def test_a_client_id_in_use_is_named_at_once(desk: BrokerDesk, broker_settings: IBSettings) -> None:
    # Given a connection that holds the client id
    started = time.monotonic()
    # When a second one asks for the same, then it is told so without waiting for the time limit
    with pytest.raises(ClientIdInUse) as raised:
        await IBBroker(broker_settings).connect()
    assert time.monotonic() - started < broker_settings.connect_timeout_seconds / 2
    assert raised.value.code == "client_id_in_use"
    assert "Client id 1" in raised.value.message
    # And the first one is not disturbed
    assert await desk.broker.ping()


async def test_a_port_where_nobody_listens_says_what_to_check() -> None:
    # Given a port that nobody listens on
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    heard: list[ConnectionState] = []
    broker = IBBroker(IBSettings(port=port), on_state=lambda state, _reason: heard.append(state))
    # When it is connected to
    with pytest.raises(ConnectionRefused) as raised:
        await broker.connect()
    # Then the message names the place and what to check
    for words in (f"127.0.0.1:{port}", "API is enabled", "4002", "7497", "trusted IPs"):
        assert words in raised.value.message
    assert heard == [ConnectionState.CONNECTING, DISCONNECTED]


async def test_a_silent_peer_is_a_timeout_not_a_hang() -> None:
    async with ScriptedPeer(server_version="") as peer:
        with pytest.raises(BrokerTimeout, match=r"did not answer in 0\.5 s"):
            await IBBroker(settings_for(peer)).connect()


async def test_a_peer_that_never_finishes_the_first_answer_is_a_timeout() -> None:
    async with ScriptedPeer(answer_positions=False) as peer:
        with pytest.raises(BrokerTimeout):
            await IBBroker(settings_for(peer)).connect()


async def test_a_peer_that_hangs_up_is_named_at_once() -> None:
    # Given a Gateway that does not trust this machine: it accepts and closes
    async with ScriptedPeer(hang_up=True) as peer:
        settings = replace(settings_for(peer), connect_timeout_seconds=30)
        with pytest.raises(ConnectionRefused, match="trusted IPs"):
            await asyncio.wait_for(IBBroker(settings).connect(), 5)


@pytest.mark.parametrize("version", ["100", "213"])
async def test_a_version_we_do_not_speak_is_refused(version: str) -> None:
    async with ScriptedPeer(server_version=version) as peer:
        with pytest.raises(ConnectionRefused):
            await IBBroker(settings_for(peer)).connect()


async def test_a_live_account_is_refused_unless_it_is_named_and_the_mode_is_live() -> None:
    async with ScriptedPeer(accounts="U7654321,") as peer:
        # Given a live account, when it is not asked for in both ways, then it is refused
        settings = settings_for(peer)
        refused = (settings, replace(settings, trading_mode="live"), replace(settings, account="U7654321"))
        for attempt in refused:
            broker = IBBroker(attempt)
            with pytest.raises(LiveAccountRefused, match="U7654321 is a live account"):
                await broker.connect()
            assert broker.state is DISCONNECTED
        # When it is, then it is admitted as what it is
        broker = IBBroker(replace(settings, trading_mode="live", account="U7654321"))
        assert not (await broker.connect()).is_paper
        await broker.disconnect()


async def test_the_account_must_be_managed_and_unmistakable() -> None:
    async with ScriptedPeer(accounts="DU1,DU2") as peer:
        settings = settings_for(peer)
        for account, code in (("DU3", "account_not_managed"), ("", "account_ambiguous")):
            with pytest.raises(FixRequest) as raised:
                await IBBroker(replace(settings, account=account)).connect()
            assert raised.value.code == code
            assert raised.value.details["managed"] == ["DU1", "DU2"]
        broker = IBBroker(replace(settings, account="DU2"))
        assert (await broker.connect()).account == "DU2"
        await broker.disconnect()


async def test_working_orders_told_before_the_greeting_are_heard(
    desk: BrokerDesk, broker_settings: IBSettings, simulator: SimulatorProcess
) -> None:
    # Given a resting bracket whose session has ended
    await desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    await eventually(lambda: desk.heard.orders("setup-stop"))
    await desk.broker.disconnect()
    # When its client id comes back to a Gateway that tells working orders first
    simulator.control.set_switch("open_orders_on_connect", "on")
    async with BrokerDesk(broker_settings) as later:
        # Then they are told, and new ids are above theirs
        assert {told.order_ref for told in later.heard.orders()} == {"setup-entry", "setup-stop"}
        assert later.session.next_order_id > max(told.order_id for told in later.heard.orders())


async def test_disconnecting_ends_an_attempt_to_connect() -> None:
    # Given an attempt that waits for a silent peer
    async with ScriptedPeer(server_version="") as peer:
        broker = IBBroker(replace(settings_for(peer), connect_timeout_seconds=30))
        attempt = asyncio.create_task(broker.connect())
        await eventually(lambda: peer.is_connected)
        # When the broker disconnects, then the attempt ends
        await broker.disconnect()
        with pytest.raises(NotConnected):
            await asyncio.wait_for(attempt, 5)
        assert broker.state is ConnectionState.DISCONNECTED


async def test_connecting_twice_is_connecting_once(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    assert await desk.broker.connect() is desk.session
    assert [message["name"] for message in simulator.control.messages()].count("startApi") == 1


async def test_a_client_id_comes_back_after_a_pause(broker_settings: IBSettings) -> None:
    # Given a pause between two connections of one client id
    broker = IBBroker(replace(broker_settings, reconnect_pause_seconds=0.4))
    first = await broker.connect()
    await broker.disconnect()
    started = time.monotonic()
    # When it connects again, then the pause was kept, and it is a session like the first
    again = await broker.connect()
    assert time.monotonic() - started >= 0.4
    assert again.account == first.account
    await broker.disconnect()


async def test_a_greeting_that_never_names_accounts_is_a_timeout() -> None:
    async with ScriptedPeer(instead_of_greeting=[frame(9, 1, 1)]) as peer:
        with pytest.raises(BrokerTimeout):
            await IBBroker(settings_for(peer)).connect()
