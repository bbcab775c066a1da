"""While no account is known yet, what keeps us from trading is named: the Gateway where it is the Gateway."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread

import pytest
from django.test import Client
from pytest_django import Settings

from app.accounts.models import Account, BrokerConnection, WorkerSign
from app.accounts.selectors import worker_seen
from app.accounts.services import STOPPED_ON_PURPOSE, connection_ensure, connection_state_record
from app.alerts.models import Alert
from app.brokers.base import ConnectionState
from app.brokers.factory import get_broker
from app.brokers.ib import IBSettings
from app.core import clock
from app.web.context import trading_now
from app.worker.broker_thread import BrokerThread
from app.worker.event_recorder import EventRecorder
from app.worker.watchdog import GATEWAY_AGE_SECONDS_MAX, watchdog_look
from ib_simulator.process import running_simulator
from tests.eventually import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.case("S6")]

CLIENT_ID = 1
Address = tuple[str, int]


@pytest.fixture(autouse=True)
def _no_account_named(settings: Settings) -> None:
    settings.IB_ACCOUNT, settings.IB_CLIENT_ID = "", CLIENT_ID


@pytest.fixture
def started() -> Iterator[Callable[[Address], BrokerThread]]:
    """Start a worker's connection to an address, without an account's name."""
    with ExitStack() as cleanup:

        def start(address: Address) -> BrokerThread:
            host, port = address
            ib = IBSettings(host=host, port=port, connect_timeout_seconds=0.5, reconnect_pause_seconds=0.1)
            recorder = EventRecorder(on_changed=lambda _execution_id, _event: None)
            thread = BrokerThread(
                make_broker=partial(get_broker, ib, broker_type="ib"),
                recorder=recorder,
                account_id="",
                client_id=CLIENT_ID,
                address=f"{host}:{port}",
            )
            recorder.start()
            cleanup.callback(recorder.stop, seconds_max=5)
            thread.start()
            cleanup.callback(thread.stop, seconds_max=5)
            return thread

        yield start


def nobody_listens(_cleanup: ExitStack) -> Address:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return "127.0.0.1", reserved.getsockname()[1]


def accepts_and_is_silent(cleanup: ExitStack) -> Address:
    listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
    return "127.0.0.1", listener.getsockname()[1]


def web_server(cleanup: ExitStack) -> Address:
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    cleanup.callback(server.server_close)
    cleanup.callback(server.shutdown)
    return "127.0.0.1", server.server_port


def no_such_name(_cleanup: ExitStack) -> Address:
    return "no-such-host.invalid", 4002


def no_such_port(_cleanup: ExitStack) -> Address:
    return "127.0.0.1", 70_000


def gateway(cleanup: ExitStack, *accounts: str) -> Address:
    running = cleanup.enter_context(running_simulator(seed=7, accounts=list(accounts), tick_seconds=0))
    return running.host, running.port


def live_login(cleanup: ExitStack) -> Address:
    return gateway(cleanup, "U7654321")


def login_with_two_accounts(cleanup: ExitStack) -> Address:
    return gateway(cleanup, "DU1", "DU2")


def client_id_taken(cleanup: ExitStack) -> Address:
    host, port = gateway(cleanup, "DU1234567")
    greeting = b"API\0" + _framed(b"v157..178")
    other = cleanup.enter_context(socket.create_connection((host, port)))
    other.sendall(greeting)
    assert other.recv(64)
    other.sendall(_framed(b"71\x002\x00%d\x00\x00" % CLIENT_ID))
    assert other.recv(64)
    return host, port


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


CAUSES = {
    nobody_listens: "connection_refused: No connection to {}:{}",
    accepts_and_is_silent: "broker_timeout: {}:{} did not answer",
    web_server: "broker_timeout: {}:{} did not answer",
    no_such_name: "connection_refused: No connection to {}:{}",
    no_such_port: "connection_refused: No connection to {}:{}",
    live_login: "live_account_refused: U7654321 is a live account",
    login_with_two_accounts: "account_ambiguous: The login manages several accounts (DU1, DU2)",
    client_id_taken: "client_id_in_use: Client id 1 is in use at {}:{}",
}


def readiness(client: Client) -> dict[str, str]:
    """Return what `/readyz` says of the worker and of the Gateway; "" is well."""
    checks = client.get("/readyz").json()["checks"]
    return {name: checks[name].get("detail", "") for name in ("broker_worker", "gateway")}


@pytest.mark.parametrize("peer", CAUSES)
def test_the_gateway_is_named_where_it_is_the_gateway(
    peer: Callable[[ExitStack], Address], started: Callable[[Address], BrokerThread], client: Client
) -> None:
    with ExitStack() as cleanup:
        # Given a worker without an account's name, and a peer that lets it not in
        address = peer(cleanup)
        cause = CAUSES[peer].format(*address)
        thread = started(address)
        # When it has tried, then /readyz and the banner say that the worker lives, and what is wrong
        eventually(lambda: cause in readiness(client)["gateway"], seconds_max=20)
        for _ in range(5):  # And they go on saying it while the next try lasts.
            asked, banner = readiness(client), trading_now()
            assert asked["broker_worker"] == ""
            assert cause in asked["gateway"]
            assert (banner.ready, cause in banner.detail) == (False, True)
        # And so does the alert, once the silence is long enough to be told
        watchdog_look(now=clock.now())
        assert not Alert.objects.exists()
        sign = eventually(seen_for_a_second, seconds_max=10)
        watchdog_look(now=sign.started_at + timedelta(seconds=GATEWAY_AGE_SECONDS_MAX + 0.5))
        alert = Alert.objects.get()
        assert (alert.kind, alert.subject, cause in alert.text) == ("gateway_silent", "broker worker", True)
        # And no account is made up
        assert not Account.objects.exists()
        thread.stop(seconds_max=5)


def seen_for_a_second() -> WorkerSign:
    sign = WorkerSign.objects.get()
    assert sign.seen_at - sign.started_at > timedelta(seconds=1)
    return sign


def test_a_worker_that_is_dead_is_named_even_where_it_never_knew_an_account(
    started: Callable[[Address], BrokerThread], client: Client
) -> None:
    # Given no worker at all, then that is what is said
    assert readiness(client)["broker_worker"] == "it never showed itself"
    # Given one that could not connect, and has been silent since
    thread = started(nobody_listens(ExitStack()))
    eventually(WorkerSign.objects.exists)
    thread.stop(seconds_max=5)
    long_ago = clock.now() - timedelta(seconds=11)
    WorkerSign.objects.update(seen_at=long_ago, reason="connection_refused", state="DISCONNECTED")
    # Then the worker is to blame, and nobody knows about the Gateway
    assert readiness(client) == {
        "broker_worker": f"no sign of life since {long_ago:%Y-%m-%d %H:%M:%S} UTC",
        "gateway": "not known while the broker worker is away",
    }
    assert trading_now().state == "AWAY"
    watchdog_look(now=clock.now())
    assert Alert.objects.get().kind == "worker_silent"


def test_a_worker_that_is_stopped_says_so_and_is_not_missed(
    started: Callable[[Address], BrokerThread], client: Client
) -> None:
    thread = started(nobody_listens(ExitStack()))
    eventually(WorkerSign.objects.exists)
    thread.stop(seconds_max=5)
    assert WorkerSign.objects.get().reason == STOPPED_ON_PURPOSE
    assert STOPPED_ON_PURPOSE in readiness(client)["broker_worker"]
    watchdog_look(now=clock.now() + timedelta(minutes=1))
    assert not Alert.objects.exists()


def test_the_row_of_an_earlier_account_does_not_speak_for_a_worker_that_was_started_since(
    started: Callable[[Address], BrokerThread], client: Client
) -> None:
    # Given a connection of yesterday
    old = connection_ensure(account_id="DU1234567", client_id=CLIENT_ID)
    yesterday = clock.now() - timedelta(days=1)
    connection_state_record(connection_id=old.pk, state=ConnectionState.READY, reason="", now=yesterday)
    # When today's worker finds no Gateway, then the Gateway is to blame
    with ExitStack() as cleanup:
        host, port = nobody_listens(cleanup)
        started((host, port))
        eventually(lambda: f"No connection to {host}:{port}" in readiness(client)["gateway"], seconds_max=20)
    assert readiness(client)["broker_worker"] == ""
    # And as soon as one answers, its account's row speaks again
    now = clock.now() + timedelta(seconds=5)
    connection_state_record(connection_id=old.pk, state=ConnectionState.READY, reason="", now=now)
    assert readiness(client) == {"broker_worker": "", "gateway": ""}


def test_a_gateway_that_comes_is_connected_to_and_its_account_takes_over(
    started: Callable[[Address], BrokerThread], client: Client
) -> None:
    with ExitStack() as cleanup:
        started(gateway(cleanup, "DU1234567"))
        eventually(lambda: readiness(client) == {"broker_worker": "", "gateway": ""}, seconds_max=20)
        seen = worker_seen()
        assert seen is not None
        assert seen.connection == BrokerConnection.objects.get()
