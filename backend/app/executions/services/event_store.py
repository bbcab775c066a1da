"""Store what the broker told: many events in one statement, and in one parameter, however many there are.

A day of a busy account is tens of thousands of events. A statement takes 65,535 parameters at most, and each costs time
on both sides; one JSON document costs hardly any.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from app.domain.broker_events import AnyBrokerEvent, CommissionTold, event_to_payload
from app.executions.models import Order

_EVENTS = """
    INSERT INTO executions_brokerevent
        (dedupe_key, kind, account, payload, order_id, execution_id, received_at, recorded_at)
    SELECT told->'payload'->>'dedupe_key', told->>'kind', told->'payload'->>'account', told->'payload',
        (told->>'order_id')::bigint, (told->>'execution_id')::bigint,
        (told->'payload'->>'received_at')::timestamptz, %s
    FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS listed (told, number)
    ORDER BY number
"""
# Each deal is looked up by its key: a join may be one with the whole table.
_COSTS = """
    INSERT INTO executions_commission (exec_id, fill_id, amount, currency, realized_pnl)
    SELECT told.exec_id, (SELECT deal.id FROM executions_fill AS deal WHERE deal.exec_id = told.exec_id),
        told.amount, told.currency, told.realized_pnl
    FROM jsonb_to_recordset(%s::jsonb) AS told (exec_id text, amount numeric, currency text, realized_pnl numeric)
    ON CONFLICT (exec_id) DO UPDATE SET fill_id = EXCLUDED.fill_id, amount = EXCLUDED.amount,
        currency = EXCLUDED.currency, realized_pnl = EXCLUDED.realized_pnl
"""


def events_store(told: Sequence[tuple[AnyBrokerEvent, Order | None]], *, now: datetime) -> None:
    """Store events, each with the order of ours that it is about. Raises IntegrityError where one is stored already."""
    _store(_EVENTS, told, now=now)


def others_store(events: Sequence[AnyBrokerEvent], *, now: datetime) -> None:
    """Store events that are about no order of ours, and costs; what somebody stored meanwhile stays as it is."""
    _store(f"{_EVENTS} ON CONFLICT (dedupe_key) DO NOTHING", [(event, None) for event in events], now=now)
    commissions_store([event for event in events if isinstance(event, CommissionTold)])


def commissions_store(events: Sequence[CommissionTold]) -> None:
    """Store costs, each with its deal where that is known."""
    # A statement may write a row once only: of a deal whose cost is told twice the last one counts.
    costs = {event.exec_id: event for event in events}
    told = [
        {
            "exec_id": event.exec_id,
            "amount": str(event.amount),
            "currency": event.currency,
            "realized_pnl": None if event.realized_pnl is None else str(event.realized_pnl),
        }
        for event in costs.values()
    ]
    if told:
        with connection.cursor() as cursor:
            cursor.execute(_COSTS, [json.dumps(told)])


def _store(statement: str, told: Sequence[tuple[AnyBrokerEvent, Order | None]], *, now: datetime) -> None:
    rows = [
        {
            "kind": event.kind,
            "payload": event_to_payload(event),
            "order_id": order.pk if order is not None else None,
            "execution_id": order.bracket.execution_id if order is not None else None,
        }
        for event, order in told
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, [now, json.dumps(rows)])
