"""Take a request to close what an execution holds, or a part of it: check it, write it down, have it done.

    fraction or quantity ──> whole shares, from tranche 1 upwards ──> each bracket: to how many shares it is reduced
    all of it, at the market                                      ──> as the kill switch closes; open entries cancelled

A limit moves the targets of whole tranches; without a target at work nothing can rest at that price beside the stop.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from django.contrib.auth.models import User
from django.db import transaction

from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest
from app.domain.close import Share, shares_to_close, target_to_move
from app.domain.command import CommandReason
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.prices import is_on_tick, is_price, tick_at
from app.domain.terms import Leg, OrderType
from app.executions import dispatch, news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Decision, Execution, open_quantity_of
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.close_facts import close_facts
from app.executions.services.flatten import CLOSE_REQUESTED, execution_flatten_request
from app.executions.services.request import idempotency_key_check, require_account_allowed
from app.executions.services.tranches_net import tranches_net
from app.market.models import Instrument
from app.market.services import increments_of

_NONE = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseAsked:
    """How much is to be closed and how: `fraction` of what is open (1: all of it) or `quantity` shares."""

    fraction: Decimal | None = None
    quantity: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None

    def digest(self, execution_id: int) -> str:
        """What names this request: the same key with another one is refused."""
        said = [
            execution_id,
            *(None if one is None else str(one.normalize()) for one in (self.fraction, self.quantity)),
            self.order_type.value,
            None if self.limit_price is None else str(self.limit_price.normalize()),
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def execution_close_request(
    *, execution_id: int, asked: CloseAsked, user: User, idempotency_key: str, now: datetime
) -> None:
    """Write down that it is to be closed, and have it done. The same key with the same request changes nothing.

    Raises FixRequest `idempotency_key_missing`, `idempotency_key_invalid`, `idempotency_key_reused`,
    `close_size_unclear`, `fraction_out_of_range`, `close_nothing`, `quantity_too_large`, `quantity_not_whole`,
    `limit_price_unclear`, `price_not_positive`, `price_off_tick`; Conflict `execution_finished`, `nothing_held`,
    `closing_already`, `surplus_first`, `entry_open`, `no_target_to_move`, `limit_closes_whole_tranches`; what
    `require_account_allowed` raises.
    """
    idempotency_key_check(idempotency_key)
    digest = asked.digest(execution_id)
    with transaction.atomic():
        # Two requests of one person with one key, at once: the second reads what the first wrote.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if _is_known(user, key=idempotency_key, digest=digest):
            return
        locked = Execution.objects.select_for_update(no_key=True, of=("self",)).select_related("account")
        execution = locked.get(pk=execution_id)
        require_account_allowed(account=execution.account, user=user)
        _require_clear(asked, symbol=execution.symbol)
        tranches_net(execution, now=now)
        quantity, is_whole = _quantity(execution, asked)
        brackets = list(execution.brackets.prefetch_related("orders").order_by("tranche"))
        sizes = _sizes(brackets, quantity=quantity)
        evidence = {"idempotency_key": idempotency_key, "digest": digest, "quantity": str(quantity)}
        decision_record(
            actor=Actor.PERSON,
            user=user,
            action=CLOSE_REQUESTED,
            reason=f"{user.get_username()} closes {_how_much(quantity, execution, asked)}.",
            evidence=evidence | {"tranches": {str(b.tranche): str(sizes[b.pk]) for b in brackets if b.pk in sizes}},
            account=execution.account,
            execution=execution,
            now=now,
        )
        if is_whole and asked.order_type is OrderType.MARKET:
            _close_all(execution, user=user, now=now)
        else:
            _close_part(execution, brackets, sizes, asked=asked, now=now)
        dispatch.flatten_on_commit(execution_id)
        news.publish_on_commit(execution_id)


def _is_known(user: User, *, key: str, digest: str) -> bool:
    """Say whether the request was taken before. Raises FixRequest `idempotency_key_reused`."""
    known = Decision.objects.filter(user=user, action=CLOSE_REQUESTED, evidence__idempotency_key=key).first()
    if known is not None and known.evidence["digest"] != digest:
        raise FixRequest("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    return known is not None


def _require_clear(asked: CloseAsked, *, symbol: str) -> None:
    if (asked.fraction is None) == (asked.quantity is None):
        raise FixRequest("Say how much: a fraction of what is open, or a quantity.", code="close_size_unclear")
    if asked.fraction is not None and not 0 < asked.fraction <= 1:
        raise FixRequest(
            f"A fraction is above 0 and at most 1, not {plain(asked.fraction)}.", code="fraction_out_of_range"
        )
    if (asked.order_type is OrderType.LIMIT) != (asked.limit_price is not None):
        raise FixRequest("A LIMIT needs a limit_price, a MARKET has none.", code="limit_price_unclear")
    if asked.limit_price is None:
        return
    if not is_price(asked.limit_price):
        raise FixRequest(f"A price must be positive, not {plain(asked.limit_price)}.", code="price_not_positive")
    known = Instrument.objects.filter(symbol=symbol).first()
    increments = increments_of(known) if known is not None else ()
    if increments and not is_on_tick(asked.limit_price, increments):
        tick = plain(tick_at(asked.limit_price, increments))
        raise FixRequest(f"{plain(asked.limit_price)} is not a multiple of the tick {tick}.", code="price_off_tick")


def _quantity(execution: Execution, asked: CloseAsked) -> tuple[Decimal, bool]:
    """Return how many shares are to be closed, and whether that is all that is open."""
    open_now = execution.open_quantity
    if execution.is_finished:
        raise Conflict(f"The execution is finished: {execution.status}.", code="execution_finished")
    if open_now <= 0:
        raise Conflict("No share is held that could be closed.", code="nothing_held")
    quantity = asked.quantity
    if quantity is None:
        quantity = (open_now * (asked.fraction or _NONE)).quantize(Decimal(1), rounding=ROUND_DOWN)
        quantity = open_now if asked.fraction == 1 else quantity
    elif quantity != quantity.to_integral_value() and quantity != open_now:
        raise FixRequest("A part is closed in whole shares.", code="quantity_not_whole")
    if quantity <= 0:
        raise FixRequest(f"That is less than one of {plain(open_now)} shares.", code="close_nothing")
    if quantity > open_now:
        raise FixRequest(
            f"{plain(open_now)} shares are open, not {plain(quantity)}.",
            code="quantity_too_large",
            details={"quantity_max": plain(open_now)},
        )
    is_whole = quantity == open_now
    is_stronger = is_whole and asked.order_type is OrderType.MARKET
    if execution.flatten_requested_at is not None or (execution.close_requested_at is not None and not is_stronger):
        raise Conflict("It is being closed already.", code="closing_already")
    return quantity, is_whole


def _sizes(brackets: Sequence[Bracket], *, quantity: Decimal) -> dict[int, Decimal]:
    """Return how many shares each bracket closes, by its key; none where it closes none."""
    shares = [Share(key=bracket.pk, open=open_quantity_of(list(bracket.orders.all()))) for bracket in brackets]
    if any(share.open < 0 for share in shares):
        raise Conflict(
            "A tranche closed more than it opened, and how much the others may close is known once its deals are, or "
            "what is given back has filled.",
            code="surplus_first",
        )
    return shares_to_close(open_of=shares, quantity=quantity)


def _close_all(execution: Execution, *, user: User, now: datetime) -> None:
    with suppress(Conflict):  # No entry is open: nothing more can be filled.
        execution_cancel_request(execution_id=execution.pk, reason=CommandReason.REQUESTED, user=user, now=now)
    execution_flatten_request(
        execution_id=execution.pk, actor=Actor.PERSON, user=user, reason="It is closed on request.", now=now
    )


def _close_part(
    execution: Execution, brackets: Sequence[Bracket], sizes: Mapping[int, Decimal], *, asked: CloseAsked, now: datetime
) -> None:
    execution.close_requested_at = now
    for bracket in brackets:
        size = sizes.get(bracket.pk, _NONE)
        if not size:
            continue
        orders = list(bracket.orders.all())
        entry = next(order for order in orders if order.leg == Leg.ENTRY.value)
        if OrderStatus(entry.status) not in TERMINAL:
            raise Conflict(
                f"The entry of tranche {bracket.tranche} is still open: cancel what is not filled, or close all of it.",
                code="entry_open",
            )
        bracket.keep_quantity = open_quantity_of(orders) - size
        bracket.close_limit_price, bracket.close_tries = asked.limit_price, 0
        if asked.limit_price is not None:
            _require_target(execution, bracket)
        bracket.save(update_fields=["keep_quantity", "close_limit_price", "close_tries"])
    execution.save(update_fields=["close_requested_at"])


def _require_target(execution: Execution, bracket: Bracket) -> None:
    if bracket.keep_quantity:
        raise Conflict(
            f"At a limit tranche {bracket.tranche} is closed as a whole: its one target is moved.",
            code="limit_closes_whole_tranches",
            details={"tranche": bracket.tranche, "quantity": plain(bracket.quantity)},
        )
    facts = close_facts(execution, bracket)
    if facts is None or target_to_move(facts) is None:
        raise Conflict(
            f"Tranche {bracket.tranche} has no target at work that could be moved to the limit.",
            code="no_target_to_move",
            details={"tranche": bracket.tranche},
        )


def _how_much(quantity: Decimal, execution: Execution, asked: CloseAsked) -> str:
    at = "at the market" if asked.limit_price is None else f"at {plain(asked.limit_price)} or better"
    return f"{plain(quantity)} of {plain(execution.open_quantity)} shares {at}"
