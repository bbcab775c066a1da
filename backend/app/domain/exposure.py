"""What the account holds of an instrument, against what our brackets claim of it. Plain rules, no I/O.

    held = claims + others          all is well: what is not ours is nobody's business, whatever its size and sign
    held - claims - others          the difference: somebody traded, or the position changed by itself

A *claim* is what a bracket opened and has not closed, signed: positive for a long one. *Others* is what was held before
us or belongs to somebody else, of either sign, so that net 0 is right beside a long and a short claim of the same size.

A position report carries neither a time nor an execution id, and it lags the fills. So a report agrees when it equals
what is expected without some of the newest deals (`agrees`). What disagrees is judged at once where deals of others are
why and no deal of ours is young (`is_explained`), else only when the broker, asked again, still disagrees (the caller
sees to that); then `judge` says whose the difference was:

    explained by deals that are not ours
        a deal of a client that is known to be somebody else's     others change
        others held enough of that side                            others change
        it closes what a claim holds                               CLOSED_ELSEWHERE: the claim is reduced
        it closed what an exit of ours has closed since            the same: more was closed than was held
    a deal that was judged is corrected, or busted             UNEXPLAINED
    in an exclusive account the claims of one side keep what is held, whatever deals are told
    not explained by deals
        in an exclusive account, less than the claims              CLOSED_ELSEWHERE
        nothing is claimed, nor was when the doubt began           others change
        others held enough, and it looks like no split             others change
        else (a split, a transfer, an assignment)                  UNEXPLAINED: a person decides, nothing is placed

Example: 10 shares claimed, none of others'. Somebody sells 6 in TWS: held is 4, the deal of -6 explains it, others held
nothing, so the claim is reduced by 6 and its stop is cut to 4. With 100 shares of others' in the account, held is 104
and others are 94: the claim stays. Had the stop closed the 10 a moment after the 6 were sold, held is -6: no short
position of others', but 6 shares that were closed twice, and the claim is -6.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate

_NONE = Decimal(0)
# How shares are split, or brought together the other way round: two for one, three for two, and so on.
_SPLITS = tuple(Decimal(new) / old for new, old in ((3, 2), (5, 2), *((new, 1) for new in (*range(2, 11), 15, 20, 25))))


class AccountUse(StrEnum):
    """Who trades in the account."""

    SHARED = "SHARED"  # people and other programs, too
    EXCLUSIVE = "EXCLUSIVE"  # what is held is ours


class Finding(StrEnum):
    """What a difference turned out to be."""

    AGREES = "AGREES"
    OTHERS_CHANGED = "OTHERS_CHANGED"
    CLOSED_ELSEWHERE = "CLOSED_ELSEWHERE"
    UNEXPLAINED = "UNEXPLAINED"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one bracket claims, in shares, negative when short. `key` names it to the caller; a younger one's is higher.

    `stop_cancelled_by_hand`: somebody cancelled its stop within the last minute, as one does who closes a position.
    """

    key: int
    quantity: Decimal
    stop_cancelled_by_hand: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignDeal:
    """A deal of the account that is on no order of ours: shares, negative when sold.

    `closed_since` are shares that it may have closed, by claim, because exits of ours closed them after it.
    `opened_since` are the claims that were opened after it: it can hardly have closed those.
    `corrects_judged`: it is by how much a deal that was judged turned out to be another one.
    """

    client_id: int
    quantity: Decimal
    opened_since: frozenset[int] = frozenset()
    closed_since: Mapping[int, Decimal] = field(default_factory=dict)
    corrects_judged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduction:
    """By how many shares (positive) a claim is reduced; `twice` of these exits of ours had closed since.

    Where more was closed than opened, what is reduced came back, but for `twice`: that was closed once more.
    """

    key: int
    quantity: Decimal
    twice: Decimal = _NONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Whose the difference was: what belongs to `others` from now on, and what nobody explains."""

    finding: Finding
    others: Decimal
    reductions: tuple[Reduction, ...] = ()
    unexplained: Decimal = _NONE


def agrees(*, reported: Decimal, expected: Decimal, recent: Sequence[Decimal]) -> bool:
    """Say whether a position report fits what is expected.

    `recent` are the signed quantities of the deals that were heard within seconds of the report, oldest first: the
    report may know any first part of them.
    """
    settled = expected - sum(recent, _NONE)
    return reported in {settled, *accumulate(recent, initial=settled)}


def disagreement(
    *,
    reported: Decimal,
    expected: Decimal,
    recent: Sequence[Decimal],
    unrecorded: Sequence[Decimal] = (),
    young: Sequence[Decimal] = (),
    unjudged: Sequence[Decimal] = (),
) -> Decimal:
    """Return by how much a report disagrees; what is too young to be in it does not count, nor is it judged.

    `unrecorded` are deals of ours that the broker has told and that are not in `expected` yet: a report may know them.
    `unjudged` are the deals of others that nobody has judged yet, `young` those of them that were heard a moment ago.
    All signed, oldest first.
    """
    expected += sum(unrecorded, _NONE)
    if not agrees(reported=reported, expected=expected, recent=[*recent, *unrecorded]):
        return reported - expected
    # The report knows nothing yet of a deal that was just heard: it will. And what looks like a report that lags our
    # newest deals may be one that knows them, and a deal of others beside.
    return sum(young if reported == expected else unjudged, _NONE)


def is_doubtful(*, difference: Decimal, others_dealt: bool, exits_dealt: bool) -> bool:
    """Say whether nothing may be sent that closes shares of an execution.

    The account may not hold them (`difference`); others dealt, and nobody has judged it; or exits of the execution did,
    by the broker's answer, and our rows do not have it yet: what is to be sent was decided without it.
    """
    return bool(difference) or others_dealt or exits_dealt


def lags(*, reported: Decimal, expected: Decimal, recent: Sequence[Decimal]) -> bool:
    """Say whether the report agrees only if it does not know our newest deals yet: a later one has to say.

    Shares that we bought and somebody sold within those seconds look the same as shares not yet reported.
    """
    return reported != expected and agrees(reported=reported, expected=expected, recent=recent)


class Comparison(StrEnum):
    """What a complete answer says of an instrument beside what was noted of it before."""

    SETTLED = "SETTLED"  # It agrees, and knows all our deals.
    LAGS = "LAGS"  # It agrees if it lags: a later answer has to say.
    NEW_DOUBT = "NEW_DOUBT"  # It disagrees, and not as before: the seconds are counted from here.
    IN_DOUBT = "IN_DOUBT"  # It disagrees as before, for too short a time.
    CONFIRMED = "CONFIRMED"  # It disagrees as before, for long enough: it is to be judged.
    LEFT_TO_A_PERSON = "LEFT_TO_A_PERSON"  # The same was judged, and nothing explained it.


def is_explained(
    *, reported: Decimal, expected: Decimal, recent: Sequence[Decimal], unjudged: Sequence[Decimal]
) -> bool:
    """Say whether the report knows all deals of others that nobody has judged yet, and differs by nothing else.

    Then nothing has to be waited for: each second in which shares are gone and their stop still works may open a
    position. Where young deals of ours (`recent`) and others' would cancel out, a report that knows neither says the
    same: that has to be waited for. Both are signed, oldest first.
    """
    told = sum(unjudged, _NONE)
    if not told or reported - expected != told:
        return False
    return _newest_of(recent).isdisjoint(-newest for newest in _newest_of(unjudged))


def _newest_of(deals: Sequence[Decimal]) -> set[Decimal]:
    """Return what the newest deal makes, the two newest, and so on: so many a report may not know."""
    return set(accumulate(reversed(deals)))


def nets_out(*, claims: Iterable[Decimal], unjudged: Iterable[Decimal], theirs: Iterable[Decimal] = ()) -> bool:
    """Say whether deals of others may each have closed something of ours though together they change nothing.

    Where a long and a short claim stand side by side, one who closes both in TWS sells and buys: the account holds what
    it held. Where only one side is claimed, who sells and buys back has closed nothing; but one who sells what a known
    other program buys has (`theirs`: its deals, which never are about shares of ours).
    """
    sides, dealt = list(claims), list(unjudged)
    told = sum(dealt, _NONE)
    if told:
        return told == -sum(theirs, _NONE) and any(told * quantity < 0 for quantity in sides)
    return all(any(sign * one > 0 for one in quantities) for sign in (1, -1) for quantities in (sides, dealt))


def compare(
    *,
    difference: Decimal,
    lags: bool,
    disputed: Decimal | None,
    is_confirmed: bool,
    unexplained: Decimal,
    explained: bool = False,
) -> Comparison:
    """Say what a complete answer means. `disputed` is the difference that was noted before, None where there was none.

    `is_confirmed`: it was noted longer ago than a report lags. `unexplained`: what a person was asked about already.
    `explained`: see `is_explained` and `nets_out`.
    """
    if explained:
        return Comparison.CONFIRMED
    if not difference:
        return Comparison.LAGS if lags else Comparison.SETTLED
    if disputed is None or disputed != difference:
        return Comparison.NEW_DOUBT
    if not is_confirmed:
        return Comparison.IN_DOUBT
    return Comparison.CONFIRMED if unexplained != difference else Comparison.LEFT_TO_A_PERSON


def judge(
    *,
    reported: Decimal,
    claims: Sequence[Claim],
    others: Decimal,
    deals: Iterable[ForeignDeal] = (),
    use: AccountUse = AccountUse.SHARED,
    others_client_ids: frozenset[int] = frozenset(),
    claimed_lately: bool = False,
) -> Judgement:
    """Say whose the difference between a confirmed report and our books is.

    `claimed_lately`: a bracket that claims nothing any more claimed shares when the difference was seen first. What its
    exits have closed since may be what somebody took away before: then the account is left with what nobody asked for.
    Where it is explained, claims and others add up to `reported` afterwards; where it is not, nothing changes.
    """
    known = list(deals)
    difference = reported - others - sum((claim.quantity for claim in claims), _NONE)
    rest = difference - sum((deal.quantity for deal in known), _NONE)
    books = _Books(claims=claims, others=others)
    for deal in known:
        theirs = deal.client_id in others_client_ids or (use is AccountUse.SHARED and books.others_held(deal.quantity))
        if deal.corrects_judged and not theirs:
            # Whose it was is settled, and the execution may have ended by it: only a person can take that back.
            return Judgement(finding=Finding.UNEXPLAINED, others=others, unexplained=difference)
        books.take(deal.quantity, theirs=theirs, closed_since=deal.closed_since, opened_since=deal.opened_since)
    if rest:
        closes_ours = use is AccountUse.EXCLUSIVE and books.claimed_against(rest) >= abs(rest)
        is_anybodys = not books.others_held(rest) or (
            not known and looks_split(expected=reported - rest, held=reported)
        )
        if not closes_ours and (books.claims_anything() or claimed_lately) and is_anybodys:
            return Judgement(finding=Finding.UNEXPLAINED, others=others, unexplained=rest)
        books.take(rest, theirs=not closes_ours)
    if use is AccountUse.EXCLUSIVE:
        books.give_back(reported)
    reductions = books.reductions()
    if reductions:
        finding = Finding.CLOSED_ELSEWHERE
    else:
        finding = Finding.AGREES if books.others == others else Finding.OTHERS_CHANGED
    return Judgement(finding=finding, others=books.others, reductions=reductions)


def looks_split(*, expected: Decimal, held: Decimal) -> bool:
    """Say whether all that was expected was multiplied as in a split, of either direction.

    >>> looks_split(expected=Decimal(110), held=Decimal(55)), looks_split(expected=Decimal(110), held=Decimal(60))
    (True, False)
    """
    return any(held == expected * ratio or expected == held * ratio for ratio in _SPLITS if expected and held)


class _Books:
    """Claims and others while a difference is handed out between them."""

    def __init__(self, *, claims: Sequence[Claim], others: Decimal) -> None:
        self.others = others
        # Whose stop was just cancelled by hand first, then the youngest.
        self._claims = sorted(claims, key=lambda claim: (not claim.stop_cancelled_by_hand, -claim.key))
        self._left = {claim.key: claim.quantity for claim in claims}
        self._taken: dict[int, Decimal] = {}
        self._taken_twice: dict[int, Decimal] = {}

    def claims_anything(self) -> bool:
        return any(self._left.values())

    def others_held(self, quantity: Decimal) -> bool:
        """Say whether a deal of that signed quantity only takes away what others hold."""
        return self.others >= -quantity if quantity < 0 else self.others <= -quantity

    def claimed_against(self, quantity: Decimal) -> Decimal:
        """Return how many shares are claimed that a deal of that signed quantity would close."""
        return sum((abs(left) for left in self._left.values() if left * quantity < 0), _NONE)

    def take(
        self,
        quantity: Decimal,
        *,
        theirs: bool,
        closed_since: Mapping[int, Decimal] | None = None,
        opened_since: frozenset[int] = frozenset(),
    ) -> None:
        """Hand out a deal: to the claims that it closes unless it is theirs, the rest to the others.

        What a claim still holds goes first, of those that were there before it; then what exits of ours have closed
        since the deal did. Only where that is not enough the claims that were opened since: a time stamp may be odd.
        """
        rest = quantity
        for claim in sorted(self._claims, key=lambda claim: claim.key in opened_since) if not theirs else ():
            left = self._left[claim.key]
            if left * rest < 0:
                taken = min(abs(left), abs(rest)).copy_sign(rest)
                self._left[claim.key] = left + taken
                self._note(self._taken, claim.key, abs(taken))
                rest -= taken
        for key, closed in sorted((closed_since or {}).items(), reverse=True) if not theirs else ():
            twice = min(closed - self._taken_twice.get(key, _NONE), abs(rest))
            if twice > 0:
                self._note(self._taken_twice, key, twice)
                self._note(self._taken, key, twice)
                rest -= twice.copy_sign(rest)
        self.others += rest

    def give_back(self, reported: Decimal) -> None:
        """Give the claims of one side back what the account shows, where nobody else holds anything.

        A deal that is told late may be from before the entry; by its time stamp alone nobody can be sure of that.
        """
        sign = 1 if all(claim.quantity >= 0 for claim in self._claims) else -1
        if any(claim.quantity * sign < 0 for claim in self._claims):
            return
        claimed = sum((abs(claim.quantity) for claim in self._claims), _NONE)
        spare = min(claimed, reported * sign) - sum((abs(left) for left in self._left.values()), _NONE)
        for claim in reversed(self._claims):
            back = min(spare, abs(claim.quantity - self._left[claim.key]))
            if back > 0:
                self._left[claim.key] += back * sign
                self._note(self._taken, claim.key, -back)
                self.others -= back * sign
                spare -= back

    def reductions(self) -> tuple[Reduction, ...]:
        twice = self._taken_twice
        return tuple(
            Reduction(key=key, quantity=quantity, twice=min(twice.get(key, _NONE), quantity))
            for key, quantity in sorted(self._taken.items())
            if quantity
        )

    @staticmethod
    def _note(taken: dict[int, Decimal], key: int, quantity: Decimal) -> None:
        taken[key] = taken.get(key, _NONE) + quantity
