"""Every message of the protocol up to server version 178 as one table: what is served, since when, with which limits.

`python -m ib_simulator.message_table > docs/simulator_messages.md` draws the page; a test keeps the two equal. Numbers,
names and first versions are those of the official API's `message.py` and `server_versions.py`.
"""

import sys
from dataclasses import dataclass

from ib_simulator.handlers.others import REFUSALS
from ib_simulator.message_notes import ANSWER_NOTES, REQUEST_NOTES
from ib_simulator.messages.ids import (
    REQUEST_NAMES,
    SERVER_VERSION_MAX,
    SERVER_VERSION_MIN,
    UNSERVED,
    Request,
    request_name,
)

REDRAW = "PYTHONPATH=backend .venv/bin/python -m ib_simulator.message_table > docs/simulator_messages.md"
# The first server version whose clients know the message; older than any version served here where it is not named.
REQUEST_SINCE: dict[int, int] = {
    **dict.fromkeys((78,), 104),
    79: 106,
    80: 107,
    81: 108,
    82: 112,
    83: 114,
    84: 116,
    85: 115,
    86: 117,
    87: 118,
    **dict.fromkeys((88, 89), 119),
    90: 123,
    91: 126,
    **dict.fromkeys((92, 93, 94, 95), 127),
    96: 130,
    **dict.fromkeys((97, 98), 137),
    99: 150,
    **dict.fromkeys((100, 101, 102, 103), 161),
    104: 167,
}
ANSWER_SINCE: dict[int, int] = {
    **dict.fromkeys((75, 76), 104),
    77: 106,
    78: 107,
    79: 108,
    80: 112,
    81: 114,
    82: 114,
    83: 116,
    84: 113,
    85: 115,
    **dict.fromkeys((86, 87), 117),
    88: 118,
    89: 119,
    90: 124,
    **dict.fromkeys((91, 92), 125),
    93: 126,
    **dict.fromkeys((94, 95), 127),
    **dict.fromkeys((96, 97, 98), 130),
    99: 137,
    100: 144,
    **dict.fromkeys((101, 102), 150),
    103: 157,
    **dict.fromkeys((104, 105), 161),
    106: 165,
    107: 167,
}


@dataclass(frozen=True)
class Row:
    """One message; `how` says how it is answered or when it is sent, empty for what is never sent."""

    number: int
    name: str
    since: int | None
    served: bool
    how: str

    def line(self) -> str:
        since = "all" if self.since is None else str(self.since)
        return f"| {self.number} | `{self.name}` | {since} | {'yes' if self.served else 'no'} | {self.how} |"


def request_rows() -> list[Row]:
    """Return the client's messages by number."""
    numbers = sorted([*REQUEST_NAMES, *UNSERVED])
    return [
        Row(number, request_name(number), REQUEST_SINCE.get(number), number not in UNSERVED, _request_note(number))
        for number in numbers
    ]


def answer_rows() -> list[Row]:
    """Return the server's messages by number."""
    return [
        Row(number, name, ANSWER_SINCE.get(number), bool(how), how or "never sent")
        for number, (name, how) in sorted(ANSWER_NOTES.items())
    ]


def _request_note(number: int) -> str:
    if number in UNSERVED:
        return "error 321: only programs certified by IB send it"
    if number in REFUSALS:
        code, text = REFUSALS[Request(number)]
        return f"error {code}: {text.replace('{id}', 'N')}"
    return REQUEST_NOTES[Request(number)]


def page() -> str:
    """Return the whole page as Markdown."""
    head = "| Number | Name | Since | Served | {} |\n|---|---|---|---|---|"
    return "\n".join(
        [
            "# Messages of the simulator",
            "",
            f"Every message of the TWS protocol between server versions {SERVER_VERSION_MIN} and {SERVER_VERSION_MAX}.",
            "*Since* is the first server version whose clients know the message; *all* is older than all of these.",
            "Layouts follow the version that was agreed on. An unknown number is error 505, an unreadable message",
            "error 320; the connection stays. Drawn from the code by:",
            "",
            "```",
            REDRAW,
            "```",
            "",
            "## From the client",
            "",
            head.format("How it is answered, and limits"),
            *(row.line() for row in request_rows()),
            "",
            "## From the server",
            "",
            head.format("When it is sent, and limits"),
            *(row.line() for row in answer_rows()),
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(page())
