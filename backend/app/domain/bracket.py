"""The bracket as a plan: entry, protective stop and targets, what makes one valid, and how it splits into tranches.

A native bracket has one quantity: the broker forces a child's quantity to its parent's. A setup with several targets
is therefore placed as several brackets ("tranches"), one for each target and one for the shares without a target, so
that every share is protected from its first fill.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from app.core.decimal_text import plain
from app.core.errors import FixRequest, RetryLater
from app.domain.contract import PriceIncrement
from app.domain.prices import is_on_tick, is_price, tick_at
from app.domain.sizing import whole_shares
from app.domain.terms import EntryType, Side


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A take-profit: `fraction` of the position, 0 < fraction <= 1, is closed at `price`."""

    price: Decimal
    fraction: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryPlan:
    """How a position is entered.

    `price` is the limit of a LIMIT entry and the trigger of a STOP or STOP_LIMIT entry; `limit_price` is the limit of
    a STOP_LIMIT entry. A MARKET entry has neither.
    """

    type: EntryType
    price: Decimal | None = None
    limit_price: Decimal | None = None

    @property
    def reference_price(self) -> Decimal | None:
        """The price the entry is planned at; None for a market entry."""
        return self.price

    @property
    def worst_price(self) -> Decimal | None:
        """The worst price the entry can be filled at by its own terms, which a risk must be sized by; None if any."""
        return self.limit_price if self.type is EntryType.STOP_LIMIT else self.price


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One reason why a plan is refused. `field` is the API's name of what to change."""

    code: str
    field: str
    message: str

    def as_details(self) -> dict[str, str]:
        """Return the problem as the API shows it."""
        return {"code": self.code, "field": self.field, "message": self.message}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tranche:
    """One native bracket to be: its number from 1, whole shares, and its target if it has one."""

    number: int
    quantity: Decimal
    take_profit_price: Decimal | None


def bracket_problems(
    *,
    side: Side,
    entry: EntryPlan,
    stop_price: Decimal,
    targets: Sequence[Target] = (),
    last_price: Decimal | None = None,
    increments: Sequence[PriceIncrement] | None = None,
) -> list[Problem]:
    """Return every reason to refuse the plan, in the order a reader would meet them; empty when there is none.

    Where a price is missing or no price at all, only that is told: nothing can be compared with it.

    `last_price` is needed to judge the stop of a market entry; `increments` to judge ticks. Where one is None, the
    checks that depend on it are left out: the caller must know that it did not ask.

    Raises RetryLater `price_unknown` for a `last_price` that is no price (NaN, -1: a feed without data).
    """
    if last_price is not None and not is_price(last_price):
        raise RetryLater(f"The last price is not known now: {last_price} is none.", code="price_unknown")
    problems = list(_entry_problems(side=side, entry=entry))
    problems += _positive_problems({"stop_price": stop_price})
    problems += [problem for target in targets for problem in _positive_problems({"take_profits": target.price})]
    if problems:
        return problems
    reference = entry.reference_price if entry.type is not EntryType.MARKET else last_price
    if reference is not None:
        problems += _side_problems(side=side, reference=reference, stop_price=stop_price, targets=targets)
    problems += _fraction_problems(targets)
    if increments is not None:
        problems += _tick_problems(entry=entry, stop_price=stop_price, targets=targets, increments=increments)
    return problems


def require_valid(problems: Sequence[Problem]) -> None:
    """Raise FixRequest with the first problem's code, and all of them in `details`; do nothing when there is none."""
    if problems:
        details: dict[str, Any] = {"problems": [problem.as_details() for problem in problems]}
        raise FixRequest(problems[0].message, code=problems[0].code, details=details)


def split_into_tranches(*, quantity: Decimal, targets: Sequence[Target]) -> list[Tranche]:
    """Return the brackets that carry `quantity` whole shares.

    Each target takes its fraction rounded down to whole shares; what is left over goes to the last target when the
    fractions make up the whole position, and otherwise to a tranche without a target. The tranches make up `quantity`.

    Raises FixRequest `size_not_positive`, `size_not_whole`, `target_fractions`, and `target_below_one_share` for a
    target too small for one share.
    """
    quantity = whole_shares(quantity)
    require_valid(list(_fraction_problems(targets)))
    shares = [(quantity * target.fraction).quantize(Decimal(1), rounding=ROUND_DOWN) for target in targets]
    rest = quantity - sum(shares, Decimal(0))
    if targets and sum(target.fraction for target in targets) == 1:
        shares[-1] += rest
        rest = Decimal(0)
    if any(share < 1 for share in shares):
        raise FixRequest(
            f"{quantity} shares are too few for {len(targets)} targets: each needs at least one.",
            code="target_below_one_share",
        )
    parts: list[tuple[Decimal, Decimal | None]] = [
        (share, target.price) for share, target in zip(shares, targets, strict=True)
    ]
    if rest:
        parts.append((rest, None))
    return [
        Tranche(number=number, quantity=share, take_profit_price=price)
        for number, (share, price) in enumerate(parts, start=1)
    ]


def _entry_problems(*, side: Side, entry: EntryPlan) -> Iterable[Problem]:
    needed = {
        EntryType.MARKET: (),
        EntryType.LIMIT: ("entry_price",),
        EntryType.STOP: ("entry_price",),
        EntryType.STOP_LIMIT: ("entry_price", "entry_limit_price"),
    }[entry.type]
    prices = {"entry_price": entry.price, "entry_limit_price": entry.limit_price}
    for name, price in prices.items():
        if name in needed and price is None:
            yield Problem(code="price_missing", field=name, message=f"A {entry.type} entry needs {name}.")
        elif name not in needed and price is not None:
            yield Problem(code="price_not_used", field=name, message=f"A {entry.type} entry has no {name}.")
    yield from _positive_problems({name: price for name, price in prices.items() if price is not None})
    if not (is_price(entry.price) and is_price(entry.limit_price)):
        return
    if (entry.limit_price - entry.price) * side.sign < 0:
        yield Problem(
            code="entry_limit_wrong_side",
            field="entry_limit_price",
            message=f"Triggered at {_told(entry.price)}, a {side} entry cannot fill at {_told(entry.limit_price)}.",
        )


def _positive_problems(prices: dict[str, Decimal]) -> Iterable[Problem]:
    for name, price in prices.items():
        if not is_price(price):
            yield Problem(
                code="price_not_positive", field=name, message=f"A price must be positive, not {_told(price)}."
            )


def _side_problems(
    *, side: Side, reference: Decimal, stop_price: Decimal, targets: Sequence[Target]
) -> Iterable[Problem]:
    below, above = ("below", "above") if side is Side.LONG else ("above", "below")
    if (reference - stop_price) * side.sign <= 0:
        yield Problem(
            code="stop_wrong_side",
            field="stop_price",
            message=f"A {side} stop belongs {below} its entry: {_told(stop_price)}, entry {_told(reference)}.",
        )
    for target in targets:
        if (target.price - reference) * side.sign <= 0:
            yield Problem(
                code="target_wrong_side",
                field="take_profits",
                message=f"A {side} target belongs {above} its entry: {_told(target.price)}, entry {_told(reference)}.",
            )


def _fraction_problems(targets: Sequence[Target]) -> Iterable[Problem]:
    if not _fractions_fit(targets):
        given = ", ".join(str(target.fraction) for target in targets)
        yield Problem(
            code="target_fractions",
            field="take_profits",
            message=f"Each target's fraction is above 0, and together they are at most 1: {given} are not.",
        )


def _fractions_fit(targets: Sequence[Target]) -> bool:
    fractions = [target.fraction for target in targets]
    return all(fraction.is_finite() and fraction > 0 for fraction in fractions) and sum(fractions) <= 1


def _tick_problems(
    *, entry: EntryPlan, stop_price: Decimal, targets: Sequence[Target], increments: Sequence[PriceIncrement]
) -> Iterable[Problem]:
    named = [("entry_price", entry.price), ("entry_limit_price", entry.limit_price), ("stop_price", stop_price)]
    named += [("take_profits", target.price) for target in targets]
    for name, price in named:
        if price is not None and not is_on_tick(price, increments):
            yield Problem(
                code="price_off_tick",
                field=name,
                message=f"{_told(price)} is not a multiple of the tick {plain(tick_at(price, increments))}.",
            )


def _told(price: Decimal) -> str:
    return plain(price, places_min=2)
