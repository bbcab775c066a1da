"""The command line: what it makes, what it refuses, and what it says of itself."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ib_simulator.__main__ import main
from ib_simulator.market.plans import PricePlan
from ib_simulator.options import banner, clock_of, config_of, parse_arguments
from ib_simulator.process import running_simulator
from tests.eventually import eventually


def test_without_options_it_is_a_calm_day_on_the_machines_clock() -> None:
    options = parse_arguments([])
    config = config_of(options)
    assert (config.hours, config.prices) == ("always", PricePlan("walk"))
    assert not clock_of(options).is_simulated


def test_options_choose_the_day_and_what_moves_prices(tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text("time,symbol,last\n1,AAPL,190\n")
    given = ["--clock", "2026-11-27T09:29:55-05:00", "--clock-speed", "0", "--hours", "us_equities"]
    options = parse_arguments([*given, "--prices", f"script:{file}"])

    config, clock = config_of(options), clock_of(options)

    assert config.prices == PricePlan("script", text=file.read_text(), name=str(file))
    assert config.hours == "us_equities"
    assert clock.now() == clock.now() == datetime(2026, 11, 27, 14, 29, 55, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        ["--clock", "tomorrow"],
        ["--clock", "2026-11-27T09:29:55"],
        ["--clock-speed", "-1"],
        ["--clock-speed", "nan"],
        ["--clock-speed", "fast"],
        ["--hours", "tokyo"],
        ["--prices", "csv"],
        ["--prices", "csv:"],
        ["--prices", "walk:file"],
        ["--prices", "brownian"],
        ["--seed", "-1"],
        ["--account", "DU1", "--account", "DU1"],
    ],
)
def test_a_wrong_option_ends_the_program(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(given)
    assert ended.value.code == 2
    assert given[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"time,symbol\n", "line 1: missing columns: last"), (b"\xff\xfe", "is not UTF-8")],
)
def test_a_file_of_prices_that_cannot_be_used_ends_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    file = tmp_path / "ticks.csv"
    if content is not None:
        file.write_bytes(content)

    status = main(["--port", "0", "--control-port", "0", "--prices", f"script:{file}"])

    told = capsys.readouterr()
    assert (status, told.out) == (2, "")
    assert str(file) in told.err
    assert reason in told.err


def test_the_banner_says_what_is_played() -> None:
    options = parse_arguments(["--clock-speed", "60", "--hours", "us_equities", "--seed", "9", "--account", "DU7"])
    said = banner(options, now=datetime(2026, 11, 27, 14, 30, tzinfo=UTC))
    for part in ("157 to 178", "DU7", "walk", "us_equities", "2026-11-27T14:30:00+00:00", "60 times real time", "9"):
        assert part in said


def test_a_running_program_plays_its_script_by_its_own_clock(tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text("time,symbol,last\n2026-11-27T09:30:30-05:00,AAPL,123.45\n")
    with running_simulator(
        clock="2026-11-27T09:29:55-05:00", clock_speed=120, hours="us_equities", prices=f"script:{file}"
    ) as simulator:
        eventually(lambda: simulator.control.state()["prices"]["AAPL"] == "123.45")
        assert simulator.control.clock()["phase"] == "regular"
        assert simulator.control.clock()["speed"] == 120
        assert "us_equities" in simulator.errors()
