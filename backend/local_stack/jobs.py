"""The one-off commands of `up`: bring the database up to date, make the demo user, execute the demo."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from local_stack.errors import JobFailedError
from local_stack.home import CLONE
from local_stack.services import Services
from local_stack.stack import manage_spec, module_spec
from local_stack.supervisor import Supervisor

MIGRATE_TIMEOUT_SECONDS = 120
DEMO_USER_TIMEOUT_SECONDS = 60
# Waiting until all is ready, then for the entry's own time limit, and a little.
DEMO_TIMEOUT_SECONDS = 120
MIGRATED_FILE = "migrated"
USER_KEYS = ("username", "password", "token")


def migrate_job(supervisor: Supervisor, *, services: Services, environment: Mapping[str, str]) -> None:
    """Run the migrations, unless the embedded database has had exactly these. Raises JobFailedError."""
    wanted = _migrations_digest()
    # The mark lies beside the data, so that it goes when the data goes. Of somebody else's server we know nothing.
    mark = services.postgres_folder / MIGRATED_FILE if services.postgres_folder else None
    if mark is not None and mark.is_file() and mark.read_text() == wanted:
        return
    spec = manage_spec("migrate", "migrate", "--no-input", environment=environment)
    supervisor.run_job(spec, timeout_seconds=MIGRATE_TIMEOUT_SECONDS)
    if mark is not None:
        mark.write_text(wanted)


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


def demo_job(supervisor: Supervisor, *arguments: str, token: str, environment: Mapping[str, str]) -> str:
    """Execute the demo setup (see `demo`) and return the bracket's reference. Raises JobFailedError."""
    spec = module_spec("demo", "local_stack.demo", *arguments, environment={**environment, "DEMO_TOKEN": token})
    return supervisor.run_job(spec, timeout_seconds=DEMO_TIMEOUT_SECONDS).strip()


def _migrations_digest() -> str:
    digest = hashlib.sha256()
    # Installed packages bring migrations too; the lock file stands for them.
    for path in [CLONE / "requirements.lock", *sorted((CLONE / "backend" / "app").glob("*/migrations/*.py"))]:
        digest.update(str(path.relative_to(CLONE)).encode() + b"\0" + _content(path))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
