"""What the user has set: the environment, and `.env` in the clone where the environment is silent."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from local_stack.home import CLONE

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


def dotenv_parse(text: str) -> dict[str, str]:
    """Return the variables of a `.env` file:

    `KEY=value` lines, quotes taken off, `#` lines and unquoted ` #` tails ignored.
    """
    values = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        name, value = match.groups()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        else:
            value = re.split(r"\s+#", value, maxsplit=1)[0]
        values[name] = value
    return values


def dotenv_names(text: str) -> list[str]:
    """Return the names of all variables in a `.env` file, those that are commented out (`#NAME=`) too."""
    return list(dotenv_parse(re.sub(r"^#(?=[A-Z])", "", text, flags=re.MULTILINE)))


def user_environment(*, clone: Path = CLONE, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return `.env` overlaid by the environment; a variable set to nothing counts as not set."""
    path = clone / ".env"
    values = dotenv_parse(path.read_text()) if path.is_file() else {}
    # An empty variable in the environment still hides the file's: that is how a user switches one off for one command.
    return {name: value for name, value in {**values, **environ}.items() if value}
