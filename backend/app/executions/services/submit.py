"""Put a requested execution on the wire: claim, write ahead, send.

Numbered points at which the process may die, and what the rows say then:

    1 before the claim        REQUESTED, orders CREATED     taken again by the sweep
    2 after the claim         SUBMITTING, orders CREATED    nothing was sent: given back (retake), or NOT_PLACED
    3 after the write-ahead   SUBMITTING, orders SENT       may have been sent: reconcile asks the broker
    4 between the legs        SUBMITTING, orders SENT       the entry alone is not transmitted: it rests in the Gateway
    5 after the last leg      SUBMITTING, orders SENT       the broker's answers, or reconcile, move them on
"""

from datetime import datetime

from django.db import connection, transaction

from app.accounts.entry_gate import CIRCUIT_OPEN, circuit_of, entry_refusal_on, failed_last_at, failures_forget
from app.accounts.fencing import Holding, fence_check, fence_require
from app.accounts.kill_switch import kill_switch_on
from app.accounts.models import BrokerConnection
from app.accounts.services import OrderIdTooLow
from app.brokers.base import BlockingBroker
from app.brokers.errors import NotConnected, QueueFull
from app.core.errors import Conflict, FixRequest
from app.core.logging import bind_order, get_logger
from app.domain.broker_events import AbsenceProved
from app.domain.circuit import COOL_DOWN, Circuit
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import OrderStatus
from app.domain.reasons import ReasonCode, reason_sentence
from app.executions import news, selectors
from app.executions.models import Execution, Order
from app.executions.services.apply import broker_event_record
from app.executions.services.commands_send import bracket_send
from app.executions.services.connection_row import connection_of, holding_of
from app.executions.services.order_room import execution_room_require
from app.executions.services.outbox_rows import OutboxRows

logger = get_logger(__name__)

KILL_SWITCH = "kill_switch"  # The reason, of a cancel or of what was never sent.


def execution_submit(*, execution_id: int, broker: BlockingBroker, now: datetime) -> str:
    """Send the execution's brackets, each at most once whoever calls this and how often.

    Returns the reference of the first bracket, or "" where there was nothing to do. Raises NotConnected, QueueFull or
    OrderIdTooLow when nothing was sent and the row is free to be taken again; NotConnected `account_not_served`, with
    the row untouched, where the broker is connected to another account than the execution's; Fenced, with nothing more
    written, where another worker has taken over.
    """
    holder = connection_of(broker)
    fence_check(holder, fence=broker.fence)
    _require_entries_allowed(holder, now=now)
    half_open = circuit_of(holder, now=now) is Circuit.HALF_OPEN
    holding = holding_of(broker)
    if not _claim(
        execution_id=execution_id,
        account_id=broker.account_id,
        holding=holding,
        try_on=broker.connection_id if half_open else None,
        now=now,
    ):
        return ""
    execution = selectors.execution_read(execution_id)
    sent: list[str] = []
    with bind_order(execution=execution.pk):
        for bracket in execution.brackets.all():
            try:
                # The floor of the order ids is read anew where a bracket before this one has raised it.
                outbox = OutboxRows(broker=broker, known_holder=holder if not sent else None)
                reference = bracket_send(execution=execution, bracket=bracket, broker=broker, outbox=outbox)
            except (NotConnected, QueueFull, OrderIdTooLow):
                if not sent and _release(execution_id=execution_id, holding=holding, now=now):
                    raise
                # Part of it is on its way: what is not is settled by the reconcile that follows every connect.
                logger.warning("bracket_not_sent", tranche=bracket.tranche)
                break
            except Conflict as error:
                logger.warning("bracket_not_sent", tranche=bracket.tranche, reason=error.code)
                _settle_refused(execution_id=execution_id, holding=holding, now=now)
                break
            sent.append(reference)
    return sent[0] if sent else ""


def _require_entries_allowed(holder: BrokerConnection, *, now: datetime) -> None:
    """Raise NotConnected with the gate's code: the row waits untouched, as without a connection, until its deadline."""
    refusal = entry_refusal_on(holder, now=now)
    if refusal is not None:
        raise NotConnected(refusal.reason, code=refusal.code)


def _require_turn(connection_id: int, *, now: datetime) -> None:
    """While the circuit is half open let one entry through, and raise NotConnected until the broker has answered it.

    Which one it is stands in the rows: what was claimed since the last failure. A refusal is noted as a failure, which
    opens the circuit again, a moment after its row says so. Holds the connection's row: whoever claims next waits.
    """
    holder = BrokerConnection.objects.select_for_update(no_key=True).get(pk=connection_id)
    _require_entries_allowed(holder, now=now)  # It may have failed once more since it was read.
    if circuit_of(holder, now=now) is not Circuit.HALF_OPEN:
        return
    tried = Execution.objects.filter(account=holder.account_id, claimed_at__gt=failed_last_at(holder))
    statuses = {ExecutionStatus(status) for status in tried.values_list("status", flat=True)}
    # One that is found in the broker's list of finished orders is noted as no failure: it holds for a moment only.
    refused = tried.filter(status=ExecutionStatus.REJECTED.value, finished_at__gt=now - COOL_DOWN).exists()
    if refused or ExecutionStatus.SUBMITTING in statuses:
        raise NotConnected("One entry tries whether the broker has settled; others wait for it.", code=CIRCUIT_OPEN)
    if statuses - {ExecutionStatus.NOT_PLACED}:
        failures_forget(holder)


@transaction.atomic
def _claim(*, execution_id: int, account_id: str, holding: Holding, try_on: int | None, now: datetime) -> bool:
    if try_on is not None:
        _require_turn(try_on, now=now)
    requested = Execution.objects.select_related("account").annotate(stopped=kill_switch_on()).filter(pk=execution_id)
    execution = requested.select_for_update(no_key=True, of=("self",)).first()
    if execution is None or execution.status != ExecutionStatus.REQUESTED.value:
        return False
    fence_require(holding)  # It may have waited for the row.
    if execution.account.account_id != account_id:
        # Taken here, a plan for a paper account could trade a live one.
        raise NotConnected(
            f"This worker is connected to {account_id or 'no account'}, not to {execution.account}.",
            code="account_not_served",
        )
    if execution.stopped:
        execution_give_up(execution=execution, reason_code=KILL_SWITCH, now=now)
        return False
    if execution.deadline_at is not None and execution.deadline_at <= now:
        execution_give_up(execution=execution, reason_code=ReasonCode.DEADLINE_PASSED, now=now)
        return False
    try:
        execution_room_require(execution)
    except FixRequest as error:
        execution_give_up(execution=execution, reason_code=ReasonCode.TOO_MANY_ORDERS, reason=error.message, now=now)
        return False
    # A claim that a crash of the database forgets is one of which nothing was sent: this commit need not wait for the
    # disk. The write-ahead's does, and makes this one durable with it.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO OFF")
    execution.claimed_at = now
    execution.status = ExecutionStatus.SUBMITTING.value
    execution.save(update_fields=["claimed_at", "status"])
    news.publish_on_commit(execution.pk)
    return True


@transaction.atomic
def _release(*, execution_id: int, holding: Holding, now: datetime) -> bool:
    """Undo the claim where no order id was written ahead; say whether it was undone.

    Raises Fenced, and then nothing is written: the row says that it was claimed and never sent, and the new holder
    settles that as it does after a crash.
    """
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    fence_require(holding)
    orders = Order.objects.filter(bracket__execution=execution)
    if orders.exclude(status=OrderStatus.CREATED.value).exists():
        return False
    if execution.cancel_requested_at is not None:
        execution_give_up(execution=execution, reason_code=unsent_because(execution), now=now)
        return False
    execution.claimed_at = None
    execution.status = ExecutionStatus.REQUESTED.value
    execution.save(update_fields=["claimed_at", "status"])
    news.publish_on_commit(execution.pk)
    return True


@transaction.atomic
def _settle_refused(*, execution_id: int, holding: Holding, now: datetime) -> None:
    """End the legs whose write-ahead was refused by a cancel or the kill switch: so they were certainly not sent.

    Raises Fenced.
    """
    of_it = Execution.objects.annotate(stopped=kill_switch_on()).filter(pk=execution_id)
    execution = of_it.select_for_update(no_key=True, of=("self",)).get()
    fence_require(holding)
    if execution.cancel_requested_at is not None:
        execution_give_up(execution=execution, reason_code=unsent_because(execution), now=now)
    elif execution.stopped:
        execution_give_up(execution=execution, reason_code=KILL_SWITCH, now=now)


def unsent_because(execution: Execution) -> str:
    """Return the reason code of an execution that was cancelled before anything was sent."""
    return KILL_SWITCH if execution.cancel_reason == KILL_SWITCH else ReasonCode.CANCELLED_BEFORE_SENDING


def execution_give_up(*, execution: Execution, reason_code: str, now: datetime, reason: str = "") -> None:
    """End the orders of an execution that were never sent. Call it inside a transaction, with the row locked."""
    unsent = "The kill switch was engaged before anything was sent." if reason_code == KILL_SWITCH else ""
    reason = reason or unsent or reason_sentence(reason_code)
    execution.reason_code, execution.reason = reason_code, reason
    execution.save(update_fields=["reason_code", "reason"])
    for order in Order.objects.filter(bracket__execution=execution, status=OrderStatus.CREATED.value):
        broker_event_record(
            AbsenceProved(
                dedupe_key=f"absence:{order.order_ref}:{reason_code}",
                account=execution.account.account_id,
                received_at=now,
                order_ref=order.order_ref,
                evidence=reason,
            ),
            now=now,
        )
