"""Move a stop or a target of what runs: a person says where to, and where it was when they looked.

    checked: tick, side, market ──> under the lock: is it still where it was? ──> MODIFY, one an order ──> commands_send
                                                                                   └── settled by the broker's echo

A price that would trigger at once is refused where a quote that is at most five seconds old says so; without one the
broker decides. A move that is refused, or not taken, leaves the order at its old price, and a person is told.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from django.contrib.auth.models import User
from django.db import transaction

from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest, NotFound
from app.domain.command import CommandReason
from app.domain.contract import PriceIncrement
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.prices import is_on_tick, is_price, tick_at
from app.domain.terms import Leg, Side
from app.executions import dispatch, news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Decision, Execution, Order, OrderCommand
from app.executions.services.commands_write import change_write
from app.executions.services.request import idempotency_key_check, require_account_allowed
from app.market.models import Instrument
from app.market.services import increments_of, price_fresh

QUOTE_SECONDS_MAX = 5.0
_MOVABLE = (OrderStatus.HELD, OrderStatus.WORKING)


class Moved(StrEnum):
    """What is moved."""

    STOP = "stop"
    TARGET = "target"

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that are moved together."""
        return (Leg.STOP_LOSS, Leg.PROTECT) if self is Moved.STOP else (Leg.TAKE_PROFIT,)

    @property
    def column(self) -> str:
        """The price of such an order."""
        return "stop_price" if self is Moved.STOP else "limit_price"


_ACTIONS: Mapping[Moved, str] = MappingProxyType({what: f"MOVE_{what.name}" for what in Moved})


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """Where to, and where it was when it was looked at. Without a tranche the stops of all are moved."""

    what: Moved
    price: Decimal
    expected_price: Decimal
    tranche: int | None = None

    @property
    def digest(self) -> str:
        """What names this move: the same key with another one is refused."""
        said = [self.what, self.tranche, str(self.price.normalize()), str(self.expected_price.normalize())]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def order_move_request(
    *, execution_id: int, move: Move, user: User, idempotency_key: str, now: datetime
) -> list[OrderCommand]:
    """Write the changes that move the orders, and have them sent; the same key again returns the same changes.

    Raises FixRequest `idempotency_key_missing`, `idempotency_key_invalid`, `idempotency_key_reused`,
    `price_not_positive`, `price_off_tick`, `price_unchanged`, `stop_wrong_side`, `target_wrong_side`,
    `would_trigger_at_once`; NotFound `tranche_not_found`; Conflict `execution_finished`, `nothing_to_move`,
    `price_changed`; what `require_account_allowed` raises.
    """
    idempotency_key_check(idempotency_key)
    execution = Execution.objects.select_related("account").get(pk=execution_id)
    if known := _known(execution, move, user=user, key=idempotency_key):
        return known
    require_account_allowed(account=execution.account, user=user)
    _require_price(move, _increments(execution.symbol))
    quote = price_fresh(execution.symbol, seconds_max=QUOTE_SECONDS_MAX)
    return _write(execution_id, move, user=user, key=idempotency_key, quote=quote, now=now)


@transaction.atomic
def _write(
    execution_id: int, move: Move, *, user: User, key: str, quote: Decimal | None, now: datetime
) -> list[OrderCommand]:
    locked = Execution.objects.select_for_update(no_key=True, of=("self",)).select_related("account")
    execution = locked.get(pk=execution_id)
    if known := _known(execution, move, user=user, key=key):
        return known  # Sent twice at once.
    if execution.is_finished:
        raise Conflict(f"The execution is finished: {execution.status}.", code="execution_finished")
    brackets = _brackets(execution, move)
    orders = [order for bracket in brackets for order in orders_to_move(bracket, move.what)]
    if not orders:
        raise Conflict(f"No {move.what} works at the broker that could be moved.", code="nothing_to_move")
    _require_where_expected(orders, move)
    for bracket in brackets:
        _require_side(bracket, move, side=Side(execution.side))
    if any(order.filled_quantity < order.quantity for order in orders):
        _require_waits(brackets, move, side=Side(execution.side), quote=quote)
    commands = [
        change_write(
            order=order,
            execution=execution,
            change={move.what.column: move.price},
            actor=Actor.PERSON,
            reason=CommandReason.MOVED,
            user=user,
            evidence={"quote": str(quote) if quote else ""},
            now=now,
        )
        for order in orders
    ]
    decision_record(
        actor=Actor.PERSON,
        user=user,
        action=_ACTIONS[move.what],
        reason=f"{user.get_username()} moves it from {_told(move.expected_price)} to {_told(move.price)}.",
        evidence={
            "orders": [order.order_ref for order in orders],
            "quote": str(quote) if quote else None,
            "idempotency_key": key,
            "digest": move.digest,
            # Those of an earlier request where they want the same.
            "commands": [command.pk for command in commands],
        },
        account=execution.account,
        execution=execution,
        bracket=brackets[0] if len(brackets) == 1 else None,
        now=now,
    )
    dispatch.changes_on_commit(execution.pk)
    news.publish_on_commit(execution.pk)
    return commands


def _known(execution: Execution, move: Move, *, user: User, key: str) -> list[OrderCommand]:
    """Return what was answered under this key before. Raises FixRequest `idempotency_key_reused`."""
    asked = Decision.objects.filter(execution=execution, user=user, action__in=_ACTIONS.values())
    known = asked.filter(evidence__idempotency_key=key).first()
    if known is None:
        return []
    if known.evidence["digest"] != move.digest:
        raise FixRequest("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    commands = OrderCommand.objects.select_related("order").filter(pk__in=known.evidence["commands"])
    return list(commands.order_by("id"))


def _increments(symbol: str) -> Sequence[PriceIncrement]:
    known = Instrument.objects.filter(symbol=symbol).first()
    return increments_of(known) if known is not None else ()


def _require_price(move: Move, increments: Sequence[PriceIncrement]) -> None:
    if not is_price(move.price):
        raise FixRequest(f"A price must be positive, not {plain(move.price)}.", code="price_not_positive")
    if move.price == move.expected_price:
        raise FixRequest(f"It is at {_told(move.price)} already.", code="price_unchanged")
    if increments and not is_on_tick(move.price, increments):
        raise FixRequest(
            f"{_told(move.price)} is not a multiple of the tick {plain(tick_at(move.price, increments))}.",
            code="price_off_tick",
        )


def _brackets(execution: Execution, move: Move) -> list[Bracket]:
    brackets = list(execution.brackets.prefetch_related("orders").order_by("tranche"))
    if move.tranche is None:
        return brackets
    chosen = [bracket for bracket in brackets if bracket.tranche == move.tranche]
    if not chosen:
        raise NotFound(f"The execution has no tranche {move.tranche}.", code="tranche_not_found")
    return chosen


def orders_to_move(bracket: Bracket, what: Moved) -> Iterable[Order]:
    """Return the bracket's orders of that kind that work at the broker; its orders were read."""
    for order in bracket.orders.all():
        if order.leg in what.legs and OrderStatus(order.status) in _MOVABLE and order.order_id is not None:
            yield order


def _require_where_expected(orders: Sequence[Order], move: Move) -> None:
    prices = {order.order_ref: getattr(order, move.what.column) for order in orders}
    if any(price != move.expected_price for price in prices.values()):
        raise Conflict(
            f"It is not at {_told(move.expected_price)} any more; look again.",
            code="price_changed",
            details={"prices": {ref: _told(price) for ref, price in prices.items()}},
        )


def _require_side(bracket: Bracket, move: Move, *, side: Side) -> None:
    """Raise FixRequest where the price lies beyond what it is the other side of: stop, entry that waits, target."""
    legs = [order for order in bracket.orders.all() if OrderStatus(order.status) not in TERMINAL]
    entry = next((order for order in legs if order.leg == Leg.ENTRY.value), None)
    target = next((order for order in legs if order.leg == Leg.TAKE_PROFIT.value), None)
    stops = [order for order in legs if order.leg in Moved.STOP.legs]
    waits_at = (entry.limit_price or entry.stop_price) if entry is not None and not entry.filled_quantity else None
    if move.what is Moved.STOP:
        for other in (target.limit_price if target is not None else None, waits_at):
            if other is not None and (other - move.price) * side.sign <= 0:
                raise FixRequest(
                    f"The stop {_told(move.price)} is not on the losing side of {_told(other)}.", code="stop_wrong_side"
                )
        return
    for other in (*(stop.stop_price for stop in stops), waits_at):
        if other is not None and (move.price - other) * side.sign <= 0:
            raise FixRequest(
                f"The target {_told(move.price)} is not on the winning side of {_told(other)}.",
                code="target_wrong_side",
            )


def _require_waits(brackets: Sequence[Bracket], move: Move, *, side: Side, quote: Decimal | None) -> None:
    """Raise FixRequest where shares are held and the price would trigger at once; a child of an entry only waits."""
    held = any(
        order.filled_quantity for bracket in brackets for order in bracket.orders.all() if order.leg == Leg.ENTRY.value
    )
    if quote is None or not held:
        return
    beyond = (quote - move.price) if move.what is Moved.STOP else (move.price - quote)
    if beyond * side.sign <= 0:
        raise FixRequest(
            f"The market is at {_told(quote)}: at {_told(move.price)} the {move.what} would trigger at once.",
            code="would_trigger_at_once",
            details={"quote": _told(quote)},
        )


def _told(price: Decimal | None) -> str:
    return plain(price, places_min=2) if price is not None else "no price"
