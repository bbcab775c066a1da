"""Commands that lead the simulated time."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.clock import SimulatedClock
from ib_simulator.commands.command import Answer, named
from ib_simulator.errors import CommandError

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

ADVANCE_SECONDS_MAX = 366 * 86400


def clock(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Show the simulated time, its speed, and which session of the exchange runs."""
    now = gateway.clock.now()
    return {"now": now.isoformat(), "speed": gateway.clock_speed, "phase": gateway.hours.phase(now).value}


def set_clock(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Go to a later moment; what is due until then happens in order."""
    moment = arguments.moment("moment")
    _check_reach(gateway, moment)
    return _go_to(gateway, moment)


def advance_clock(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Go some seconds on; what is due until then happens in order."""
    seconds = arguments.decimal("seconds")
    if not 0 <= seconds <= ADVANCE_SECONDS_MAX:
        raise CommandError(code="bad_value", message=f"seconds must be 0 to {ADVANCE_SECONDS_MAX}, not {seconds}")
    return _go_to(gateway, _led(gateway).now() + timedelta(seconds=float(seconds)))


def set_clock_speed(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let time run at another speed from now on; 0 lets it stand."""
    try:
        _led(gateway).set_speed(float(arguments.decimal("speed")))
    except ValueError as error:
        raise CommandError(code="bad_value", message=str(error)) from error
    gateway.time_passed()
    return clock(gateway, arguments)


def _check_reach(gateway: "Gateway", moment: datetime) -> None:
    if moment - _led(gateway).now() > timedelta(seconds=ADVANCE_SECONDS_MAX):
        raise CommandError(code="bad_value", message=f"{moment.isoformat()} is more than a year ahead")


def _go_to(gateway: "Gateway", moment: datetime) -> Answer:
    try:
        gateway.go_to(moment, clock=_led(gateway))
    except ValueError as error:
        raise CommandError(code="bad_value", message=str(error)) from error
    return clock(gateway, Arguments({}))


def _led(gateway: "Gateway") -> SimulatedClock:
    if not isinstance(gateway.clock, SimulatedClock):
        raise CommandError(code="refused", message="this clock is led from elsewhere")
    return gateway.clock


COMMANDS = named(clock, set_clock, advance_clock, set_clock_speed)
