"""Programs and folders that are gone after each test of the stack."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_stack.home import ServiceHome, service_home
from local_stack.process import ProcessSpec, RunningProcess, process_start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[ProcessSpec], RunningProcess]]:
    """Start programs that are gone after the test, however it ends."""
    started: list[RunningProcess] = []

    def _start(spec: ProcessSpec) -> RunningProcess:
        started.append(process_start(spec, log=tmp_path / f"{spec.name}-{len(started)}.log"))
        return started[-1]

    yield _start
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A folder that any user may walk to, as /var/tmp is; pytest's own are private."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """The `.local` of a clone below a private folder."""
    path = tmp_path / "clone" / ".local"
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, outside: Path) -> ServiceHome:
    """A folder for servers, as this user gets it; one for all tests of a module, because `initdb` takes a second."""
    return service_home(local=tmp_path_factory.mktemp("clone"), outside=[outside])
