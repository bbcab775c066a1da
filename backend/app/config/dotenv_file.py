"""The file `.env`: read once, by one reader, with every line that cannot be read named and none ignored.

A line that is skipped in silence could be the one that says `IB_TRADING_MODE`. What is written here never shows a
line's content, because it may be a secret.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

_SIMILARITY_MIN = 0.8
# No environment holds a NUL, and nobody means the others: they come from a damaged file or another program's format.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Whatever else stands before the `=` may be the half of a secret, as in `postgres://user:password@host/db?sslmode=...`.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class DotenvFile:
    """What the file holds: its variables, and a sentence for each thing that is wrong with it."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def dotenv_read(path: Path) -> DotenvFile:
    """Read the file; one that does not exist is empty. A byte order mark and Windows' line ends are no fault."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if path.is_symlink():  # What it leads to may be a folder that is not mounted yet.
            return DotenvFile(problems=[f"{path} cannot be read: it is a link to a file that does not exist."])
        return DotenvFile()
    except OSError as error:
        return DotenvFile(problems=[f"{path} cannot be read: {error.strerror}."])
    except UnicodeDecodeError:
        return DotenvFile(problems=[f"{path} cannot be read: it must be text in UTF-8."])
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # The file is damaged, so none of its values counts.
    damage = _CONTROL_CHARACTER.search(text)
    if damage is not None:
        line = text.count("\n", 0, damage.start()) + 1
        what = f"it holds the control character U+{ord(damage[0]):04X}; allowed: text as NAME=value."
        return DotenvFile(problems=[f"{path}, line {line}: {what}"])
    return _parsed(text, name=str(path))


def nearest_name(name: str, *, known: Collection[str]) -> str | None:
    """Return the known name that somebody who wrote `name` may have meant, or None."""
    found = get_close_matches(name.upper(), known, n=1, cutoff=_SIMILARITY_MIN)
    return found[0] if found else None


def _parsed(text: str, *, name: str) -> DotenvFile:
    found = DotenvFile()
    lines: dict[str, int] = {}
    for binding in parse_stream(StringIO(text)):
        # What belongs to a variable begins with the blank lines and the comments above it.
        blank = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
        line = binding.original.line + blank.count("\n")
        is_variable = binding.key is None or (_NAME.fullmatch(binding.key) and binding.value is not None)
        if binding.error or not is_variable:
            found.problems.append(f"{name}, line {line}: write it as NAME=value.")
        elif binding.key is not None and binding.value is not None:
            if binding.key in lines:
                found.problems.append(f"{name}: {binding.key} stands in line {lines[binding.key]} and in line {line}.")
            lines[binding.key] = line
            found.values[binding.key] = binding.value
    return found
