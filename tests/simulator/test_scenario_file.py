"""Scenario files: read, refused with the key and the reason, and played at their moments."""

import re
from pathlib import Path

import pytest

from ib_simulator.__main__ import EXIT_CANNOT_START, main
from ib_simulator.faults.scenario_file import ScenarioFileError, parse_scenario
from ib_simulator.faults.scenario_player import ScenarioPlayer
from tests.simulator.joined import Table, limit, market

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
TIME_REQUEST = b"49\x001\x00"
DROP = 'do = { cmd = "drop_connections" }'


def play(text: str) -> Table:
    table = Table()
    ScenarioPlayer(parse_scenario(text, name="test.toml"), gateway=table.gateway).start()
    return table


def pass_time(table: Table, seconds: float) -> None:
    table.clock.advance(seconds=seconds)
    table.gateway.wake()


# --- reading -------------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_one() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    plan = parse_scenario(example, name="example")

    assert [(step.at, step.after, step.when_filled) for step in plan.steps] == [
        (5, "", ""),
        (None, "placeOrder", ""),
        (None, "", "7-1-entry"),
    ]
    assert plan.adversary is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[switches\n", "at line 1"),
        ('pace = "slow"', "pace: is none of"),
        ('[switches]\npace = "slow"', "switches.pace: there is no such switch"),
        ('[switches]\npacing = "often"', "switches.pacing: 'often' is none of off, reject, slow"),
        ("[limits]\npatience = 1", "limits.patience: there is no such limit"),
        ("[limits]\nmessages_per_second = 0", "limits.messages_per_second: must be an integer from 1"),
        (f"[[step]]\n{DROP}", "step[1]: needs exactly one of at, after, when_filled"),
        (f'[[step]]\nat = 1\nafter = "placeOrder"\n{DROP}', "step[1]: needs exactly one of"),
        (f"[[step]]\nat = -1\n{DROP}", "step[1].at: must be a number of seconds"),
        (f"[[step]]\nat = 1\ncount = 2\n{DROP}", "step[1]: client_id and count belong to after"),
        ("[[step]]\nat = 1", "step[1].do: must be a list"),
        ("[[step]]\nat = 1\ndo = []", "step[1].do: names no command"),
        ('[[step]]\nat = 1\ndo = { cmd = "explode" }', "step[1].do.cmd: there is no command 'explode'"),
        ('[[step]]\nat = 1\ndo = { cmd = "shutdown" }', "step[1].do.cmd: there is no command 'shutdown'"),
        ('[[step]]\nat = 1\ndo = [{ cmd = "freeze" }, 3]', "step[1].do[2]: must be a table"),
        ("[random]\nseed = 1\nevery_seconds = 0\nfaults = []", "random.every_seconds: must be above zero"),
        ('[random]\nevery_seconds = 1\nfaults = [{ cmd = "freeze" }]', "random.seed: must be an integer"),
    ],
)
def test_a_mistake_is_named_with_the_file_and_the_key(text: str, reason: str) -> None:
    with pytest.raises(ScenarioFileError) as raised:
        parse_scenario(text, name="test.toml")
    assert str(raised.value).startswith("test.toml: ")
    assert reason in str(raised.value)


@pytest.mark.parametrize("text", ["[switches", None])
def test_the_program_does_not_start_with_a_wrong_file(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    if text is not None:
        path.write_text(text)

    status = main(["--port", "0", "--control-port", "0", "--scenario", str(path)])

    assert status == EXIT_CANNOT_START
    assert str(path) in capsys.readouterr().err


# --- playing -------------------------------------------------------------------------------------------------


def test_switches_and_limits_hold_from_the_start() -> None:
    table = play('[switches]\npacing = "reject"\n[limits]\nmessages_per_second = 1')
    client = table.connect()
    for _ in range(3):
        client.raw(TIME_REQUEST)
    assert len(client.frames()) == 1


def test_a_step_at_a_moment() -> None:
    table = play(f"[[step]]\nat = 5\n{DROP}")
    client = table.connect()
    pass_time(table, 4.9)
    assert not client.session.closing
    pass_time(table, 0.2)
    assert client.session.closing


def test_a_step_after_a_message_of_a_client() -> None:
    table = play(f'[[step]]\nafter = "reqCurrentTime"\nclient_id = 2\ncount = 2\nwait = 1\n{DROP}')
    first, second = table.connect(client_id=1), table.connect(client_id=2)
    for client in (first, first, second):
        client.raw(TIME_REQUEST)
    pass_time(table, 2)
    assert not second.session.closing

    second.raw(TIME_REQUEST)
    table.gateway.wake()
    assert not second.session.closing
    pass_time(table, 1)

    assert second.session.closing


def test_a_step_when_an_order_is_filled_in_full() -> None:
    table = play(f'[[step]]\nwhen_filled = "entry"\n{DROP}')
    client = table.connect()
    client.place(limit("BUY", 10, 150, orderRef="entry"))
    client.place(market("BUY", 1, orderRef="other"))
    table.control("fill", order_ref="entry", quantity="4")
    table.gateway.wake()
    assert not client.session.closing

    table.control("fill", order_ref="entry")
    table.gateway.wake()

    assert client.session.closing


def test_a_command_that_is_refused_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    table = play('[[step]]\nat = 0\ndo = [{ cmd = "fill", order_ref = "x" }, { cmd = "pause_fills" }]')

    table.gateway.wake()

    assert "test.toml: step[1]" in caplog.text
    assert "there is no such order" in caplog.text
    assert table.gateway.scenario.fills_paused


def test_an_adversary_does_the_same_under_the_same_seed() -> None:
    faults = 'faults = [{ cmd = "drop_connections" }, { cmd = "send_error", code = 1100 }, { cmd = "step" }]'

    def run(seed: int) -> list[str]:
        table = play(f"[random]\nseed = {seed}\nevery_seconds = 10\n{faults}")
        seen = []
        for _ in range(20):
            client = table.connect()
            pass_time(table, 10.5)
            seen.append("drop" if client.session.closing else "1100" if client.frames() else "step")
            client.session.close()
        return seen

    assert run(1) == run(1) != run(2)
    assert set(run(1)) == {"drop", "1100", "step"}
