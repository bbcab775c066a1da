"""Entries give way while a lost stop is replaced, and only then."""

import threading
from contextlib import nullcontext
from decimal import Decimal
from unittest.mock import Mock

import pytest

from app.brokers.base import ConnectionState
from app.domain.broker_events import OrderTold, ToldStatus
from app.executions.services.guard import GuardLook
from app.worker.event_recorder import EventRecorder
from app.worker.guard_thread import GuardThread
from app.worker.right_of_way import SECONDS_MAX, RightOfWay
from tests.services.heard import at

pytestmark = pytest.mark.case("T61")
KEY = "k7m2q4x9b3c5d6f8"


def test_entries_go_on_after_a_look_that_began_when_the_loss_was_recorded() -> None:
    way = RightOfWay()
    assert not way.is_claimed()
    way.heard()
    # Given a look that began before it was recorded, and ends after that
    begun = way.begins()
    way.recorded(1)
    way.looked(begun)
    assert way.is_claimed()
    # Then only the next one is good enough
    way.looked(way.begins())
    assert not way.is_claimed()


def test_a_second_loss_is_waited_for_too() -> None:
    way = RightOfWay()
    way.heard()
    way.recorded(1)
    begun = way.begins()
    way.heard()
    way.looked(begun)
    assert way.is_claimed()


def test_what_is_never_seen_to_holds_entries_up_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    way = RightOfWay()
    way.heard()
    way.heard()
    assert way.is_claimed()
    # Given that it has lasted too long, further losses do not begin it anew
    monkeypatch.setattr("app.worker.right_of_way.SECONDS_MAX", 0.0)
    way.heard()
    assert not way.is_claimed()
    # Until all were looked at
    way.recorded(3)
    way.looked(way.begins())
    monkeypatch.setattr("app.worker.right_of_way.SECONDS_MAX", 60.0)
    way.heard()
    assert way.is_claimed()


@pytest.mark.case("T63")
def test_entries_wait_on_while_repairs_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr("app.worker.right_of_way.time.monotonic", lambda: moment[0])
    way = RightOfWay()
    way.heard()
    moment[0] = SECONDS_MAX - 1
    way.goes_on()
    moment[0] = SECONDS_MAX + 1
    assert way.is_claimed()
    # But not when nothing was repaired for too long
    moment[0] = 2 * SECONDS_MAX
    assert not way.is_claimed()


@pytest.mark.case("T63")
@pytest.mark.parametrize("left", [True, False])
def test_a_look_that_leaves_stops_to_be_placed_lets_no_entry_go(monkeypatch: pytest.MonkeyPatch, *, left: bool) -> None:
    way, looks = RightOfWay(), list[bool]()
    guard = GuardThread(broker=Mock(), state=lambda: ConnectionState.READY, on_unknown=lambda: None, way=way)

    def look_once(_woken: set[int]) -> GuardLook:
        looks.append(way.is_claimed())
        if len(looks) == 2:
            guard._stopping.set()
        guard._wake.set()
        return GuardLook(repaired=1, left=left)

    monkeypatch.setattr(guard, "_look_at", look_once)
    monkeypatch.setattr("app.worker.guard_thread.connections.close_all", lambda: None)
    monkeypatch.setattr("app.worker.guard_thread.statement_limit", lambda **_: nullcontext())
    monkeypatch.setattr(guard, "_tell_held_up", lambda: None)
    way.heard()
    way.recorded(1)
    guard.wake(1)
    guard._run()
    assert looks == [True, left]


@pytest.mark.parametrize(
    ("status", "order_ref", "free"),
    [
        (ToldStatus.CANCELLED, f"{KEY}-1-STOP_LOSS", False),
        (ToldStatus.INACTIVE, f"{KEY}-1-PROTECT2", False),
        (ToldStatus.CANCELLED, f"{KEY}-1-CLOSE", False),
        # It may be a stop
        (ToldStatus.CANCELLED, "", False),
        (ToldStatus.FILLED, f"{KEY}-1-STOP_LOSS", True),
        # No shares are without their stop by that
        (ToldStatus.CANCELLED, f"{KEY}-1-TAKE_PROFIT", True),
        (ToldStatus.CANCELLED, f"{KEY}-1-ENTRY", True),
        # Nor are shares of ours
        (ToldStatus.CANCELLED, "somebody's", True),
    ],
)
def test_the_recorder_says_when_a_stop_is_gone_and_when_that_is_recorded(
    monkeypatch: pytest.MonkeyPatch, status: ToldStatus, order_ref: str, *, free: bool
) -> None:
    # Given a recorder that is held up while it records
    is_recording, may_go_on = threading.Event(), threading.Event()

    def record(*_: object, **__: object) -> None:
        is_recording.set()
        may_go_on.wait(10)

    monkeypatch.setattr("app.worker.event_recorder.broker_event_record", record)
    way = RightOfWay()
    recorder = EventRecorder(on_changed=lambda _execution, _event: None, way=way)
    recorder.start()
    try:
        recorder.put(gone(status, order_ref=order_ref))
        assert is_recording.wait(10)
        way.looked(way.begins())
        assert way.is_claimed() is not free
        may_go_on.set()
        assert recorder.drain(seconds_max=10)
        way.looked(way.begins())
        assert not way.is_claimed()
    finally:
        may_go_on.set()
        recorder.stop(seconds_max=10)


def gone(status: ToldStatus, *, order_ref: str) -> OrderTold:
    return OrderTold(
        dedupe_key=f"status:{status}",
        account="DU1234567",
        received_at=at(10),
        order_id=7,
        client_id=1,
        perm_id=1007,
        order_ref=order_ref,
        status=status,
        raw_status=status.value,
        filled=Decimal(0),
        remaining=Decimal(0),
        average_price=Decimal(0),
    )
