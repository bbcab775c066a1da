"""The one-off commands of `up`: bring the database up to date, make the demo user, execute the demo.

Each costs a start of Django. A database that this very code has prepared before is not prepared again; its mark lies
beside the data, so that it goes when the data goes. Of somebody else's server nothing is assumed.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

from local_stack.demo import POLL_SECONDS, Api, DemoError
from local_stack.environment import dotenv_names
from local_stack.errors import JobFailedError
from local_stack.home import CLONE
from local_stack.private_file import private_json_read, private_json_write
from local_stack.stack import manage_spec, module_spec
from local_stack.supervisor import Supervisor

MIGRATE_TIMEOUT_SECONDS = 120
DEMO_USER_TIMEOUT_SECONDS = 60
# Waiting until all is ready, then for the entry's own time limit, and a little.
DEMO_TIMEOUT_SECONDS = 120
MARK_FILE = "prepared.json"
MOVING_SETTINGS = {"DATABASE_URL", "REDIS_URL", "IB_HOST", "IB_PORT"}
BROKER_CHECKS = ("broker_worker", "gateway")
BROKER_TIMEOUT_SECONDS = 5
# A connection that says one of these has tried and failed.
SETTLED_WORDS = ("DISCONNECTED: ", "the last try: ")
USER_KEYS = ("username", "password", "token")


class PreparedMark:
    """What an embedded database was last prepared with."""

    def __init__(self, folder: Path | None, *, environment: Mapping[str, str]) -> None:
        self._file = folder / MARK_FILE if folder else None
        self._digest = _digest(environment)

    def username(self) -> str | None:
        """Return the demo user's name when the database is prepared for this code and account, None when it is not."""
        found = private_json_read(self._file) if self._file else {}
        return str(found["username"]) if found.get("digest") == self._digest and "username" in found else None

    def write(self, *, username: str) -> None:
        """Remember that everything has been prepared."""
        if self._file:
            private_json_write(self._file, {"digest": self._digest, "username": username})


def migrate_job(supervisor: Supervisor, *, environment: Mapping[str, str]) -> None:
    """Run the migrations. Raises JobFailedError."""
    spec = manage_spec("migrate", "migrate", "--no-input", environment=environment)
    supervisor.run_job(spec, timeout_seconds=MIGRATE_TIMEOUT_SECONDS)


def demo_user_job(supervisor: Supervisor, *, password: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Make the demo user, or give it this password again; return its username, password and API token.

    Raises:
        JobFailedError: the command failed, or its answer cannot be understood.
    """
    spec = manage_spec("demo-user", "demo_user", environment={**environment, "DEMO_PASSWORD": password})
    output = supervisor.run_job(spec, timeout_seconds=DEMO_USER_TIMEOUT_SECONDS)
    try:
        answer = json.loads(output.strip().splitlines()[-1])
        return {key: str(answer[key]) for key in USER_KEYS}
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise JobFailedError(f"demo_user answered neither user nor token ({error})") from error


def demo_user_known(url: str, *, username: str, password: str) -> dict[str, str] | None:
    """Log in as the demo user and return what `demo_user_job` returns; None when that is not possible (any more)."""
    credentials: dict[str, object] = {"username": username, "password": password}
    try:
        token = Api(url).demand("POST", "/api/v1/token/", credentials).get("token")
    except DemoError:
        # Deleted, or another password: the command puts it right, or says why it cannot.
        return None
    return {"username": username, "password": password, "token": str(token)} if token else None


def not_trading_because(url: str) -> str:
    """Return what `/readyz` says of the broker worker and the Gateway; "" while new entries can be executed.

    A first try to connect that is not over yet is waited for, `BROKER_TIMEOUT_SECONDS` at most.
    """
    give_up_at = time.monotonic() + BROKER_TIMEOUT_SECONDS
    while True:
        _, answer = Api(url).call("GET", "/readyz")
        checks = answer.get("checks")
        wrong = [
            f"{name.replace('_', ' ')}: {check.get('detail', '')}"
            for name, check in (checks if isinstance(checks, dict) else {}).items()
            if name in BROKER_CHECKS and not check["ok"]
        ]
        is_settled = not wrong or any(word in wrong[0] for word in SETTLED_WORDS)
        if is_settled or time.monotonic() > give_up_at:
            return "; ".join(wrong)
        time.sleep(POLL_SECONDS)


def demo_job(supervisor: Supervisor, *arguments: str, token: str, environment: Mapping[str, str]) -> str:
    """Execute the demo setup (see `demo`) and return the bracket's reference. Raises JobFailedError."""
    spec = module_spec("demo", "local_stack.demo", *arguments, environment={**environment, "DEMO_TOKEN": token})
    return supervisor.run_job(spec, timeout_seconds=DEMO_TIMEOUT_SECONDS).strip()


def _digest(environment: Mapping[str, str]) -> str:
    # Every setting that a check may refuse; where the servers listen today is none.
    names = set(dotenv_names((CLONE / ".env.example").read_text())) - MOVING_SETTINGS
    digest = hashlib.sha256(repr(sorted((name, environment.get(name)) for name in names)).encode())
    # Installed packages bring migrations too; the lock file stands for them.
    for path in [CLONE / "requirements.lock", *sorted((CLONE / "backend" / "app").rglob("*.py"))]:
        digest.update(str(path.relative_to(CLONE)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
