"""What happened to one bracket in a run, in the order of time: steps, messages sent, events told, decisions made."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.world import World

Line = tuple[datetime, str]
FIELDS_OF_AN_EVENT = ("raw_status", "filled", "remaining", "why_held", "source", "code", "text", "quantity", "price")


def story(world: World) -> str:
    """Tell the whole run: first the orders as they are here and there, then everything that led to it."""
    lines = sorted([*_steps(world), *_sent(world), *_events(), *_decisions(), *_runs()], key=lambda line: line[0])
    told = [f"{moment:%H:%M:%S.%f} {text}" for moment, text in lines]
    return "\n".join([*_orders(world), "", *told, ""])


def _orders(world: World) -> Iterable[str]:
    from app.executions.models import Execution, Order

    theirs = {order["order_ref"]: order for order in world.peer.orders()}
    for execution in Execution.objects.order_by("id"):
        yield f"execution {execution.pk} {execution.status} open {execution.open_quantity} {execution.attention!r}"
        for order in Order.objects.filter(bracket__execution=execution).order_by("id"):
            there = theirs.pop(order.order_ref, {})
            yield (
                f"    {order.order_ref} id {order.order_id} {order.action} {order.quantity:f} here {order.status} "
                f"{order.filled_quantity:f}, there {there.get('status')} {there.get('filled')} of "
                f"{there.get('quantity')} {there.get('why_held', '')}"
            )
    yield from (f"unknown to us: {order}" for order in theirs.values())


def _steps(world: World) -> Iterable[Line]:
    return [(moment, f"STEP     {step}") for moment, step in world.steps_done]


def _sent(world: World) -> Iterable[Line]:
    """What clients sent; the simulator's clock of the machine's uptime is ours."""
    offset = time.time() * 1000 - time.monotonic() * 1000
    for message in world.peer.messages():
        if message["name"] in ("placeOrder", "cancelOrder"):
            moment = datetime.fromtimestamp((message["received_ms"] + offset) / 1000, UTC)
            words = [str(field) for field in message["fields"] if field not in ("", "0", "1.7976931348623157E308")]
            yield moment, f"SENT     {message['name']} {' '.join(words)[:150]}"


def _events() -> Iterable[Line]:
    from app.executions.models import BrokerEvent

    for event in BrokerEvent.objects.select_related("order").order_by("id"):
        told = {name: event.payload[name] for name in FIELDS_OF_AN_EVENT if event.payload.get(name)}
        late = event.recorded_at - event.received_at
        when = f" (recorded {late.total_seconds():.3f} s later)" if late > timedelta(seconds=0.2) else ""
        yield event.received_at, f"TOLD     {event.kind} {event.order or '-'} {json.dumps(told)}{when}"


def _decisions() -> Iterable[Line]:
    from app.executions.models import Decision

    for decision in Decision.objects.select_related("order").order_by("id"):
        text = (
            f"DECIDED  {decision.actor} {decision.action} {decision.order or decision.execution_id}: {decision.reason}"
        )
        yield decision.decided_at, text


def _runs() -> Iterable[Line]:
    from app.executions.models import ReconcileRun

    for run in ReconcileRun.objects.order_by("id"):
        found: Any = [*run.differences, *run.actions] if run.is_complete else run.error_code or "not finished"
        yield (
            run.started_at,
            f"ASKED    until {run.finished_at:%S.%f}: {found}" if run.finished_at else "ASKED    no end",
        )
