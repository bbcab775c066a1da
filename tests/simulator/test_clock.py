"""The simulated clock: it runs, stands, jumps, and never goes back."""

from datetime import UTC, datetime, timedelta

import pytest

from ib_simulator.clock import SimulatedClock
from ib_simulator.gateway import Gateway, GatewayConfig
from tests.simulator.joined import ACCOUNT, HandClock, JoinedClient, Table, limit

OPENING = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


class StillClock(HandClock):
    """The real clock beneath: it moves only when told."""

    def now(self) -> datetime:
        return self._now


def led_table(*, start: datetime = OPENING, speed: float = 0.0, hours: str = "us_equities") -> tuple[Table, StillClock]:
    """A gateway on a simulated clock, and the real clock beneath it."""
    table, beneath = Table(), StillClock()
    clock = SimulatedClock(start=start, speed=speed, beneath=beneath)
    table.gateway = Gateway(GatewayConfig((ACCOUNT,), seed=7, hours=hours), clock=clock)
    return table, beneath


def now_of(table: Table) -> datetime:
    return datetime.fromisoformat(table.control("clock")["now"])


def test_untouched_it_is_the_clock_beneath() -> None:
    beneath = StillClock()
    clock = SimulatedClock(beneath=beneath)

    beneath.advance(hours=1)

    assert not clock.is_simulated
    assert (clock.now(), clock.monotonic_ms()) == (beneath.now(), beneath.monotonic_ms())


@pytest.mark.parametrize(("speed", "passed"), [(0.0, 0), (1.0, 2), (60.0, 120), (0.5, 1)])
def test_it_runs_at_its_speed_from_its_start(speed: float, passed: int) -> None:
    table, beneath = led_table(speed=speed)

    beneath.advance(seconds=2)

    assert now_of(table) == OPENING + timedelta(seconds=passed)
    assert table.gateway.clock.monotonic_ms() == 2000


def test_it_is_led_forward_only() -> None:
    table, beneath = led_table(speed=60)

    assert table.control("set_clock", moment="2026-11-25T09:45:00-05:00")["now"] == "2026-11-25T14:45:00+00:00"
    assert table.control("set_clock", moment="2026-11-25T14:44:59Z")["code"] == "bad_value"
    table.control("advance_clock", seconds=90)
    assert now_of(table) == OPENING + timedelta(minutes=16, seconds=30)
    table.control("set_clock_speed", speed=0)
    beneath.advance(hours=1)
    assert now_of(table) == OPENING + timedelta(minutes=16, seconds=30)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("set_clock", {"moment": "yesterday"}),
        ("set_clock", {"moment": "2026-11-25T15:00:00"}),
        ("set_clock", {"moment": "2036-11-25T15:00:00Z"}),
        ("advance_clock", {"seconds": -1}),
        ("advance_clock", {"seconds": "1e12"}),
        ("set_clock_speed", {"speed": -1}),
    ],
)
def test_what_is_no_moment_and_no_speed_is_refused(command: str, arguments: dict[str, object]) -> None:
    table, _beneath = led_table()

    assert table.control(command, **arguments)["code"] == "bad_value"
    assert now_of(table) == OPENING


def test_another_clock_is_not_led() -> None:
    table = Table()
    assert table.control("advance_clock", seconds=1)["code"] == "refused"
    assert table.control("clock")["phase"] == "regular"


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        ("2026-11-25T13:00:00-05:00", "regular"),
        ("2026-11-25T16:00:00-05:00", "post"),
        ("2026-11-26T12:00:00-05:00", "closed"),
        ("2026-11-27T09:29:59-05:00", "pre"),
        ("2026-11-27T13:00:00-05:00", "post"),
    ],
)
def test_the_phase_is_that_of_the_calendar(moment: str, phase: str) -> None:
    table, _beneath = led_table()

    assert table.control("set_clock", moment=moment)["phase"] == phase


def test_answers_and_deals_carry_simulated_time() -> None:
    table, _beneath = led_table()
    client: JoinedClient = table.connect()

    client.api.reqCurrentTime()
    [told] = client.read()
    client.place(limit("BUY", 1, 500))

    assert told.arguments == (int(OPENING.timestamp()),)
    [deal] = table.control("state")["executions"]
    assert deal["time"] == OPENING.isoformat()


def test_a_jump_carries_out_what_is_due_on_the_way() -> None:
    table, _beneath = led_table()
    client = table.connect()
    client.place(limit("BUY", 1, 100))

    table.control("advance_clock", seconds=12 * 3600)

    assert [order["status"] for order in table.orders()] == ["Cancelled"]


def test_a_reset_begins_the_time_anew() -> None:
    table, _beneath = led_table()
    table.control("advance_clock", seconds=3600)
    table.control("set_clock_speed", speed=5)

    table.control("reset")

    assert table.control("clock") == {"ok": True, "now": OPENING.isoformat(), "speed": 0.0, "phase": "regular"}


def test_the_clock_itself_does_not_go_back() -> None:
    clock = SimulatedClock(start=OPENING, speed=0, beneath=StillClock())
    with pytest.raises(ValueError, match="does not go back"):
        clock.set(OPENING - timedelta(microseconds=1))
    clock.resume(OPENING - timedelta(days=1), speed=None)
    assert clock.now() == OPENING
