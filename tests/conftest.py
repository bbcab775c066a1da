"""For every test: its clean-up may empty what the database otherwise keeps, and no hour of the day is special.

For a run in several processes: which tests go together, and which go first.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from xdist.scheduler import LoadScopeScheduling

from app.web.static_files import CollectedFiles
from tests.emptying import Emptying, emptying_our_way

IDLE_OPTION = re.compile(r"(?<=idle_in_transaction_session_timeout=)\w+")
IDLE_IN_A_TEST = "10min"
idle_of_the_product = pytest.StashKey[str]()


class ByFile(LoadScopeScheduling):
    """Give each process whole files, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    # xdist's own order is by the number of tests; what starts a stack has few tests and takes long.
    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say how many processes `--numprocesses auto` means: tests that start a stack wait for half of their time."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors * 3 // 2)


def pytest_configure(config: pytest.Config) -> None:
    """Let a test's transaction stand still for as long as the test: a loaded machine stands still, too."""
    options = settings.DATABASES["default"]["OPTIONS"]
    config.stash[idle_of_the_product] = IDLE_OPTION.findall(options["options"])[0]
    options["options"] = IDLE_OPTION.sub(IDLE_IN_A_TEST, options["options"])


@pytest.fixture(scope="session")
def idle_in_transaction_max(pytestconfig: pytest.Config) -> str:
    """Return for how long the product lets a transaction stand still, as PostgreSQL reads it."""
    return pytestconfig.stash[idle_of_the_product]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run first what starts a whole stack: at the end of a run, the other processes would wait for it.

    What drives a browser runs last: Playwright's loop stays in its process, and beside it pytest-asyncio can neither
    run nor end a loop of its own, so no asynchronous test can follow.
    """
    items.sort(key=lambda item: (item.get_closest_marker("browser") is not None, not item.get_closest_marker("slow")))


@pytest.fixture(autouse=True, scope="session")
def emptying() -> Iterator[Emptying]:
    with emptying_our_way() as emptying:
        yield emptying


@pytest.fixture(autouse=True, scope="session")
def one_look_at_static_files() -> Iterator[None]:
    """Look through a folder of static files once: each client of a test makes its middleware anew, no server does."""
    look = CollectedFiles.update_files_dictionary
    seen: dict[tuple[str, str], dict[str, Any]] = {}

    def look_once(middleware: CollectedFiles, root: str, prefix: str) -> None:
        if (root, prefix) not in seen:
            look(middleware, root, prefix)
            seen[root, prefix] = dict(middleware.files)
        middleware.files.update(seen[root, prefix])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CollectedFiles, "update_files_dictionary", look_once)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_maintenance() -> Iterator[None]:
    """Let tests that do not ask for a maintenance window pass at any hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "GATEWAY_MAINTENANCE", ())
        yield
