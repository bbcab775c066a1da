"""When no further stop is given up for an order that closes: the broker refuses those of others. Plain rules, no I/O.

Most roads of closing take a stop away before the order that closes can be sent. Where the broker refuses such orders
one after the other (the account is restricted, the contract may only be traded by hand), each further position would
lose its stop for nothing:

    the last FAILED_MAX closing orders of this contract came to nothing ──┐
    the last FAILED_MAX of the account did, of two contracts or more ─────┴──> kept, for COOL_DOWN after the last one
                                                                               or after another's stop was given up
    COOL_DOWN over ──> one position is tried ──> accepted: all go on
                                             └─> refused: COOL_DOWN anew

A contract that cannot be closed keeps no other contract's positions from being closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

FAILED_MAX = 3
COOL_DOWN = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseSent:
    """A closing order of another position that the broker has answered; `at` is when it was answered."""

    con_id: int
    at: datetime
    failed: bool


def stop_is_kept(closes: Sequence[CloseSent], *, con_id: int, begun_at: datetime | None, now: datetime) -> bool:
    """Say whether a position of this contract keeps its stop for now.

    `closes` are those of the other positions of its account, newest first; `begun_at` is when the last of these gave up
    its stop, None where none did.
    """
    of_contract = [close for close in closes if close.con_id == con_id][:FAILED_MAX]
    lately = closes[:FAILED_MAX]
    of_account = _all_failed(lately) and len({close.con_id for close in lately}) > 1
    if not _all_failed(of_contract) and not of_account:
        return False
    moments = [close.at for close in (*of_contract, *lately) if close.failed]
    last = max([*moments, begun_at] if begun_at else moments)
    return now - last < COOL_DOWN


def _all_failed(closes: Sequence[CloseSent]) -> bool:
    return len(closes) == FAILED_MAX and all(close.failed for close in closes)
