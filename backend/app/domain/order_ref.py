"""`order_ref`: our permanent name of a leg at the broker.

    k7m2q4x9b3c5d6f8-1-STOP_LOSS
    └── execution ──┘ │ └ leg, with a number from the second of its kind on (PROTECT2)
                      └ tranche

The broker keeps it for the order's life and repeats it in open orders and executions (IBKR Campus, `orderRef`), so it
is what orders are matched by. The execution's part is random: two databases that trade one account never collide.
"""

import re
from dataclasses import dataclass

from app.domain.terms import Leg

EXECUTION_KEY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
EXECUTION_KEY_LENGTH = 16
# Numbers have at most four digits, ASCII ones, so that one name has one reading and a foreign text cannot raise.
_PATTERN = re.compile(
    rf"([{EXECUTION_KEY_ALPHABET}]{{{EXECUTION_KEY_LENGTH}}})-([1-9][0-9]{{0,3}})-([A-Z_]+?)([2-9]|[1-9][0-9]{{1,3}})?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderRef:
    """The parts of an `order_ref`. `number` counts legs of one kind in a tranche, from 1."""

    execution_key: str
    tranche: int
    leg: Leg
    number: int = 1

    def __str__(self) -> str:
        suffix = str(self.number) if self.number > 1 else ""
        return f"{self.execution_key}-{self.tranche}-{self.leg}{suffix}"


def parse_order_ref(text: str) -> OrderRef | None:
    """Return the parts of `text`, or None when the name is not one of ours."""
    match = _PATTERN.fullmatch(text)
    if match is None or match[3] not in Leg.__members__:
        return None
    return OrderRef(execution_key=match[1], tranche=int(match[2]), leg=Leg[match[3]], number=int(match[4] or 1))
