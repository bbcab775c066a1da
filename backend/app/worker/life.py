"""Starts and stops the connections with the Celery worker that holds them.

Which connection a worker holds follows from the queues it serves: `-Q broker` or `-Q data`. The signals `worker_init`
and `worker_shutdown` are the right moments: a bootstep would stop the loop before the pool has drained.
"""

import gc
import sys
from typing import Any

from celery.signals import worker_init, worker_ready, worker_shutdown
from django.conf import settings
from django.db import connections

from app.accounts.entry_gate import failure_note
from app.alerts.services import watchdog_sign
from app.brokers.base import Broker, DataProvider
from app.brokers.factory import get_broker, get_data_provider
from app.brokers.ib.settings import IBSettings
from app.core import clock
from app.core.errors import RetryLater
from app.core.logging import get_logger
from app.domain.broker_events import AnyBrokerEvent, MessageMeaning, OrderMessageTold
from app.executions import dispatch
from app.executions.services.aftermath import cancel_rest_of_broken, ended_without_a_word, is_over_unheard
from app.worker.broker_thread import BrokerThread
from app.worker.close_thread import CloseThread
from app.worker.data_thread import DataThread
from app.worker.event_recorder import EventRecorder
from app.worker.guard_thread import GuardThread
from app.worker.holder import session_name_make
from app.worker.local_tasks import LocalTasks
from app.worker.loop_thread import with_own_connection
from app.worker.right_of_way import RightOfWay

logger = get_logger(__name__)

STOP_SECONDS_MAX = 5.0
# How long a thread may keep the interpreter while another, such as the one that sends, is ready to go on.
SWITCH_INTERVAL_SECONDS = 0.0005


class _Held:
    """What this process holds."""

    broker: BrokerThread | None = None
    data: DataThread | None = None
    recorder: EventRecorder | None = None
    guard: GuardThread | None = None
    close: CloseThread | None = None
    local_tasks: LocalTasks | None = None
    consumer: Any = None
    is_holder = False


def broker_thread() -> BrokerThread:
    """Return this worker's broker connection. Raises RetryLater where this process holds none."""
    if _Held.broker is None:
        raise RetryLater("This worker holds no broker connection: it does not serve the queue `broker`.")
    return _Held.broker


def close_thread() -> CloseThread:
    """Return what closes over this worker's broker connection. Raises RetryLater where this process holds none."""
    if _Held.close is None:
        raise RetryLater("This worker holds no broker connection: it does not serve the queue `broker`.")
    return _Held.close


def data_thread() -> DataThread:
    """Return this worker's data connection. Raises RetryLater where this process holds none."""
    if _Held.data is None:
        raise RetryLater("This worker holds no data connection: it does not serve the queue `data`.")
    return _Held.data


def broker_settings() -> IBSettings:
    """Return what the broker worker connects with."""
    return _settings(client_id=settings.IB_CLIENT_ID)


def broker_make(**sinks: Any) -> Broker:
    """Return the broker worker's broker, which tells its news to the sinks."""
    return get_broker(broker_settings(), broker_type=settings.BROKER_TYPE, **sinks)


def data_provider_make() -> DataProvider:
    """Return the data worker's provider."""
    return get_data_provider(_settings(client_id=settings.IB_DATA_CLIENT_ID), broker_type=settings.BROKER_TYPE)


@worker_init.connect
def start(sender: Any, **_: Any) -> None:
    """Start what the worker's queues ask for."""
    queues = set(sender.app.amqp.queues.consume_from)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    logger.info("worker_starts", queues=",".join(sorted(queues)))
    if dispatch.BROKER_QUEUE in queues:
        ib_settings = broker_settings()
        way = RightOfWay()
        _Held.recorder = EventRecorder(on_changed=_look_after, way=way)
        _Held.broker = BrokerThread(
            make_broker=broker_make,
            recorder=_Held.recorder,
            account_id=ib_settings.account,
            client_id=ib_settings.client_id,
            session_name=_sessions_named(),
            on_holding=_serve_queue,
            address=f"{ib_settings.host}:{ib_settings.port}",
        )
        # A stand-by takes no task: it could only let it lie. The queue is consumed while the connection is held.
        sender.app.amqp.queues.deselect(dispatch.BROKER_QUEUE)
        broker = _Held.broker
        _Held.close = CloseThread(broker=broker, on_doubt=broker.reconcile_soon)
        _Held.guard = GuardThread(
            broker=broker,
            state=lambda: broker.state,
            on_unknown=broker.reconcile_soon,
            on_closing=_Held.close.wake,
            way=way,
        )
        tasks = sender.app.tasks
        _Held.local_tasks = LocalTasks(lambda task, execution_id: tasks[task](execution_id))
        dispatch.run_here(_Held.local_tasks.take)
        _Held.recorder.start()
        _Held.broker.start()
        _Held.close.start()
        _Held.guard.start()
    if dispatch.DEFAULT_QUEUE in queues:
        # Beat asks for the first look only after its interval: until then, that the worker starts is the sign.
        with_own_connection(watchdog_sign, now=clock.now())
    if "data" in queues:
        _Held.data = DataThread(data_provider_make())
        _Held.data.start()


@worker_ready.connect
def ready(sender: Any, **_: Any) -> None:
    """Know the consumer, and have it serve the queue where the connection is held already."""
    # A full search for cycles among the 100,000 objects of the imports holds up every thread for 50 to 100 ms, the one
    # that sends as well. They stay until the end anyway, so they are searched once, here, and never again.
    gc.collect()
    gc.freeze()
    _Held.consumer = sender
    if _Held.is_holder:
        _serve_queue(_Held.is_holder)


def _serve_queue(is_holder: bool) -> None:  # noqa: FBT001 - the one thing that is told
    """Take tasks of the broker queue while this worker holds the connection, and none while it stands by."""
    _Held.is_holder = is_holder
    if _Held.consumer is not None:
        _Held.consumer.call_soon(_follow_holding)


def _follow_holding() -> None:
    """Do what holds by now: the consumer calls back in any order, so what was wanted at each call must not matter."""
    consumer = _Held.consumer
    (consumer.add_task_queue if _Held.is_holder else consumer.cancel_task_queue)(dispatch.BROKER_QUEUE)


def _sessions_named() -> str:
    """Give all database sessions of this process, opened from now on, one name; return it."""
    name = session_name_make()
    connections.settings["default"].setdefault("OPTIONS", {})["application_name"] = name
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    return name


@worker_shutdown.connect
def stop(**_: Any) -> None:
    """Close the connections; the pool has drained by now."""
    if _Held.guard is not None:
        _Held.guard.stop(seconds_max=STOP_SECONDS_MAX)
    if _Held.close is not None:
        _Held.close.stop(seconds_max=STOP_SECONDS_MAX)
    if _Held.local_tasks is not None:
        dispatch.run_here(None)
        _Held.local_tasks.stop()
    if _Held.broker is not None:
        _Held.broker.stop(seconds_max=STOP_SECONDS_MAX)
    if _Held.recorder is not None:
        _Held.recorder.stop(seconds_max=STOP_SECONDS_MAX)
    if _Held.data is not None:
        _Held.data.stop(seconds_max=STOP_SECONDS_MAX)


def _look_after(execution_id: int, event: AnyBrokerEvent) -> None:
    """See to an execution that an event has changed."""
    if _Held.guard is not None:
        _Held.guard.wake(execution_id)
    if _Held.broker is not None and isinstance(event, OrderMessageTold) and event.meaning is MessageMeaning.REFUSAL:
        failure_note(connection_id=_Held.broker.connection_id, code=f"refused_{event.code}", now=clock.now())
    if _Held.broker is not None and (is_over_unheard(event) or ended_without_a_word(event)):
        _Held.broker.reconcile_soon()
    cancel_rest_of_broken(execution_id, event)


def _settings(*, client_id: int) -> IBSettings:
    return IBSettings(
        host=settings.IB_HOST,
        port=settings.IB_PORT,
        client_id=client_id,
        account=settings.IB_ACCOUNT,
        trading_mode=settings.IB_TRADING_MODE,
        messages_per_second=settings.IB_MESSAGES_PER_SECOND,
        time_zone=settings.IB_TIME_ZONE,
    )
