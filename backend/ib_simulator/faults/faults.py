"""The faults in force: of lines, of answers, of connections. Data and rules only; `session.py` asks them.

A message name in a rule may carry a word after a colon: `orderStatus:Filled` is an orderStatus that says Filled,
`error:202` an error of that code. `*` stands for every message.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from ib_simulator.faults.wire import CALM, Line
from ib_simulator.messages.answer import Answer

# Where a message carries the word that may follow its name in a rule.
WORD_POSITION = {"orderStatus": 2, "error": 3}


class Kind(StrEnum):
    """What a rule does to a message."""

    LOSE = "lose"
    DUPLICATE = "duplicate"
    LATE = "late"
    REORDER = "reorder"
    GARBLE = "garble"


class When(StrEnum):
    """At which point of a client's message the connection breaks; `unanswered`: after it, its answers lost."""

    BEFORE = "before"
    AFTER = "after"
    UNANSWERED = "unanswered"


class ConnectFault(StrEnum):
    """How a new connection goes wrong."""

    CLOSE_AT_ONCE = "close_at_once"
    NO_HANDSHAKE = "no_handshake"
    CLOSE_AFTER_START = "close_after_start"
    EMPTY_ACCOUNTS = "empty_accounts"


@dataclass
class Rule:
    """What happens to messages of these names; `left`: to how many of them, None for all."""

    kind: Kind
    names: frozenset[str]
    client_id: int | None = None
    left: int | None = None
    late_ms: int = 0
    after: str = ""
    place: int = 0
    text: str = ""

    def fits(self, names: frozenset[str], client_id: int | None) -> bool:
        return self.left != 0 and self.client_id in {None, client_id} and not self.names.isdisjoint(names)

    def use(self) -> None:
        if self.left is not None:
            self.left -= 1


@dataclass
class DropRule:
    """A connection breaks at the message of this name that is `left` messages away (1: the next)."""

    name: str
    when: When
    client_id: int | None = None
    left: int = 1

    def meets(self, name: str, client_id: int | None) -> bool:
        """Count a message down and say whether it is the one."""
        if self.name not in {name, "*"} or self.client_id not in {None, client_id} or self.left <= 0:
            return False
        self.left -= 1
        return self.left == 0


@dataclass
class PendingConnectFault:
    """Waits for new connections (for those of one client where the client id is known by then)."""

    kind: ConnectFault
    client_id: int | None = None
    left: int = 1


@dataclass
class Faults:
    """Everything that was asked for and is not used up. `quiet` while no message can be touched."""

    lines: dict[int | None, Line] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    drops: list[DropRule] = field(default_factory=list)
    connects: list[PendingConnectFault] = field(default_factory=list)
    frozen: set[int | None] = field(default_factory=set)
    held_ids: set[int] = field(default_factory=set)

    def line(self, client_id: int | None) -> Line:
        """Return how bytes travel to a client: its own line, else everybody's."""
        if not self.lines:
            return CALM
        return self.lines.get(client_id, self.lines.get(None, CALM))

    def change_line(self, client_id: int | None, **changes: Any) -> Line:
        """Change some properties of a client's line (None: of everybody's) and return it."""
        line = replace(self.line(client_id), **changes)
        # The one calm line is recognised by identity: that is the fast way.
        self.lines[client_id] = CALM if line == CALM else line
        if set(self.lines.values()) == {CALM}:
            self.lines.clear()
        return line

    def is_frozen(self, client_id: int | None) -> bool:
        return client_id in self.frozen or None in self.frozen

    def take_rules(self, answer: Answer, *, version: int, client_id: int | None) -> list[Rule]:
        """Return the rules that fit a message, each used once by it, and forget those used up."""
        names = names_of(answer, version=version)
        found = [rule for rule in self.rules if rule.fits(names, client_id)]
        for rule in found:
            rule.use()
        if found:
            self.rules = [rule for rule in self.rules if rule.left != 0]
        return found

    def drop(self, name: str, client_id: int | None) -> When | None:
        """Say whether the connection breaks at this message of the client; such a rule is used up."""
        for rule in self.drops:
            if rule.meets(name, client_id):
                self.drops.remove(rule)
                return rule.when
        return None

    def take_connect(self, kind: ConnectFault, client_id: int | None = None) -> bool:
        """Say whether a new connection meets this fault now, and count it."""
        for fault in self.connects:
            if fault.kind is kind and fault.client_id in {None, client_id}:
                fault.left -= 1
                if fault.left <= 0:
                    self.connects.remove(fault)
                return True
        return False

    def as_json(self) -> dict[str, Any]:
        """Return what is in force, for people and tests."""
        return {
            "lines": [{"client_id": client_id, **asdict(line)} for client_id, line in self.lines.items()],
            "rules": [{**asdict(rule), "names": sorted(rule.names)} for rule in self.rules],
            "drops": [asdict(rule) for rule in self.drops],
            "connects": [asdict(fault) for fault in self.connects],
            "frozen": sorted("*" if one is None else str(one) for one in self.frozen),
            "held_client_ids": sorted(self.held_ids),
        }

    def clear(self) -> None:
        """Take everything back."""
        for kept in (self.lines, self.rules, self.drops, self.connects, self.frozen, self.held_ids):
            kept.clear()


def names_of(answer: Answer, *, version: int) -> frozenset[str]:
    """Return the names a rule may call a message by."""
    position = WORD_POSITION.get(answer.name)
    if position is None:
        return frozenset({answer.name, "*"})
    return frozenset({answer.name, f"{answer.name}:{answer.fields(version)[position]}", "*"})


@dataclass(order=True)
class _Appointment:
    due_ms: float
    sequence: int
    action: Callable[[], None] = field(compare=False)
    key: str = field(compare=False)


class Agenda:
    """What is to happen at a moment: the end of an outage, a step of a scenario."""

    def __init__(self) -> None:
        self._appointments: list[_Appointment] = []
        self._sequence = 0

    def at(self, due_ms: float, action: Callable[[], None], *, key: str = "") -> None:
        """Do `action` when `run` is called at or after `due_ms` (monotonic milliseconds).

        A key names what there is only one of: a later appointment takes the place of an earlier one.
        """
        self.cancel(key)
        self._sequence += 1
        self._appointments.append(_Appointment(due_ms, self._sequence, action, key))
        self._appointments.sort()

    def cancel(self, key: str) -> None:
        """Forget the appointment with this key, if there is one."""
        self._appointments = [kept for kept in self._appointments if not key or kept.key != key]

    def next_due_ms(self) -> float | None:
        return self._appointments[0].due_ms if self._appointments else None

    def run(self, now_ms: float) -> None:
        """Do what is due, in order, and what that makes due as well."""
        while self._appointments and self._appointments[0].due_ms <= now_ms:
            self._appointments.pop(0).action()

    def clear(self) -> None:
        self._appointments.clear()
