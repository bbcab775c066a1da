"""Every variable that this system reads, with what is allowed in it; the one table behind the settings.

    the environment ─┐                 ┌─> values for settings.py
                     ├─> variables ────┼─> problems: one line each, with the variable's name and what is allowed
    .env ────────────┘   (variables.py)└─> warnings: a misspelt name, with the one that was meant

A variable that is set to nothing, or to blanks only, is not set: its default holds. A value that is not allowed ends
the process, whichever it is, before it connects to anything. No value of a secret is ever shown, nor anything that
could be one in the wrong place. Two kinds of text are no secret: a number where a number belongs (`IB_PORT=70000`), and
a word that some variable takes, in whatever case (`BROKER_TYPE=paper`).

`python -m app.config.environment` judges the settings without loading the application: `scripts/up` asks it first.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.config.dotenv_file import dotenv_read, nearest_name
from app.config.rules import contradictions, unreadable_alert_urls
from app.config.variables import FOREIGN_NAMES, OWN_PREFIX, VARIABLES, Variable

ROOT = Path(__file__).resolve().parents[3]
_NUMBER = re.compile(r"[-+]?[\d.,_]{1,12}")
# They stand in our code for everybody to read, so whoever sees one of them in a log has learned nothing.
_PUBLISHED_WORDS = frozenset(word.lower() for variable in VARIABLES for word in variable.words)
_RULED = (
    "ACCOUNT_USE",
    "ALLOWED_HOSTS",
    "DEBUG",
    "IB_ACCOUNT",
    "IB_CLIENT_ID",
    "IB_DATA_CLIENT_ID",
    "IB_TRADING_MODE",
    "OTHERS_CLIENT_IDS",
    "SECRET_KEY",
    "SECURE",
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The values of all variables, and what is to be said about how they are set."""

    values: dict[str, Any]
    problems: list[str]
    warnings: list[str]


def environment_judge(given: Mapping[str, str], *, named_in_file: Mapping[str, str]) -> Judgement:
    """Read every variable. `named_in_file` is what `.env` says; its unknown names are judged as well."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for variable in VARIABLES:
        text = given.get(variable.name, "").strip()
        values[variable.name] = variable.read(variable.default)
        if not text:
            continue
        try:
            text.encode()  # Bytes of the environment that are no text would be refused much later, by a library.
            values[variable.name] = variable.read(text)
        except ValueError:
            shown = f"is {text!r}" if _is_no_secret(text, variable=variable) else "cannot be used"
            problems.append(f"{variable.name} {shown}; allowed: {variable.allowed}.")
    return Judgement(values=values, problems=problems, warnings=_misspelt(given, named_in_file=named_in_file))


def environment_load() -> Judgement:
    """Read the environment, and `.env` where the environment is silent.

    What `.env` names is in `os.environ` afterwards, for libraries that look there themselves.
    """
    path = ROOT / ".env"
    file = dotenv_read(path)
    for name, value in file.values.items():
        os.environ.setdefault(name, value)
    judged = environment_judge(os.environ, named_in_file=file.values)
    return Judgement(values=judged.values, problems=[*file.problems, *judged.problems], warnings=judged.warnings)


def environment_require() -> dict[str, Any]:
    """Return the values of all variables. Ends the process with one line for each that is not allowed."""
    judged = environment_load()
    sys.stderr.write("".join(f"settings: {line}\n" for line in judged.warnings))
    if judged.problems:
        sys.exit("\n".join(f"settings: {line}" for line in judged.problems))
    return judged.values


def _is_no_secret(text: str, *, variable: Variable) -> bool:
    """Say whether the text may be shown: any other could be a password that was put into the wrong variable."""
    bare = text.strip("\"'")
    is_number = variable.is_number and _NUMBER.fullmatch(bare) is not None
    return not variable.is_secret and (is_number or bare.lower() in _PUBLISHED_WORDS)


def _misspelt(given: Mapping[str, str], *, named_in_file: Mapping[str, str]) -> list[str]:
    """Name what nobody reads: in `.env` whatever resembles a known name, elsewhere only what begins as ours do."""
    known = {variable.name for variable in VARIABLES} | FOREIGN_NAMES
    suspects = set(named_in_file) | {name for name in given if name.startswith(OWN_PREFIX)}
    found = []
    for name in sorted(suspects - known):
        meant = nearest_name(name, known=known)
        if meant is not None:
            found.append(f"nobody reads {name}; did you mean {meant}?")
        elif name.startswith(OWN_PREFIX):
            found.append(f"nobody reads {name}.")
    return found


def main() -> int:
    """Judge the settings, contradictions between them included; say what is wrong, and return the exit code."""
    values = environment_require()
    found = [
        *contradictions(**{name.lower(): values[name] for name in _RULED}),
        *unreadable_alert_urls(values["ALERT_URLS"]),
    ]
    sys.stderr.write("".join(f"settings: {one.message} {one.hint} ({one.id})\n" for one in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
