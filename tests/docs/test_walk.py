"""README and docs/api.md are followed literally, twice, from another folder; and they trade what they say."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.console_blocks import commands
from tests.eventually import eventually
from tests.running_stack import ROOT, RunningStack, running_stack

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WALK_SECONDS_MAX = 120
# Neither is on a plain Debian, or not under this name.
NOT_THERE = re.compile(r"(?:^|[\s(`|])(?:python(?= )|uuidgen|pytest(?= )|jq|nc)(?=\s|\)|$)")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("walk") / "local") as stack:
        yield stack


def follow(page: str, *, stack: RunningStack, folder: Path) -> str:
    """Type the page's commands into a shell in `folder`, which has the clone in it; return what they answered."""
    clone = folder / "trading-analyst"
    if not clone.exists():
        (clone / ".local").mkdir(parents=True)
        (clone / "manage.py").symlink_to(ROOT / "manage.py")
    # What `up` writes down with its demo user, who was made beside this stack.
    (clone / ".local" / "up.json").write_text(json.dumps(stack.up))
    # A command line looks for the servers of its own clone, which is where the tests run, not where the stack is.
    servers = {"DATABASE_URL": stack.up["database_url"], "REDIS_URL": stack.up["redis_url"]}
    script = "\n".join(["set -euo pipefail", *commands(page)])
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **servers},
        capture_output=True,
        text=True,
        timeout=WALK_SECONDS_MAX,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.mark.slow
@pytest.mark.case("S19", "S35")
def test_the_readme_trades_what_it_says_each_time(stack: RunningStack, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    walk = readme[readme.index("## Execute a setup with curl") : readme.index("## Trade through a real Gateway")]
    references = []
    for times in (1, 2):
        told = follow(walk, stack=stack, folder=tmp_path)
        reference = re.search(r'"status":"OPEN","reference":"(IB-\d+:\d+)"', told)
        assert reference is not None, told
        references.append(reference[1])
        rows = eventually(lambda count=times: closed(stack, count), seconds_max=30)
        assert [row[:3] for row in rows] == [("CLOSED", "STOP_LOSS", 10)] * times
        with stack.simulator() as control:
            state = control.state()
        mine = [order for order in state["orders"] if f"IB-{order['order_id']}:" in f"{reference[1].split(':')[0]}:"]
        assert [order["status"] for order in mine] == ["Filled"]
        assert not any(float(position["quantity"]) for position in state["positions"])
    assert len(set(references)) == 2, "each walk is an intention of its own"


def closed(stack: RunningStack, count: int) -> list[tuple[object, ...]]:
    rows = stack.rows("SELECT status, exit_reason, quantity::int FROM executions_execution ORDER BY id")
    return rows if len(rows) == count and all(row[0] == "CLOSED" for row in rows) else []


@pytest.mark.slow
@pytest.mark.case("S19", "S35")
def test_the_page_of_the_api_can_be_followed_again_and_again(stack: RunningStack, tmp_path: Path) -> None:
    with stack.simulator() as control:
        control.set_price("AAPL", "190.00")
    before = stack.rows("SELECT count(*) FROM executions_execution")[0][0]
    for times in (1, 2):
        told = follow((ROOT / "docs" / "api.md").read_text(), stack=stack, folder=tmp_path)
        assert re.search(r'"status":"OPEN","reference":"IB-\d+:\d+"', told), told
        assert '"token":"' in told
        assert '"code":"revision_changed"' in told
        assert '"code":"nothing_to_cancel"' in told
        assert '"code":"role_missing"' in told
        assert told.index('"engaged":false') < told.index('"engaged":true')
        assert "trading_broker_worker_heartbeat_age_seconds" in told
        assert stack.rows("SELECT count(*) FROM executions_execution")[0][0] == before + times


@pytest.mark.case("S35")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_asks_for_a_program_that_is_not_there(page: Path) -> None:
    asked = [command for command in commands(page.read_text()) if not command.startswith("./scripts/dc.sh")]
    assert [command for command in asked if NOT_THERE.search(command)] == []
    assert re.findall(r"^.*(?<!web )(?<!web\n)python manage\.py.*$", page.read_text(), re.MULTILINE) == []
