"""What the user has set: the environment, and `.env` in the clone where the environment is silent.

Whether it may be set so is judged by the application, which lists every variable (`settings_require`).
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from local_stack.errors import SettingsRefusedError
from local_stack.home import CLONE

JUDGE_TIMEOUT_SECONDS = 60


def dotenv_parse(text: str) -> dict[str, str]:
    """Return the variables of a `.env` file; what is no `NAME=value` is left out (the application refuses it)."""
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def dotenv_names(text: str) -> list[str]:
    """Return the names of all variables in a `.env` file, those that are commented out (`#NAME=`) too."""
    return list(dotenv_parse(re.sub(r"^#(?=[A-Z])", "", text, flags=re.MULTILINE)))


def user_environment(*, clone: Path = CLONE, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `.env` overlaid by the environment; a variable set to nothing counts as not set.

    A variable that the environment sets to nothing to hide the file's is in the answer, as nothing: the processes that
    get these values read the file too.
    """
    path = clone / ".env"
    file = dotenv_parse(path.read_text(encoding="utf-8-sig")) if path.is_file() else {}
    values = {name: value for name, value in {**file, **environ}.items() if value}
    return values | {name: "" for name, value in file.items() if value and environ.get(name) == ""}


def settings_require(*, environ: Mapping[str, str] = os.environ) -> str:
    """Ask the application whether it could start with these settings; return what it warns of.

    Raises:
        SettingsRefusedError: it could not; the message holds its lines.
    """
    judged = subprocess.run(
        [sys.executable, "-m", "app.config.environment"],
        env={**environ, "PYTHONPATH": str(CLONE / "backend")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=JUDGE_TIMEOUT_SECONDS,
        check=False,
    )
    said = "\n".join(line.removeprefix("settings: ") for line in judged.stderr.splitlines())
    if judged.returncode != 0:
        raise SettingsRefusedError(said)
    return said
