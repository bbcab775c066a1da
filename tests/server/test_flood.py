"""The web process as it is started, flooded from the user's own address: the user is served, a person is alerted."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from app.accounts.models import KillSwitch
from app.alerts.models import Alert
from tests.api.desk import PASSWORD, MakeUser, account, make_user  # noqa: F401 - Fixtures are found by their names.
from tests.eventually import eventually
from tests.running_stack import ROOT
from tests.server.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

HELD = 1_000
LIFTED_DESCRIPTORS = 4_096


@contextmanager
def web_process(log: Path, *, soft: int, hard: int) -> Iterator[tuple[int, int]]:
    """Start the web process as `up` does, on the test's database; its process id and port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    values = connection.settings_dict
    database = f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
    command = f'ulimit -S -n {soft} && ulimit -H -n {hard} && exec "$0" -m app.config.serve --port {port}'
    environment = {**os.environ, "DATABASE_URL": database, "PYTHONPATH": str(ROOT / "backend"), "SECRET_KEY": "x" * 60}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["bash", "-c", command, sys.executable], cwd=ROOT, env=environment, stdout=stream, stderr=stream
        )
    try:
        eventually(lambda: Visitor(port).get("/healthz").status == 200, seconds_max=60)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)


@pytest.fixture
def trader(make_user: MakeUser) -> User:  # noqa: F811
    user = make_user("tess", "trader")
    user.set_password(PASSWORD)  # With the hasher that the process has.
    user.save()
    return user


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process hold the connections: an ordinary user's may begin with 1,024 descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (LIFTED_DESCRIPTORS if unlimited else min(LIFTED_DESCRIPTORS, hard), hard)
    )
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.case("S9")
@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize(
    ("soft", "hard", "held"),
    [
        pytest.param(1_024, 1_024, b"", id="1024 descriptors"),
        pytest.param(1_024, 1_024, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", id="half a head"),
        pytest.param(256, LIFTED_DESCRIPTORS, b"", id="descriptors lifted"),
    ],
)
def test_a_thousand_idle_connections_do_not_keep_the_user_from_the_kill_switch(
    tmp_path: Path, trader: User, soft: int, hard: int, held: bytes
) -> None:
    log = tmp_path / "web.log"
    with web_process(log, soft=soft, hard=hard) as (pid, port), ExitStack() as held_open:
        limits = Path(f"/proc/{pid}/limits")
        if limits.exists():
            assert re.search(rf"^Max open files +{hard} ", limits.read_text(), re.MULTILINE)
        for _ in range(HELD):
            held_open.enter_context(_held(port, held))
        visitor = Visitor(port)
        for _ in range(5):
            assert visitor.get("/healthz").status == 200
        visitor.log_in(trader.username, PASSWORD)
        answer = visitor.post_form("/kill-switch/engage/", {"reason": "a flood", "confirmed": "on"})
        assert answer.status == 302
        assert KillSwitch.objects.get().engaged_by == trader
        alert = eventually(lambda: Alert.objects.filter(kind="connections_flooded").first(), seconds_max=40)
        assert "127.0.0.1" in alert.text
    assert log.read_text().count("event=connections_ended") >= 1
    assert "Traceback" not in log.read_text()


@contextmanager
def _held(port: int, sent: bytes) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(sent)
        yield
