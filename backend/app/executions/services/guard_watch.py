"""What the guard remembers between two looks, by a clock that no jump of the machine's moves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.executions.outbox import LegRow
from app.executions.services.exits_settle import SentAgain

ANSWER_SECONDS = 3.0
UNKNOWN_SECONDS_MAX = 5.0
# What a complete answer did not settle is asked for again, not at every look.
ASK_AGAIN_SECONDS = 30.0
# What was not looked at for so long is not remembered any more.
DOUBT_SECONDS_MAX = 600.0
# Of so many brackets it is remembered how they stood, as a number: their rows would take some kilobytes each.
QUIET_MAX = 50_000


@dataclass(slots=True)
class _Need:
    what: object
    since: float
    acted_at: float | None = None
    asked_at: float | None = None


@dataclass(slots=True)
class Watch:
    """What the guard remembers between two looks: since when a bracket has needed the same, and when it was done.

    By a clock that no jump of the machine's moves: a repair must not wait until the time of day has caught up.
    """

    monotonic: Callable[[], float] = time.monotonic
    needs: dict[int, _Need] = field(default_factory=dict)
    doubts: dict[int, _Need] = field(default_factory=dict)
    sent_again: SentAgain = field(default_factory=lambda: SentAgain(counts={}))
    # How the brackets stood that needed nothing.
    quiet: dict[int, int] = field(default_factory=dict)
    # Why a repair of this look was held up by the database, "" where none was.
    held_up: str = ""

    def stands_as_it_stood(self, bracket_id: int, rows: Sequence[LegRow]) -> bool:
        """Say whether the bracket stands as it stood when it needed nothing: by the same facts it needs nothing now."""
        if (known := self.quiet.get(bracket_id)) is None:
            return False
        stands = known == hash(tuple(rows))
        if not stands:
            del self.quiet[bracket_id]
        return stands

    def note_quiet(self, bracket_id: int, rows: Sequence[LegRow]) -> None:
        """Remember how a bracket stood that needed nothing."""
        if len(self.quiet) >= QUIET_MAX:
            self.quiet.clear()  # Mostly of brackets that are over; what is not is judged once more.
        self.quiet[bracket_id] = hash(tuple(rows))

    def seconds(self, bracket_id: int, what: object) -> float:
        """Return for how long the bracket has needed `what`."""
        known, moment = self.needs.get(bracket_id), self.monotonic()
        if known is None or known.what != what:
            self.needs[bracket_id] = _Need(what, moment)
            return 0.0
        return moment - known.since

    def may_act(self, bracket_id: int) -> bool:
        """Say whether it may be done now: what was just done gets time to be answered."""
        acted_at = self.needs[bracket_id].acted_at
        return acted_at is None or self.monotonic() - acted_at >= ANSWER_SECONDS

    def may_ask(self, bracket_id: int) -> bool:
        """Say whether the broker may be asked about it now, and take it that it is."""
        need, moment = self.needs[bracket_id], self.monotonic()
        if moment - need.since < UNKNOWN_SECONDS_MAX:
            return False
        if need.asked_at is not None and moment - need.asked_at < ASK_AGAIN_SECONDS:
            return False
        need.asked_at = moment
        return True

    def note_acted(self, bracket_id: int) -> None:
        """Remember that it was done."""
        self.needs[bracket_id].acted_at = self.monotonic()

    def may_settle(self, order_pk: int, *, after: float, every: float) -> bool:
        """Say whether the broker may be asked now whether an order lives, in doubt for `after` seconds at least.

        What its answer did not settle is asked for again after `every` seconds.
        """
        moment = self.monotonic()
        for known, doubt in list(self.doubts.items()):
            if moment - max(doubt.since, doubt.asked_at or doubt.since) > DOUBT_SECONDS_MAX:
                del self.doubts[known]  # It was settled, or it is seen anew.
        doubt = self.doubts.setdefault(order_pk, _Need(None, moment))
        if moment - doubt.since < after or (doubt.asked_at is not None and moment - doubt.asked_at < every):
            return False
        doubt.asked_at = moment
        return True

    def forget(self, bracket_id: int) -> None:
        """The bracket needs nothing."""
        self.needs.pop(bracket_id, None)
