"""Print pip's settings as `export` lines for uv, which reads none of pip's files and variables.

Run by `scripts/bootstrap` with nothing installed but pip. What the user has set for uv itself is left as it is. Exit
code 1 where uv cannot be told: then pip does the work.
"""

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

# Later ones win, as in pip: the section of all commands, the one of `pip install`, the environment.
SECTIONS = ("global", "install", ":env:")
NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
SEPARATORS = {"find-links": ","}


def pip_settings(lines: Iterable[str]) -> dict[str, str]:
    """Return what `pip config list` says (`global.index-url='https://…'`), each name once."""
    found: dict[str, str] = {}
    by_section: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in lines:
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in by_section:
            by_section[section][key] = str(ast.literal_eval(value))
    for section in SECTIONS:
        found |= by_section[section]
    return found


def uv_variables(settings: dict[str, str]) -> dict[str, str]:
    """Return the variables that tell uv the same. A folder that is not there is left out: pip only warns of it."""
    variables = {}
    for key, variable in NAMES.items():
        words = [word for word in settings.get(key, "").split() if not _is_missing(word)]
        if words:
            variables[variable] = SEPARATORS.get(key, " ").join(words)
    if "UV_INDEX" in variables:
        # pip takes a version from whichever index has it; the hashes decide what is installed.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _is_missing(word: str) -> bool:
    path = url2pathname(urlsplit(word).path) if word.startswith("file:") else word
    return path.startswith("/") and not Path(path).exists()


def main() -> int:
    """Print the lines."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        print(answer.stderr, file=sys.stderr)
        return 1
    settings = pip_settings(answer.stdout.splitlines())
    if settings.get("no-index", "0").lower() in ("1", "true", "yes", "on"):
        print("pip is set to use no index", file=sys.stderr)
        return 1
    for variable, value in uv_variables(settings).items():
        if not os.environ.get(variable):
            print(f"export {variable}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
