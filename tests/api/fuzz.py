"""`scripts/fuzz-api`: schemathesis against a system that is started for it, bounded in time and examples.

It has an environment of its own (its lock file stands beside those of the client libraries), because the project does
not need it. The demo user is a superuser here, so that no operation ends at a missing role; the kill switch is among
what is tried, so most executions are refused, which is fine: what is looked for is an answer that should not be.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.clients.environments import python_of
from tests.running_stack import RunningStack, running_stack

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
WAIT_FOR_END_SECONDS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every answer was one that the description allows."""
    parser = argparse.ArgumentParser(prog="fuzz-api")
    parser.add_argument("--seconds", type=int, default=300, help="of asking, at most")
    parser.add_argument("--examples", type=int, default=30, help="for each operation")
    parser.add_argument("--seed", type=int, default=1, help="the same seed asks the same")
    options = parser.parse_args(arguments)
    python = python_of("schemathesis")
    with tempfile.TemporaryDirectory(prefix="fuzz-api-") as folder, running_stack(Path(folder) / "local") as stack:
        stack.execute("UPDATE auth_user SET is_superuser = true")
        result = _ask(stack, python=python, options=options)
        failed = [line for line in stack.log("web").splitlines() if "internal_error" in line]
    print(*failed[:20], sep="\n")
    return result or bool(failed)


def _ask(stack: RunningStack, *, python: Path, options: argparse.Namespace) -> int:
    command = [
        str(python.parent / "schemathesis"),
        "run",
        f"{stack.up['url']}/api/schema/",
        *("--header", f"Authorization: Token {stack.up['token']}"),
        *("--checks", CHECKS),
        *("--mode", "all"),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-examples", str(options.examples)),
        *("--max-failures", "50"),
        *("--seed", str(options.seed)),
        *("--request-timeout", "70"),
        "--continue-on-failure",
        "--no-color",
    ]
    try:
        return subprocess.run(command, timeout=options.seconds + WAIT_FOR_END_SECONDS).returncode
    except subprocess.TimeoutExpired:
        print(f"fuzz-api: stopped after {options.seconds} s")
        return 0


if __name__ == "__main__":
    sys.exit(main())
