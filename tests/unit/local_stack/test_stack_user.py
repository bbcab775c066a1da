"""A user id without a name, as `docker run --user 4242` gives: PostgreSQL makes no database for it."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.errors import UserWithoutNameError
from local_stack.home import CLONE, ServiceHome
from local_stack.postgres import postgres_prepare
from local_stack.process import ServiceUser


def _unnamed_id() -> int:
    named = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(4242, 65000) if uid not in named)


@pytest.mark.case("S39")
def test_a_user_without_a_name_is_told_so_before_anything_is_made(tmp_path: Path) -> None:
    uid = _unnamed_id()
    home = ServiceHome(tmp_path, ServiceUser(uid, uid))

    with pytest.raises(UserWithoutNameError, match=f"user {uid} has no name") as error:
        postgres_prepare(home, folder=tmp_path, port=1, password="x")

    assert error.value.code == "user_without_name"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.case("S39")
@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become another user.")
def test_up_says_it_in_one_line_and_starts_nothing(outside: Path) -> None:
    uid = _unnamed_id()
    local = outside / "unnamed"
    local.mkdir()
    os.chown(local, uid, uid)
    # Its user enters the clone of another one, so Python's code comes in before the change of user.
    code = (
        "import os, sys; from pathlib import Path; from local_stack import up; from local_stack.environment import *\n"
        "up.settings_require = lambda: ''; uid = int(sys.argv[1])\n"
        "os.setgroups([]); os.setgid(uid); os.setuid(uid)\n"
        "sys.exit(up.main(['--once'], local=Path(sys.argv[2])))"
    )
    unset = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "IB_HOST"), "")
    environment = {**os.environ, **unset, "PYTHONPATH": str(CLONE / "backend"), "HOME": "/dev/null/nobody"}

    run = subprocess.run(
        [sys.executable, "-c", code, str(uid), str(local)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        check=False,
    )

    assert (run.returncode, run.stdout) == (1, "")
    [line] = run.stderr.splitlines()
    assert line.startswith(f"up: user_without_name: user {uid} has no name on this machine")
    assert not any((local / "log").glob("*"))
