"""Switch one rule of the application off, in the workers of a run only: the proof that the run would see it missing."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction

from app.accounts import fencing
from app.accounts import services as accounts
from app.domain import close
from app.domain import exposure as exposure_rules
from app.domain.broker_events import CommissionTold
from app.executions.services import (
    apply,
    exposure,
    flatten,
    guard,
    outbox_rows,
    positions,
    reconcile,
    record,
    send_permit,
    submit,
)
from app.worker import broker_thread, guard_thread, reconcile_plan


def _replace(owner: Any, name: str, by: Callable[..., Any]) -> None:
    """Put `by` in the place of the owner's function. Raises TypeError where it could not be called in its stead.

    A rule that breaks down is not one that is switched off: such a run would fail, and prove nothing.
    """
    wanted = inspect.signature(getattr(owner, name)).parameters.values()
    places = [p.name for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = {p.name: p.name for p in wanted if p.kind is p.KEYWORD_ONLY}
    inspect.signature(by).bind(*places, **names)
    setattr(owner, name, by)


def _claim() -> None:
    """Every delivery of a task is taken for the first."""

    def claim(*, execution_id: int, now: Any, **_: Any) -> bool:
        known = submit.Execution.objects.filter(pk=execution_id)
        known.filter(status="REQUESTED").update(status="SUBMITTING", claimed_at=now)
        return known.exists()

    _replace(submit, "_claim", claim)
    _replace(send_permit.BracketPermit, "note_ids", _note_ids_of_any)


@transaction.atomic
def _note_ids_of_any(self: Any, order_ids: Any) -> None:
    connection_id = self.holding.connection_id
    holder = accounts.order_id_floor_raise(connection_id=connection_id, order_ids=order_ids.values())
    for order in submit.Order.objects.filter(bracket=self.bracket_id):
        submit.Order.objects.filter(pk=order.pk).update(
            order_id=order_ids[order.order_ref], client_id=holder.client_id, sent_at=send_permit.clock.now()
        )
        submit.Order.objects.filter(pk=order.pk, status="CREATED").update(status="SENT")


def _id_floor() -> None:
    """Order ids are taken as the Gateway gives them, without the floor that outlives its restarts."""

    def raise_nothing(*, connection_id: int, order_ids: Any) -> Any:
        del order_ids
        return accounts.BrokerConnection.objects.select_for_update(no_key=True).get(pk=connection_id)

    _replace(send_permit, "order_id_floor_raise", raise_nothing)


def _dedupe_key() -> None:
    """What is told twice is applied twice."""
    import itertools
    from dataclasses import replace

    numbers = itertools.count()
    recorded = apply.broker_event_record

    def record_one(event: Any, *, now: Any, **more: Any) -> int | None:
        if not isinstance(event, CommissionTold):  # A cost replaces itself; its key is also what finds it again.
            event = replace(event, dedupe_key=f"{event.dedupe_key}#{next(numbers)}")
        return recorded(event, now=now, **more)

    def record_all(events: Any, *, now: Any, **more: Any) -> list[tuple[int, Any]]:
        changed = [(record_one(event, now=now, **more), event) for event in events]
        return [(execution_id, event) for execution_id, event in changed if execution_id is not None]

    def all_of_them(told: Any, **_: Any) -> list[Any]:
        return list(told)

    from app.worker import event_recorder

    for owner in (event_recorder, reconcile):
        _replace(owner, "broker_event_record", record_one)
        _replace(owner, "broker_events_record", record_all)
    _replace(record, "unheard", all_of_them)


def _reconcile() -> None:
    """The connection is READY without having asked what happened meanwhile."""

    async def no_reconcile(self: Any, *, settle_seconds: float) -> reconcile.ReconcileReport:
        del settle_seconds
        return reconcile.ReconcileReport(asked_at=broker_thread.clock.now(), open_orders=0, told=0)

    _replace(broker_thread.BrokerThread, "_reconcile", no_reconcile)


def _guard() -> None:
    """Nobody looks after the stops."""
    _replace(guard_thread, "guard_look", lambda **_: guard.GuardLook())


def _fencing() -> None:
    """Whoever was deposed may go on writing and sending."""
    fencing.fence_check.__code__ = (lambda row, *, fence: None).__code__  # Imported by name in many places.


def _exposure() -> None:
    """Nobody compares what is claimed with what the account holds."""
    _replace(guard, "exposure_doubts", lambda **_: frozenset())
    _replace(flatten, "exposure_doubts", lambda **_: frozenset())
    _replace(reconcile, "positions_settle", lambda **_: positions.PositionsSeen())
    _replace(broker_thread, "pushed_positions_look", lambda **_: exposure.PushedLook.AGREES)


def _joined_close() -> None:
    """A close waits for no word of the broker and joins no group: it goes out beside what lives."""
    planned = close.plan_close

    def plan_close(facts: close.CloseFacts) -> close.ClosePlan:
        plan = planned(facts)
        roads = (close.CloseStep.MOVE_TARGET, close.CloseStep.JOIN, close.CloseStep.CANCEL, close.CloseStep.CUT)
        if plan.step not in roads or facts.limit_price is not None:
            return plan
        return close.ClosePlan(step=close.CloseStep.CLOSE, quantity=facts.held - facts.keep)

    for owner in (close, flatten):
        _replace(owner, "plan_close", plan_close)


def _settle_by_evidence() -> None:
    """A cancel or a change counts as settled because it was sent."""
    taken = outbox_rows.OutboxRows.take

    def take(self: Any, kind: Any, *, execution_id: int, orders: Any, now: Any) -> list[Any]:
        due = taken(self, kind, execution_id=execution_id, orders=orders, now=now)
        for command in due:
            outbox_rows.command_settle(command, "sent", now=now)
        return due

    _replace(outbox_rows.OutboxRows, "take", take)


def _lag() -> None:
    """A position report is believed at once, as if it knew every deal."""

    def agrees(*, reported: Any, expected: Any, recent: Any) -> bool:
        del recent
        return bool(reported == expected)

    compared = exposure_rules.compare

    def compare(**facts: Any) -> exposure_rules.Comparison:
        return compared(**facts | {"disputed": facts["difference"], "is_confirmed": True})

    _replace(exposure_rules, "agrees", agrees)
    _replace(positions, "compare", compare)
    exposure.LAG = positions.LAG = timedelta(0)
    reconcile_plan.LOOK_AGAIN_SECONDS = 0.0


SABOTAGES: dict[str, Callable[[], None]] = {
    "claim": _claim,
    "id_floor": _id_floor,
    "dedupe_key": _dedupe_key,
    "reconcile": _reconcile,
    "guard": _guard,
    "fencing": _fencing,
    "exposure": _exposure,
    "joined_close": _joined_close,
    "settle_by_evidence": _settle_by_evidence,
    "lag": _lag,
}


def apply_named(name: str) -> None:
    """Switch the rule off; "" switches nothing off. Raises KeyError for a name that does not exist."""
    if name:
        SABOTAGES[name]()
