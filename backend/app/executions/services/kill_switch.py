"""Stop trading on an account, or on all: what is requested ends unsent, working entries are cancelled, stops stay.

    engage ── row, under the senders' lock ──> no write-ahead passes any more
                  └── enforce, now and at every sweep ──┬─ not sent yet:   NOT_PLACED
                                                        ├─ entry working:  cancel requested (sent once connected)
                                                        └─ with flatten:   closing requested for what is held

Enforcing works from rows alone, so engaging needs neither the broker worker nor the Gateway: what becomes known later
is caught by the next sweep.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from app.accounts.fencing import Holding
from app.accounts.kill_switch import kill_switch_on, kill_switch_write, kill_switch_write_release, kill_switches_engaged
from app.accounts.models import Account, KillSwitch
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise, alert_resolve
from app.core.errors import Conflict
from app.core.logging import get_logger
from app.domain.command import CommandReason
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Decision, Execution, ExecutionFlag
from app.executions.open_rows import executions_of_orders, executions_unfinished, orders_open
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.close_wish import is_closing_begun, wish_end
from app.executions.services.flatten import FLATTEN, execution_flatten_request

logger = get_logger(__name__)

BATCH_MAX = 200
SAID_AGAIN_MAX = 50
_ENGAGING = ("ENGAGE", "ENGAGE_FLATTEN", "ENGAGE_AGAIN")


@dataclass(frozen=True, kw_only=True, slots=True)
class Enforced:
    """The executions whose entries were given up or asked to be cancelled, and those that are to be closed."""

    cancelled: list[int]
    closing: list[int]


def kill_switch_engage(
    *, account: Account | None, user: User | None, reason: str, now: datetime, flatten: bool = False
) -> KillSwitch:
    """Stop trading on `account`, or on all accounts where it is None; return the engaged switch. Safe to repeat.

    `flatten` also closes every position of ours there, and can be added later. `user` is None on the command line.
    Who engages what is engaged already is kept with their reason, once each (`kill_switch_said_again`).
    """
    with transaction.atomic():
        switch, changed = kill_switch_write(account=account, user=user, reason=reason, flatten=flatten, now=now)
        if changed:
            _decide("ENGAGE_FLATTEN" if flatten else "ENGAGE", switch, user=user, reason=reason, now=now)
            alert_raise(
                kind=AlertKind.KILL_SWITCH,
                subject=switch.subject,
                text=reason,
                account_id=account.pk if account else None,
                now=now,
            )
        elif not _was_said(switch, user=user, reason=reason):
            _decide("ENGAGE_AGAIN", switch, user=user, reason=reason, now=now)
    kill_switch_enforce(now=now)
    return switch


def kill_switch_release(*, account: Account | None, user: User | None, reason: str, now: datetime) -> KillSwitch:
    """Let trading go on; return the released switch.

    What was cancelled stays so, and closing that was begun goes on; closing of which nothing was sent yet is dropped.
    Raises Conflict `kill_switch_not_engaged`. The switch of all accounts and one account's are released separately.
    """
    with transaction.atomic():
        switch = kill_switch_write_release(account=account, user=user, reason=reason, now=now)
        _decide("RELEASE", switch, user=user, reason=reason, now=now)
        alert_resolve(kind=AlertKind.KILL_SWITCH, subject=switch.subject, now=now)
    closing = executions_unfinished().filter(flatten_requested_at__isnull=False)
    for pk in (closing.filter(account=account) if account else closing).values_list("pk", flat=True):
        _drop_close(pk, now=now)
    kill_switch_enforce(now=now)  # What another switch wants is wanted still.
    return switch


@transaction.atomic
def _drop_close(execution_id: int, *, now: datetime) -> None:
    """Drop the wish of a released switch to close an execution, unless something was sent for it."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    asked = Decision.objects.filter(execution=execution, action=FLATTEN).last()
    by_switch = asked is not None and asked.actor == Actor.KILL_SWITCH
    if execution.flatten_requested_at is None or not by_switch or is_closing_begun(execution):
        return
    wish_end(execution)
    execution.save(update_fields=["flatten_requested_at", "close_requested_at"])
    decision_record(
        actor=Actor.KILL_SWITCH,
        action="FLATTEN_DROPPED",
        reason="The kill switch was released before anything was sent to close it.",
        account=execution.account,
        execution=execution,
        now=now,
    )
    news.publish_on_commit(execution.pk)


def kill_switch_enforce(*, now: datetime, holding: Holding | None = None) -> Enforced:
    """Carry out what the engaged switches ask for and was not asked yet; at most a batch, the next sweep goes on.

    With `holding`, of a worker that does so by itself, raises Fenced.
    """
    switches = list(kill_switches_engaged())
    if not switches:
        return Enforced(cancelled=[], closing=[])
    stopped = executions_unfinished().filter(kill_switch_on())
    cancelled = [pk for pk in _ids(_with_open_entry(stopped)) if _cancel(pk, holding=holding, now=now)]
    closing: list[int] = []
    for switch in switches:
        if switch.flatten:
            held = stopped.filter(open_quantity__gt=0, flatten_requested_at__isnull=True)
            mine = held.filter(account=switch.account) if switch.account else held
            mine = mine.exclude(pk__in=_failed_to_close(switch))
            closing += [pk for pk in _ids(mine) if _close(pk, switch, holding=holding, now=now)]
    if cancelled or closing:
        logger.warning("kill_switch_enforced", cancelled=cancelled, closing=closing)
    return Enforced(cancelled=cancelled, closing=closing)


def _failed_to_close(switch: KillSwitch) -> set[int]:
    """Return the executions that this switch had closed, which failed, and that hold shares still: a person was told.

    By what is unresolved, and the decisions by their executions: never by way of the whole history.
    """
    flags = ExecutionFlag.objects.filter(resolved_at__isnull=True, code=FlagCode.CLOSE_FAILED)
    failed = set(flags.order_by().values_list("execution_id", flat=True))
    if not failed:
        return failed
    asked = Decision.objects.filter(execution__in=failed, actor=Actor.KILL_SWITCH, action=FLATTEN).order_by()
    # By their order, not by their moments: a clock that was set back must not have it closed in vain for ever.
    since = _engagements(switch).values_list("pk", flat=True).first() or 0
    return set(asked.filter(pk__gt=since).values_list("execution_id", flat=True))


def kill_switch_said_again(switch: KillSwitch) -> list[Decision]:
    """Return who engaged the switch while it was engaged, when and why, oldest first; the first time is left out."""
    return list(_engagements(switch).select_related("user")[1 : 1 + SAID_AGAIN_MAX])


def _engagements(switch: KillSwitch) -> QuerySet[Decision]:
    said = Decision.objects.filter(account=switch.account, action__in=_ENGAGING, evidence__kill_switch=switch.pk)
    return said.order_by("id")


def _was_said(switch: KillSwitch, *, user: User | None, reason: str) -> bool:
    """Say whether this person gave this reason already: a retry, or more than anybody reads."""
    said = _engagements(switch)
    return said.filter(user=user, reason=reason).exists() or said.count() > SAID_AGAIN_MAX


def _with_open_entry(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    entry_open = executions_of_orders(orders_open().filter(leg=Leg.ENTRY.value))
    return executions.filter(pk__in=entry_open, cancel_requested_at__isnull=True)


def _ids(executions: QuerySet[Execution]) -> list[int]:
    return list(executions.order_by("id").values_list("pk", flat=True)[:BATCH_MAX])


@transaction.atomic
def _cancel(execution_id: int, *, holding: Holding | None, now: datetime) -> bool:
    try:
        execution = execution_cancel_request(
            execution_id=execution_id,
            reason=CommandReason.KILL_SWITCH,
            actor=Actor.KILL_SWITCH,
            holding=holding,
            now=now,
        )
    except Conflict:  # Filled or finished meanwhile: nothing is left to cancel.
        return False
    decision_record(
        actor=Actor.KILL_SWITCH,
        action="CANCEL_ENTRY",
        reason="The kill switch is engaged.",
        evidence={"status": execution.status},
        account=execution.account,
        execution=execution,
        now=now,
    )
    return True


def _close(execution_id: int, switch: KillSwitch, *, holding: Holding | None, now: datetime) -> bool:
    return execution_flatten_request(
        execution_id=execution_id,
        actor=Actor.KILL_SWITCH,
        user=switch.engaged_by,
        reason=switch.reason,
        holding=holding,
        now=now,
    )


def _decide(action: str, switch: KillSwitch, *, user: User | None, reason: str, now: datetime) -> None:
    decision_record(
        actor=Actor.PERSON,
        user=user,
        action=action,
        reason=reason,
        evidence={"kill_switch": switch.pk, "account": switch.subject, "flatten": switch.flatten},
        account=switch.account,
        now=now,
    )
