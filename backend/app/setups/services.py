"""What is written about setups: every plan is checked before it is stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from app.accounts.models import Account
from app.core.errors import Conflict, FixRequest
from app.domain.bracket import EntryPlan, Target, bracket_problems, require_valid
from app.domain.contract import PriceIncrement
from app.domain.terms import EntryType, Side
from app.setups.models import Setup, TakeProfit
from app.setups.revision import Seen, one_revision, require_seen
from app.setups.selectors import setup_read

SIZE_FIELDS = ("quantity", "risk_amount", "risk_percent")
PLAN_FIELDS = (
    *("account_id", "symbol", "security_type", "exchange", "currency", "side"),
    *("entry_type", "entry_price", "entry_limit_price", "stop_price", *SIZE_FIELDS),
    *("time_in_force", "outside_rth", "entry_timeout_seconds", "on_timeout"),
)


@transaction.atomic
def setup_create(
    *,
    owner: User,
    account: Account,
    values: Mapping[str, Any],
    increments: Sequence[PriceIncrement] | None,
    last_price: Decimal | None,
) -> Setup:
    """Store a new setup. `values` has the API's fields; `take_profits` is a list of {"price", "fraction"}.

    Raises FixRequest with the first problem's code and all problems in `details`.
    """
    fields = {name: value for name, value in values.items() if name != "take_profits"}
    setup = Setup(owner=owner, account=account, **fields)
    targets = _targets(values.get("take_profits", ()))
    setup_require_valid(setup, targets=targets, increments=increments, last_price=last_price)
    setup.save()
    if targets:
        with one_revision(setup, is_counted=True):
            _targets_write(setup, targets)
    return setup_read(setup.pk)


@transaction.atomic
def setup_update(
    *,
    setup_id: int,
    values: Mapping[str, Any],
    increments: Sequence[PriceIncrement] | None,
    last_price: Decimal | None,
    seen: Seen = None,
) -> Setup:
    """Change a setup that was not executed yet; all that changes at once is one revision.

    Returns what this call wrote, read before anybody else can write. Raises Conflict `setup_executed`,
    `setup_archived`, `revision_changed` (it is at none of those `seen`), FixRequest.
    """
    setup = Setup.objects.select_for_update(no_key=True).get(pk=setup_id)
    require_open(setup)
    require_seen(setup, seen=seen)
    for name, value in values.items():
        if name != "take_profits":
            setattr(setup, name, value)
    before = targets_of(setup)
    targets = _targets(values["take_profits"]) if "take_profits" in values else before
    setup_require_valid(setup, targets=targets, increments=increments, last_price=last_price)
    with one_revision(setup):
        setup.save()
        if targets != before:
            _targets_write(setup, targets)
    return setup_read(setup_id)


@transaction.atomic
def setup_archive(*, setup_id: int, now: datetime, seen: Seen = None) -> Setup:
    """Put the setup out of sight; its executions stay. Safe to repeat. Raises Conflict `revision_changed`."""
    setup = Setup.objects.select_for_update(no_key=True).get(pk=setup_id)
    if not setup.archived_at:
        require_seen(setup, seen=seen)
        setup.archived_at = now
        setup.save(update_fields=["archived_at", "updated_at"])
    return setup_read(setup_id)


@transaction.atomic
def setup_restore(*, setup_id: int, seen: Seen = None) -> Setup:
    """Bring an archived setup back, as it was. Safe to repeat. Raises Conflict `revision_changed`."""
    setup = Setup.objects.select_for_update(no_key=True).get(pk=setup_id)
    if setup.archived_at:
        require_seen(setup, seen=seen)
        setup.archived_at = None
        setup.save(update_fields=["archived_at", "updated_at"])
    return setup_read(setup_id)


def require_open(setup: Setup) -> None:
    """Raise Conflict `setup_archived` or `setup_executed` where the plan is fixed."""
    if setup.archived_at:
        raise Conflict("An archived setup cannot be changed.", code="setup_archived")
    if setup.executed_at:
        raise Conflict("An executed setup cannot be changed; create a new one.", code="setup_executed")


def setup_mark_executed(setup: Setup, *, now: datetime) -> None:
    """Note the first attempt; from then on the plan is fixed. Call it with the row locked."""
    if not setup.executed_at:
        setup.executed_at = now
        setup.save(update_fields=["executed_at", "updated_at"])


def setup_require_valid(
    setup: Setup,
    *,
    targets: Sequence[Target],
    increments: Sequence[PriceIncrement] | None,
    last_price: Decimal | None,
) -> None:
    """Raise FixRequest when the plan cannot be executed as it stands."""
    given = [name for name in SIZE_FIELDS if getattr(setup, name) is not None]
    if len(given) != 1:
        raise FixRequest("Give exactly one of quantity, risk_amount and risk_percent.", code="size_ambiguous")
    size = getattr(setup, given[0])
    if not size.is_finite() or size <= 0:
        raise FixRequest(f"{given[0]} must be positive, not {size:f}.", code="size_not_positive")
    if setup.quantity is not None and setup.quantity != setup.quantity.to_integral_value():
        raise FixRequest(f"Only whole shares can be bracketed, not {setup.quantity}.", code="size_not_whole")
    if setup.risk_percent is not None and setup.risk_percent > 100:
        raise FixRequest("More than all of the equity cannot be risked.", code="risk_percent_too_large")
    require_valid(
        bracket_problems(
            side=Side(setup.side),
            entry=entry_plan(setup),
            stop_price=setup.stop_price,
            targets=targets,
            last_price=last_price,
            increments=increments,
        )
    )


def entry_plan(setup: Setup) -> EntryPlan:
    """Return the setup's entry in domain words."""
    return EntryPlan(type=EntryType(setup.entry_type), price=setup.entry_price, limit_price=setup.entry_limit_price)


def plan_of(setup: Setup) -> dict[str, Any]:
    """Return everything of the plan that decides what is traded: two equal ones trade the same."""
    plan = {name: getattr(setup, name) for name in PLAN_FIELDS}
    return plan | {"take_profits": targets_of(setup)}


def targets_of(setup: Setup) -> list[Target]:
    """Return the setup's targets in domain words, nearest first as the analyst gave them."""
    return [Target(price=row.price, fraction=row.fraction) for row in setup.take_profits.all()]


def _targets(given: Sequence[Mapping[str, Any]]) -> list[Target]:
    return [Target(price=target["price"], fraction=target.get("fraction", Decimal(1))) for target in given]


def _targets_write(setup: Setup, targets: Sequence[Target]) -> None:
    setup.take_profits.all().delete()
    TakeProfit.objects.bulk_create(
        TakeProfit(setup=setup, position=position, price=target.price, fraction=target.fraction)
        for position, target in enumerate(targets, start=1)
    )
