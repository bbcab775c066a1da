"""The commands of a page's console blocks, as a reader would type them."""

import re
from collections.abc import Iterator

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<'(\w+)'")


def commands(page: str) -> list[str]:
    """Return each command that stands after `$ `, with its continued lines and its here-document."""
    return [command for block in _BLOCK.findall(page) for command in _of_block(block)]


def _of_block(block: str) -> Iterator[str]:
    lines = iter(block.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            continue  # What the command answered.
        command = [line.removeprefix("$ ")]
        while command[-1].endswith("\\"):
            command.append(next(lines))
        if heredoc := _HEREDOC.search(command[-1]):
            while command[-1] != heredoc[1]:
                command.append(next(lines))
        yield "\n".join(command)
