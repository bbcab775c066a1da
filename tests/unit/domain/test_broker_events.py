"""Events are stored as told: what comes out of the store is what went in, and corrections find their deal."""

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.broker_events import (
    EVENT_TYPES,
    AnyBrokerEvent,
    CommissionTold,
    MessageMeaning,
    OrderTold,
    ToldStatus,
    correction_number,
    correction_root,
    event_from_payload,
    event_to_payload,
)
from app.domain.terms import Action

ZONES = [UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30))]
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(),
    bool: st.booleans(),
    Decimal: DECIMALS,
    Decimal | None: st.none() | DECIMALS,
    datetime: st.datetimes(timezones=st.sampled_from(ZONES)),
    ToldStatus: st.sampled_from(ToldStatus),
    MessageMeaning: st.sampled_from(MessageMeaning),
    Action: st.sampled_from(Action),
}
KINDS = pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=EVENT_TYPES.keys())

ORDER_TOLD = OrderTold(
    dedupe_key="status:s:1:3:1",
    account="DU1234567",
    received_at=datetime(2026, 9, 1, 13, 30, tzinfo=UTC),
    order_id=3,
    client_id=1,
    perm_id=312255409,
    order_ref="k7m2q4x9b3c5d6f8-1-ENTRY",
    status=ToldStatus.SUBMITTED,
    raw_status="Submitted",
    filled=Decimal(3),
    remaining=Decimal(7),
    average_price=Decimal("189.50"),
    why_held="locate",
    parent_id=2,
    source="open_order",
)


def events(cls: type[AnyBrokerEvent]) -> st.SearchStrategy[AnyBrokerEvent]:
    """Return events with every field set, those with a default included."""
    return st.builds(cls, **{field.name: VALUES[field.type] for field in fields(cls)})


def stored(event: AnyBrokerEvent) -> dict[str, Any]:
    """Return the event as the database keeps it."""
    payload: dict[str, Any] = json.loads(json.dumps(event_to_payload(event)))
    return payload


@KINDS
@given(data=st.data())
def test_every_kind_of_event_survives_the_store(cls: type[AnyBrokerEvent], data: st.DataObject) -> None:
    # Given an event
    event = data.draw(events(cls))

    # When it is stored and read back
    read = event_from_payload(event.kind, stored(event))

    # Then it is the same, in value and type, down to the digits of its decimals
    assert read == event
    assert stored(read) == stored(event)
    assert [type(getattr(read, field.name)) for field in fields(cls)] == [
        type(getattr(event, field.name)) for field in fields(cls)
    ]


def test_a_stored_event_reads_as_plain_facts() -> None:
    payload = stored(ORDER_TOLD)
    assert payload["average_price"] == "189.50"
    assert payload["received_at"] == "2026-09-01T13:30:00+00:00"
    assert payload["status"] == "Submitted"
    assert payload["perm_id"] == 312255409


def test_a_payload_from_before_a_field_existed_still_reads() -> None:
    # Given an event stored by an earlier version, that had no `parent_id`
    payload = stored(ORDER_TOLD)
    del payload["parent_id"]
    # Then it is read with the field's default
    read = event_from_payload("order_told", payload)
    assert isinstance(read, OrderTold)
    assert (read.parent_id, read.why_held) == (0, "locate")


def test_a_payload_without_a_needed_fact_is_not_read() -> None:
    payload = stored(ORDER_TOLD)
    del payload["status"]
    with pytest.raises(KeyError, match="status"):
        event_from_payload("order_told", payload)


def test_an_unknown_kind_is_not_read() -> None:
    with pytest.raises(KeyError, match="rumour"):
        event_from_payload("rumour", stored(ORDER_TOLD))


def test_no_realized_profit_is_not_zero_profit() -> None:
    event = CommissionTold(
        dedupe_key="commission:0000e0d5.64f1a2b3.01.01",
        account="",
        received_at=ORDER_TOLD.received_at,
        exec_id="0000e0d5.64f1a2b3.01.01",
        amount=Decimal("1.00"),
        currency="USD",
        realized_pnl=None,
    )
    read = event_from_payload(event.kind, stored(event))
    assert isinstance(read, CommissionTold)
    assert read.realized_pnl is None


def test_the_kinds_are_distinct_and_named() -> None:
    assert len(EVENT_TYPES) == len({cls.kind for cls in EVENT_TYPES.values()})
    assert all(kind for kind in EVENT_TYPES)


# --- corrections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exec_id", "root", "number"),
    [
        ("0000e0d5.64f1a2b3.01.01", "0000e0d5.64f1a2b3.01", 1),
        ("0000e0d5.64f1a2b3.01.02", "0000e0d5.64f1a2b3.01", 2),
        ("0000e0d5.64f1a2b3.02.01", "0000e0d5.64f1a2b3.02", 1),
        ("0000e0d5.64f1a2b3.01.10", "0000e0d5.64f1a2b3.01", 10),
        ("0000e0d5.64f1a2b3.64f1a2b4.02.01", "0000e0d5.64f1a2b3.64f1a2b4.02", 1),
        # Not of the form that is ever corrected: each its own deal.
        ("fill-17", "fill-17", 0),
        ("deals.17", "deals.17", 0),
        ("a.b.17", "a.b.17", 0),
        ("0000e0d5.64f1a2b3.01.", "0000e0d5.64f1a2b3.01.", 0),
        ("0000e0d5.64f1a2b3.01.x1", "0000e0d5.64f1a2b3.01.x1", 0),
        ("0000e0d5.64f1a2b3.01.²", "0000e0d5.64f1a2b3.01.²", 0),
        ("", "", 0),
    ],
)
def test_a_deal_and_its_corrections_share_a_root(exec_id: str, root: str, number: int) -> None:
    assert (correction_root(exec_id), correction_number(exec_id)) == (root, number)


@given(st.text())
def test_any_id_has_a_root_and_a_number(exec_id: str) -> None:
    root, number = correction_root(exec_id), correction_number(exec_id)
    assert exec_id.startswith(root)
    assert (root == exec_id) or number == int(exec_id[len(root) + 1 :])


@given(st.text(), st.text())
def test_two_ids_with_one_root_and_number_are_one_deal(one: str, other: str) -> None:
    if (correction_root(one), correction_number(one)) == (correction_root(other), correction_number(other)):
        assert one == other
