"""One running stack for all features of a run; every scenario has a simulator without leftovers of the one before."""

from collections.abc import Iterator

import pytest

from tests.running_stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started
