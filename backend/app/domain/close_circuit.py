"""When no further stop is given up for an order that closes: the broker refuses those of others. Plain rules, no I/O.

Most roads of closing take a stop away before the order that closes can be sent. Where the broker refuses such orders
one after the other (the account is restricted, the contract may only be traded by hand), each further position would
lose its stop for nothing:

    FAILED_MAX closing orders of this contract in a row came to nothing ────┐
    FAILED_MAX of the account did, and they are of two contracts or more ───┴──> kept, for COOL_DOWN after the last
                                                                                 one or after another's stop went
    COOL_DOWN over ──> one position is tried, with one order ──> accepted: all go on
                                                             └─> refused: COOL_DOWN anew

A contract that cannot be closed keeps no other contract's positions from being closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from app.domain.circuit import SKEW

FAILED_MAX = 3
COOL_DOWN = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseSent:
    """A closing order of another position that the broker has answered; `at` is when it was answered."""

    con_id: int
    at: datetime
    failed: bool


def are_refused(closes: Sequence[CloseSent], *, con_id: int) -> bool:
    """Say whether the broker refuses what closes this contract, or the account. `closes` are as of `stop_is_kept`."""
    return len(_row(closes, con_id=con_id)) >= FAILED_MAX or _is_of_account(_row(closes))


def stop_is_kept(closes: Sequence[CloseSent], *, con_id: int, begun_at: datetime | None, now: datetime) -> bool:
    """Say whether a position of this contract keeps its stop for now.

    `closes` are those of the other positions of its account, newest first; `begun_at` is when the last of these gave up
    its stop, None where none did.
    """
    if not are_refused(closes, con_id=con_id):
        return False
    moments = [close.at for close in (*_row(closes), *_row(closes, con_id=con_id))]
    # What lies ahead was noted by a clock that was wrong: to wait for it would keep a position from being closed.
    return any(-SKEW < now - moment < COOL_DOWN for moment in ([*moments, begun_at] if begun_at else moments))


def _row(closes: Sequence[CloseSent], *, con_id: int | None = None) -> list[CloseSent]:
    """Return the newest ones, of one contract or of all, down to the last that was accepted."""
    of_them = [close for close in closes if con_id in (None, close.con_id)]
    return list(takewhile(lambda close: close.failed, of_them))


def _is_of_account(row: Sequence[CloseSent]) -> bool:
    return len(row) >= FAILED_MAX and len({close.con_id for close in row}) > 1
