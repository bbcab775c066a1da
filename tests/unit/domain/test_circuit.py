"""The circuit breaker: opens after repeated failures, heals by itself, opens again at one failure while it heals."""

from datetime import UTC, datetime, timedelta

from app.domain.circuit import COOL_DOWN, FAILURES_MAX, WINDOW, Circuit, circuit_at

START = datetime(2026, 11, 20, tzinfo=UTC)
BURST = [START + timedelta(seconds=number) for number in range(FAILURES_MAX)]


def test_fewer_failures_than_the_limit_leave_it_closed() -> None:
    assert circuit_at([], now=START) is Circuit.CLOSED
    assert circuit_at(BURST[1:], now=BURST[-1]) is Circuit.CLOSED


def test_failures_far_apart_leave_it_closed() -> None:
    rare = [START + number * WINDOW for number in range(FAILURES_MAX)]
    assert circuit_at(rare, now=rare[-1]) is Circuit.CLOSED


def test_it_opens_cools_down_and_closes_by_itself() -> None:
    last = BURST[-1]
    assert circuit_at(BURST, now=last) is Circuit.OPEN
    assert circuit_at(BURST, now=last + COOL_DOWN - timedelta(milliseconds=1)) is Circuit.OPEN
    assert circuit_at(BURST, now=last + COOL_DOWN) is Circuit.HALF_OPEN
    assert circuit_at(BURST, now=BURST[0] + WINDOW) is Circuit.CLOSED


def test_one_failure_while_it_is_half_open_opens_it_again() -> None:
    again = BURST[-1] + COOL_DOWN + timedelta(seconds=1)
    failures = [*BURST, again][-FAILURES_MAX:]
    assert circuit_at(failures, now=again) is Circuit.OPEN
    assert circuit_at(failures, now=again + COOL_DOWN) is Circuit.HALF_OPEN


def test_failures_noted_by_a_clock_that_ran_ahead_do_not_count() -> None:
    assert circuit_at(BURST, now=START - timedelta(hours=2)) is Circuit.CLOSED
