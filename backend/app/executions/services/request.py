"""Take a request to execute a setup: check it, write it down, hand it to the broker worker."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from app.accounts.entry_gate import CIRCUIT_OPEN, entry_refusal
from app.accounts.kill_switch import kill_switches_engaged
from app.accounts.models import Account, Position
from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest, Forbidden, RetryLater, TradingError
from app.domain.bracket import Tranche, split_into_tranches
from app.domain.command import CommandReason
from app.domain.execution_status import FINISHED
from app.domain.order_ref import OrderRef
from app.domain.sizing import size_position
from app.domain.terms import EntryType, Leg, OrderType, Side, TimeInForce
from app.executions import dispatch, news
from app.executions.models import ONE_UNFINISHED_PER_SETUP, Actor, Bracket, Execution, Order, OrderCommand
from app.executions.services.commands_write import place_of
from app.executions.services.order_room import room_require
from app.market.services import increments_of, instrument_resolve, price_now
from app.setups.models import Setup
from app.setups.revision import Seen, require_seen
from app.setups.services import entry_plan, plan_of, setup_mark_executed, setup_require_valid, targets_of

MARKET_ENTRY_TIMEOUT_SECONDS = 60
IDEMPOTENCY_KEY_LENGTH_MAX = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """What the checks before the first row found: the size, and each check with its outcome."""

    plan: Mapping[str, Any]
    con_id: int
    quantity: Decimal
    tranches: list[Tranche]
    checks: list[dict[str, str]]


def execution_request(
    *, setup: Setup, user: User, idempotency_key: str, body: Mapping[str, Any], now: datetime, seen: Seen = None
) -> tuple[Execution, bool]:
    """Write an execution of `setup` and have it submitted; return it, and whether it is new.

    The same key with the same body answers the first execution again, also where the plan has moved on since. Else the
    plan must be one of the revisions `seen` (None: whichever it is): it is compared before it is judged, and again
    under the row's lock in the transaction that writes.

    Raises FixRequest `idempotency_key_missing`, `idempotency_key_reused` (same key, other request), or what the
    preflight refuses; Conflict `setup_archived`, `revision_changed`, `setup_changed` (while it was checked),
    `execution_in_progress`, `kill_switch_engaged`; Forbidden `live_not_allowed`; RetryLater where something needed
    cannot be known now.
    """
    digest = _digest(setup=setup, body=body)
    idempotency_key_check(idempotency_key)
    known = Execution.objects.filter(requested_by=user, idempotency_key=idempotency_key).first()
    if known is not None:
        return _same_request(known, digest=digest), False
    require_not_archived(setup)
    require_seen(setup, seen=seen)
    preflight = _preflight(setup=setup, user=user, now=now)
    try:
        with transaction.atomic():
            locked = _setup_locked(setup.pk, preflight=preflight, seen=seen)
            execution = _write(
                setup=locked, user=user, key=idempotency_key, digest=digest, preflight=preflight, now=now
            )
            dispatch.submit_on_commit(execution.pk)
            news.publish_on_commit(execution.pk)
    except IntegrityError as error:
        # Two requests at once: the database let one through. The same key is the same request, else it is a second one.
        known = Execution.objects.filter(requested_by=user, idempotency_key=idempotency_key).first()
        if known is not None:
            return _same_request(known, digest=digest), False
        if ONE_UNFINISHED_PER_SETUP not in str(error):
            raise
        raise _in_progress(setup.pk) from None
    return execution, True


def idempotency_key_check(idempotency_key: str) -> None:
    """Raise FixRequest `idempotency_key_missing` or `idempotency_key_invalid` where it cannot name a request."""
    if not idempotency_key:
        raise FixRequest(
            "Send an Idempotency-Key header: a text of your own that names this request, so that sending it again "
            "cannot trade twice.",
            code="idempotency_key_missing",
        )
    if len(idempotency_key) > IDEMPOTENCY_KEY_LENGTH_MAX or not idempotency_key.isprintable():
        raise FixRequest(
            f"An Idempotency-Key has at most {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters.",
            code="idempotency_key_invalid",
        )


def _digest(*, setup: Setup, body: Mapping[str, Any]) -> str:
    canonical = json.dumps({"setup": setup.pk, "body": body}, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def require_entries_allowed(account: Account, *, now: datetime) -> None:
    """Raise RetryLater `gateway_maintenance` or `circuit_open` while no entry is begun on the account."""
    refusal = entry_refusal(account, now=now)
    if refusal is None:
        return
    details = {"until": _as_the_api_writes(refusal.until)} if refusal.until else {}
    if refusal.code == CIRCUIT_OPEN:
        raise RetryLater(refusal.reason, code="circuit_open", details=details)
    raise RetryLater(refusal.reason, code="gateway_maintenance", details=details)


def _same_request(known: Execution, *, digest: str) -> Execution:
    if known.request_digest != digest:
        raise FixRequest(
            "This Idempotency-Key was used for another request.",
            code="idempotency_key_reused",
            details={"execution": known.pk},
        )
    return known


def _in_progress(setup_id: int) -> Conflict:
    running = Execution.objects.filter(setup_id=setup_id).exclude(status__in=FINISHED).first()
    return Conflict(
        "This setup is being executed already.",
        code="execution_in_progress",
        details={"execution": running.pk if running else None},
    )


def why_not_now(*, setup: Setup, user: User, now: datetime) -> TradingError | None:
    """Return why a request to execute the setup could only be refused, None where it may be taken.

    For showing it beforehand: nobody outside is asked, and `execution_request` judges again.
    """
    try:
        require_not_archived(setup)
        if Execution.objects.filter(setup=setup).exclude(status__in=FINISHED).exists():
            return _in_progress(setup.pk)
        require_account_allowed(account=setup.account, user=user)
        require_not_stopped(setup.account)
        require_entries_allowed(setup.account, now=now)
    except TradingError as error:
        return error
    return None


def _preflight(*, setup: Setup, user: User, now: datetime) -> Preflight:
    checks: list[dict[str, str]] = []

    def passed(check: str, detail: str) -> None:
        checks.append({"check": check, "outcome": "passed", "detail": detail})

    require_account_allowed(account=setup.account, user=user)
    passed("account", f"{setup.account} is {setup.account.mode}")
    require_not_stopped(setup.account)
    passed("kill_switch", "not engaged")
    require_entries_allowed(setup.account, now=now)
    passed("broker", "no maintenance, and no repeated failures")
    is_market = setup.entry_type == EntryType.MARKET.value
    instrument = instrument_resolve(setup.symbol, price_needed=is_market)
    _require_position_known(setup.account, con_id=instrument.con_id)
    passed("position", "the account holds what our books say, as far as it was compared")
    passed("symbol", f"contract {instrument.con_id} on {instrument.primary_exchange or setup.exchange}")
    last_price = price_now(instrument, now=now) if is_market else None
    targets = targets_of(setup)
    setup_require_valid(setup, targets=targets, increments=increments_of(instrument), last_price=last_price)
    if is_market and last_price is None:
        checks.append({"check": "stop_side", "outcome": "not_checked", "detail": "no price younger than 30 s"})
    judged_at = last_price or setup.entry_price
    if judged_at is None:
        detail = "no price to judge them at: only the stop and the targets were compared"
        checks.append({"check": "prices", "outcome": "not_checked", "detail": detail})
    else:
        passed("prices", f"judged at {plain(judged_at, places_min=2)}")
    _require_same_currency(setup=setup, traded_in=instrument.currency)
    reference = last_price if is_market else entry_plan(setup).worst_price
    quantity = size_position(
        side=Side(setup.side),
        stop_price=setup.stop_price,
        reference_price=reference,
        quantity=setup.quantity,
        risk_amount=setup.risk_amount,
        risk_percent=setup.risk_percent,
        equity=setup.account.net_liquidation,
    )
    passed("size", f"{quantity.normalize():f} shares")
    tranches = split_into_tranches(quantity=quantity, targets=targets)
    passed("orders", _room_for(tranches, setup=setup, con_id=instrument.con_id))
    return Preflight(plan=plan_of(setup), con_id=instrument.con_id, quantity=quantity, tranches=tranches, checks=checks)


def _require_position_known(account: Account, *, con_id: int) -> None:
    """Raise Conflict `position_differs` where a person is asked why the account holds something else of it."""
    row = Position.objects.filter(account=account, con_id=con_id).exclude(unexplained=0).first()
    if row is not None:
        raise Conflict(
            f"The account holds {plain(row.quantity)} {row.symbol}, and no deal explains the difference of "
            f"{plain(row.unexplained)}: nothing new is placed until somebody has settled it (resolve).",
            code="position_differs",
            details={"symbol": row.symbol, "held": str(row.quantity), "difference": str(row.unexplained)},
        )


def _room_for(tranches: Sequence[Tranche], *, setup: Setup, con_id: int) -> str:
    """Say how many orders will work on each side. Raises FixRequest `too_many_orders`."""
    side = Side(setup.side)
    exits = sum(1 + (tranche.take_profit_price is not None) for tranche in tranches)
    needed = {side.entry_action: len(tranches), side.exit_action: exits}
    at_work = room_require(account=setup.account, con_id=con_id, needed=needed)
    told = (f"{count + at_work.get(action, 0)} {action.value}" for action, count in needed.items())
    return f"{' and '.join(told)} orders on {setup.symbol}"


def _require_same_currency(*, setup: Setup, traded_in: str) -> None:
    held_in = setup.account.currency
    if setup.quantity is None and held_in and held_in != traded_in:
        raise FixRequest(
            f"The risk is in {held_in}, {setup.symbol} trades in {traded_in}: give a quantity.",
            code="risk_in_other_currency",
            details={"account_currency": held_in, "symbol_currency": traded_in},
        )


def require_account_allowed(*, account: Account, user: User) -> None:
    """Raise Forbidden or FixRequest unless this user may trade this account with the settings as they are."""
    if not account.is_active:
        raise FixRequest(f"The account {account} is switched off.", code="account_inactive")
    if settings.IB_ACCOUNT and account.account_id != settings.IB_ACCOUNT:
        raise RetryLater(
            f"No broker worker serves {account} here; it serves {settings.IB_ACCOUNT}.", code="account_not_served"
        )
    if account.is_paper:
        return
    if settings.IB_TRADING_MODE != "live" or account.account_id != settings.IB_ACCOUNT:
        raise Forbidden(
            f"{account} is a live account: set IB_TRADING_MODE=live and IB_ACCOUNT={account} to trade it.",
            code="live_not_allowed",
        )
    if not user.has_perm("accounts.trade_live"):
        raise Forbidden(f"You may not trade the live account {account}.", code="live_not_allowed")


def _as_the_api_writes(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def require_not_stopped(account: Account) -> None:
    """Raise Conflict `kill_switch_engaged` while trading on the account is stopped."""
    switch = kill_switches_engaged(account).first()
    if switch is not None:
        raise Conflict(
            f"The kill switch is engaged ({switch.subject}): {switch.reason}",
            code="kill_switch_engaged",
            details={
                "account": switch.account.account_id if switch.account else None,
                "engaged_at": _as_the_api_writes(switch.engaged_at),
                "reason": switch.reason,
            },
        )


def require_not_archived(setup: Setup) -> None:
    """Raise Conflict `setup_archived`."""
    if setup.archived_at:
        raise Conflict("An archived setup is not executed.", code="setup_archived")


def _setup_locked(setup_id: int, *, preflight: Preflight, seen: Seen) -> Setup:
    setup = Setup.objects.select_for_update(no_key=True).select_related("account").get(pk=setup_id)
    require_not_archived(setup)
    require_seen(setup, seen=seen)
    if plan_of(setup) != preflight.plan:
        raise Conflict("The setup was changed while it was checked; look at it again.", code="setup_changed")
    return setup


def _write(*, setup: Setup, user: User, key: str, digest: str, preflight: Preflight, now: datetime) -> Execution:
    execution = Execution.objects.create(
        setup=setup,
        account=setup.account,
        requested_by=user,
        idempotency_key=key,
        request_digest=digest,
        symbol=setup.symbol,
        security_type=setup.security_type,
        exchange=setup.exchange,
        currency=setup.currency,
        con_id=preflight.con_id,
        side=setup.side,
        quantity=preflight.quantity,
        preflight=preflight.checks,
        on_timeout=setup.on_timeout,
        requested_at=now,
        deadline_at=_deadline(setup, now=now),
    )
    brackets = Bracket.objects.bulk_create(
        Bracket(execution=execution, tranche=tranche.number, quantity=tranche.quantity)
        for tranche in preflight.tranches
    )
    native = [
        _orders(setup=setup, execution=execution, bracket=bracket, tranche=tranche)
        for bracket, tranche in zip(brackets, preflight.tranches, strict=True)
    ]
    Order.objects.bulk_create(order for orders in native for order in orders)
    asked: dict[str, Any] = {"actor": Actor.PERSON, "user": user, "reason": CommandReason.REQUESTED, "now": now}
    OrderCommand.objects.bulk_create(place_of(orders, **asked) for orders in native)
    setup_mark_executed(setup, now=now)
    return execution


def _deadline(setup: Setup, *, now: datetime) -> datetime | None:
    seconds = setup.entry_timeout_seconds
    if seconds is None and setup.entry_type == EntryType.MARKET.value:
        seconds = MARKET_ENTRY_TIMEOUT_SECONDS
    return now + timedelta(seconds=seconds) if seconds is not None else None


def _orders(*, setup: Setup, execution: Execution, bracket: Bracket, tranche: Tranche) -> list[Order]:
    side, plan = Side(setup.side), entry_plan(setup)
    entry_has_trigger = plan.type in (EntryType.STOP, EntryType.STOP_LIMIT)

    def order(leg: Leg, order_type: OrderType, **prices: Decimal | None) -> Order:
        is_entry = leg is Leg.ENTRY
        return Order(
            account=execution.account,
            bracket=bracket,
            leg=leg.value,
            order_ref=str(OrderRef(execution_key=execution.key, tranche=tranche.number, leg=leg)),
            action=(side.entry_action if is_entry else side.exit_action).value,
            order_type=order_type.value,
            quantity=tranche.quantity,
            # A stop that expires at the close would leave the position naked overnight.
            time_in_force=setup.time_in_force if is_entry else TimeInForce.GTC.value,
            outside_rth=setup.outside_rth,
            **prices,
        )

    limit_price = {EntryType.LIMIT: plan.price, EntryType.STOP_LIMIT: plan.limit_price}.get(plan.type)
    orders = [
        order(
            Leg.ENTRY,
            plan.type.order_type,
            limit_price=limit_price,
            stop_price=plan.price if entry_has_trigger else None,
        )
    ]
    if tranche.take_profit_price is not None:
        orders.append(order(Leg.TAKE_PROFIT, OrderType.LIMIT, limit_price=tranche.take_profit_price))
    orders.append(order(Leg.STOP_LOSS, OrderType.STOP, stop_price=setup.stop_price))
    return orders
