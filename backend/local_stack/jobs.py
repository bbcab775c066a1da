"""The one-off commands of `up`: bring the database up to date, make the demo user, execute the demo.

Each costs a start of Django. A database that this very code has prepared before is not prepared again; its mark lies
beside the data, so that it goes when the data goes. Of somebody else's server nothing is assumed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local_stack.demo import Api, DemoError
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
MOVING_SETTINGS = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "IB_HOST", "IB_PORT"}
DEMO_USERNAME = "demo"
DEMO_MARK_FILE = "demo.json"


class PreparedMark:
    """What an embedded database was last prepared with."""

    def __init__(self, folder: Path | None, *, environment: Mapping[str, str]) -> None:
        self._file = folder / MARK_FILE if folder else None
        self._digest = _digest(environment)

    def is_valid(self) -> bool:
        """Say whether the database is prepared for this code and account."""
        return self._file is not None and private_json_read(self._file).get("digest") == self._digest

    def write(self) -> None:
        """Remember that everything has been prepared."""
        if self._file:
            private_json_write(self._file, {"digest": self._digest})


def migrate_job(supervisor: Supervisor, *, owner_url: str, owner_password: str, environment: Mapping[str, str]) -> None:
    """Run the migrations as the database's owner, where it is named. Raises JobFailedError."""
    owner = {"DATABASE_OWNER_URL": owner_url, "POSTGRES_OWNER_PASSWORD": owner_password}
    spec = manage_spec("migrate", "migrate", "--no-input", environment={**environment, **owner})
    supervisor.run_job(spec, timeout_seconds=MIGRATE_TIMEOUT_SECONDS)


def demo_user_job(supervisor: Supervisor, *, password: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Make the demo user where there is none; return its username, password and API token, or its username and why
    it was left alone (`left_alone`).

    Raises:
        JobFailedError: the command failed, or its answer cannot be understood.
    """
    spec = manage_spec("demo-user", "demo_user", environment={**environment, "DEMO_PASSWORD": password})
    output = supervisor.run_job(spec, timeout_seconds=DEMO_USER_TIMEOUT_SECONDS)
    try:
        answer = json.loads(output.strip().splitlines()[-1])
        keys = ("username", "left_alone") if "left_alone" in answer else ("username", "password", "token")
        return {key: str(answer[key]) for key in keys}
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise JobFailedError(f"demo_user answered neither user nor token ({error})") from error


def demo_user_known(url: str, *, password: str) -> dict[str, str] | None:
    """Log in as the demo user and return what `demo_user_job` returns; None when that is not possible (any more)."""
    credentials: dict[str, object] = {"username": DEMO_USERNAME, "password": password}
    try:
        token = Api(url).demand("POST", "/api/v1/token/", credentials).get("token")
    except DemoError:
        # There is none, or it was closed: the command makes it, or says why it does not.
        return None
    return {"username": DEMO_USERNAME, "password": password, "token": str(token)} if token else None


def demo_job(supervisor: Supervisor, *arguments: str, token: str, environment: Mapping[str, str]) -> dict[str, object]:
    """Execute the demo setup, or find the one executed before (see `demo`), and return what it told.

    Raises:
        JobFailedError: it failed, or its answer cannot be understood.
    """
    spec = module_spec("demo", "local_stack.demo", *arguments, environment={**environment, "DEMO_TOKEN": token})
    output = supervisor.run_job(spec, timeout_seconds=DEMO_TIMEOUT_SECONDS)
    try:
        answer: dict[str, object] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise JobFailedError(f"the demo answered nothing that can be understood ({error})") from error
    return answer


def demo_place(environment: Mapping[str, str], *, is_simulator: bool, is_embedded: bool) -> str:
    """Return for which broker and database the demo is remembered: another one has a demo of its own."""
    broker = "simulator" if is_simulator else f"{environment['IB_HOST']}:{environment.get('IB_PORT', '')}"
    if is_embedded:
        return broker
    database = urlsplit(environment["DATABASE_URL"])
    return f"{broker} {database.hostname}:{database.port or ''}{database.path}"


def _digest(environment: Mapping[str, str]) -> str:
    # Every setting that a check may refuse; where the servers listen today is none.
    names = set(dotenv_names((CLONE / ".env.example").read_text())) - MOVING_SETTINGS
    digest = hashlib.sha256(repr(sorted((name, environment.get(name)) for name in names)).encode())
    # Installed packages bring migrations too; the lock file stands for them.
    for path in [CLONE / "requirements.lock", *sorted((CLONE / "backend" / "app").rglob("*.py"))]:
        digest.update(str(path.relative_to(CLONE)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
