"""No further stop is given up while the broker refuses what closes others; then one is tried."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.close_circuit import COOL_DOWN, FAILED_MAX, CloseSent, stop_is_kept

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)


def failed(con_id: int, *, seconds_ago: float = 1) -> CloseSent:
    return CloseSent(con_id=con_id, at=NOW - timedelta(seconds=seconds_ago), failed=True)


def taken(con_id: int) -> CloseSent:
    return CloseSent(con_id=con_id, at=NOW, failed=False)


@pytest.mark.parametrize(
    ("closes", "kept"),
    [
        ([], False),
        ([failed(1)] * (FAILED_MAX - 1), False),
        ([failed(1)] * FAILED_MAX, True),
        # The newest was taken, or one of the last few
        ([taken(1), *[failed(1)] * FAILED_MAX], False),
        ([failed(1), failed(1), taken(1), failed(1)], False),
        # A contract that cannot be closed says nothing of others ...
        ([failed(2)] * 9, False),
        ([failed(2)] * 9 + [taken(4), failed(3)], False),
        # ... two say something of the account, also where the last orders are all of one, unless others are closed
        ([failed(2), failed(3), failed(2)], True),
        ([*[failed(2)] * 3, failed(3), failed(3)], True),
        ([failed(2), failed(3), taken(4)], False),
        # What was taken of another contract does not make this one's pass
        ([taken(2), failed(1), failed(1), failed(1)], True),
    ],
)
def test_it_is_kept_after_refusals_in_a_row(closes: list[CloseSent], kept: bool) -> None:
    assert stop_is_kept(closes, con_id=1, begun_at=None, now=NOW) is kept


def test_one_is_tried_when_the_last_refusal_is_long_ago() -> None:
    closes = [failed(1)] * FAILED_MAX
    over = NOW - timedelta(seconds=1) + COOL_DOWN
    assert stop_is_kept(closes, con_id=1, begun_at=None, now=over - MOMENT)
    assert not stop_is_kept(closes, con_id=1, begun_at=None, now=over)
    # When that one has given up its stop, the others wait for its answer
    assert stop_is_kept(closes, con_id=1, begun_at=over, now=over + MOMENT)
    assert not stop_is_kept([taken(1), *closes], con_id=1, begun_at=over, now=over + MOMENT)
    assert stop_is_kept([failed(1, seconds_ago=-40), *closes], con_id=1, begun_at=over, now=NOW + 2 * COOL_DOWN)


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(hours=2)])
def test_moments_noted_by_a_clock_that_ran_ahead_keep_nothing_from_being_closed(ahead: timedelta) -> None:
    closes = [failed(1, seconds_ago=-ahead.total_seconds())] * FAILED_MAX
    assert not stop_is_kept(closes, con_id=1, begun_at=None, now=NOW)
    assert not stop_is_kept(closes, con_id=1, begun_at=NOW + ahead, now=NOW)
