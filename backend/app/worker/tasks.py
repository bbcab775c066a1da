"""The Celery tasks: short, idempotent, and only another interface to the services."""

from typing import Any

from celery import shared_task

from app.alerts.delivery import alerts_deliver
from app.core import clock
from app.core.errors import RetryLater, TradingError
from app.core.logging import get_logger
from app.executions.models import Execution
from app.executions.services.acts_send import acts_send
from app.executions.services.cancel import execution_cancel_send
from app.executions.services.commands_send import moves_send
from app.executions.services.submit import execution_submit
from app.executions.services.sweep import execution_sweep
from app.executions.services.wait import execution_wait_for_fill
from app.worker import life
from app.worker.watchdog import watchdog_look

logger = get_logger(__name__)

ANSWER_AFTER_DEADLINE_SECONDS = 15.0
WAIT_SECONDS_MAX = 75.0


@shared_task(name="executions.submit")
def submit(execution_id: int) -> None:
    """Put the execution on the wire. Where there is no connection now, the sweep sends it again."""
    try:
        execution_submit(execution_id=execution_id, broker=life.broker_thread(), now=clock.now())
    except RetryLater as error:
        logger.warning("submit_waits", execution=execution_id, reason=error.code)


@shared_task(name="executions.cancel")
def cancel(execution_id: int) -> None:
    """Send the cancels that are due on the execution; the sweep repeats what could not be sent."""
    try:
        execution_cancel_send(execution_id=execution_id, broker=life.broker_thread(), now=clock.now())
    except RetryLater as error:
        logger.warning("cancel_waits", execution=execution_id, reason=error.code)


@shared_task(name="executions.changes")
def changes(execution_id: int) -> None:
    """Send the moves of the execution's orders, and what a person decided; the sweep repeats what could not be sent."""
    try:
        broker = life.broker_thread()
        moves_send(execution_id=execution_id, broker=broker, now=clock.now())
        acts_send(execution_id=execution_id, broker=broker, now=clock.now())
    except RetryLater as error:
        logger.warning("changes_wait", execution=execution_id, reason=error.code)


@shared_task(name="executions.flatten")
def flatten(execution_id: int) -> None:
    """Have the next step of closing what the execution holds taken; the sweep repeats it until nothing is left."""
    try:
        life.close_thread().want(execution_id)
    except RetryLater as error:
        logger.warning("flatten_waits", execution=execution_id, reason=error.code)


@shared_task(name="executions.wait_for_fill", ignore_result=False, throws=(TradingError,))
def wait_for_fill(execution_id: int) -> str:
    """Return `IB-<entry>:<stop>` when the entry is filled and the stop is live; raise the typed error otherwise."""
    deadline = Execution.objects.values_list("deadline_at", flat=True).get(pk=execution_id)
    seconds = (deadline - clock.now()).total_seconds() + ANSWER_AFTER_DEADLINE_SECONDS if deadline else WAIT_SECONDS_MAX
    return execution_wait_for_fill(execution_id=execution_id, seconds_max=max(1.0, min(seconds, WAIT_SECONDS_MAX)))


@shared_task(name="executions.sweep")
def sweep() -> None:
    """Apply deadlines and send again what was lost."""
    report = execution_sweep(now=clock.now())
    if report.resent or report.expired or report.cancels:
        logger.info("swept", resent=report.resent, expired=report.expired, cancels=report.cancels)


@shared_task(name="alerts.watch")
def watch() -> None:
    """Look whether everybody who should be there is."""
    watchdog_look(now=clock.now())


@shared_task(name="alerts.deliver")
def deliver() -> None:
    """Send the alerts that are due."""
    report = alerts_deliver(now=clock.now())
    if report.sent or report.failed:
        logger.info("alerts_delivered", sent=report.sent, failed=report.failed)


@shared_task(name="market.look_up", ignore_result=False)
def look_up(symbol: str) -> dict[str, Any]:
    """Have the symbol's description and price stored; return {} or {"error": {"code", "message"}}."""
    try:
        life.data_thread().look_up(symbol)
    except TradingError as error:
        return {"error": {"code": error.code, "message": error.message}}
    return {}
