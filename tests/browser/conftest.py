"""The site in a process of its own kind: the real ASGI application under uvicorn, in a thread, and a real Chromium."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from django.db import connection as connection_of_django
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.api.desk import (  # noqa: F401 - Fixtures are found by their names.
    account,
    analyst,
    apple,
    broker,
    connection,
    filled,
    make_setup,
    make_user,
    requested,
    reviewer,
    served_account,
)
from tests.eventually import eventually

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture(scope="session", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Playwright runs a loop in this thread; Django would refuse to touch the database in it."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    yield
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session", autouse=True)
def _sessions_end(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """End the sessions that threads of the site have left open: the database can't be removed beside them."""
    yield
    with django_db_blocker.unblock(), connection_of_django.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


@pytest.fixture
def site(transactional_db: None) -> Iterator[str]:
    """The address of the running site, which sees what the test has stored."""
    from app.config.asgi import application

    server = uvicorn.Server(
        uvicorn.Config(application, port=0, lifespan="off", log_level="warning", timeout_graceful_shutdown=10)
    )
    thread = threading.Thread(target=server.run, daemon=True)  # A site that hangs fails its test, not the whole run.
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        # What the window has left behind gives its connection back, on a busy machine seconds after it was closed.
        eventually(lambda: not server.server_state.tasks)
    finally:
        server.should_exit = True
        thread.join(timeout=15)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=10_000)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A window without cookies. A script error or a request to a foreign host fails the test."""
    context = chromium.new_context(base_url=site, viewport={"width": 1200, "height": 850})
    window = context.new_page()
    window.set_default_timeout(10_000)
    wrong: list[str] = []
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("request", lambda request: None if request.url.startswith((site, "data:")) else wrong.append(request.url))
    yield window
    context.close()
    assert wrong == []
