"""One program: ready by its own sign, stopped politely and then firmly, never outliving the one who started it."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from stack_programs import SERVE, STUBBORN, eventually, is_running, program

from local_stack.errors import NotReadyError
from local_stack.process import ProcessSpec, RunningProcess

Start = Callable[[ProcessSpec], RunningProcess]


def test_it_is_ready_when_it_says_so(start: Start) -> None:
    process = start(program("p", "import sys; sys.stdin.read(); print('ready'); import time; time.sleep(60)"))

    process.wait_ready()

    assert process.exit_code is None
    assert "ready" in process.log_text()


def test_the_log_of_a_former_run_is_no_sign(start: Start, tmp_path: Path) -> None:
    (tmp_path / "p-0.log").write_text("ready\n")

    process = start(program("p", "import time; time.sleep(60)", ready_timeout_seconds=0.2))

    with pytest.raises(NotReadyError, match=r"p was not ready within 0.2 s"):
        process.wait_ready()


def test_one_that_ends_instead_shows_the_last_lines_of_its_log(start: Start) -> None:
    process = start(program("p", "print('first'); raise SystemExit('no such table')"))

    with pytest.raises(NotReadyError, match=r"(?s)p ended with exit code 1 while starting.*first.*no such table"):
        process.wait_ready()


def test_a_program_that_is_not_there_is_named(start: Start) -> None:
    process = start(program("p", "", argv=["/nowhere/program"]))

    with pytest.raises(NotReadyError, match="cannot run /nowhere/program: No such file"):
        process.wait_ready()


def test_what_a_program_said_before_we_looked_again_is_in_its_log(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a machine so busy that a program has ended before its start returns
    popen = subprocess.Popen

    def ended(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
        child = popen(*arguments, **options)  # type: ignore[call-overload]
        child.wait()
        return child  # type: ignore[no-any-return]

    monkeypatch.setattr(subprocess, "Popen", ended)
    process = start(program("p", "raise SystemExit('no such table')"))
    # Then its words are there
    assert process.log_text() == "no such table\n"


def test_it_is_asked_to_stop_first(start: Start) -> None:
    code = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); {SERVE}"
    process = start(program("p", code))
    process.wait_ready()

    process.stop()

    assert process.exit_code == 7


def test_a_stubborn_one_is_killed(start: Start) -> None:
    process = start(program("p", STUBBORN, stop_timeout_seconds=0.2))
    process.wait_ready()

    process.stop()

    assert process.exit_code == -signal.SIGKILL


def test_killing_it_takes_its_children_along(start: Start) -> None:
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n    print('child', os.getpid()); print('ready'); time.sleep(60)\n"
        "time.sleep(60)"
    )
    process = start(program("p", code))
    process.wait_ready()
    child = int(process.log_text().split()[1])

    process.kill()

    eventually(lambda: not is_running(child))


def test_ctrl_c_in_the_terminal_does_not_reach_it(start: Start) -> None:
    process = start(program("p", SERVE))
    process.wait_ready()

    assert os.getpgid(process.pid) == process.pid
    assert os.getsid(process.pid) == process.pid


def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent_code = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from local_stack.process import ProcessSpec, process_start
        argv = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
        ready = lambda _pid, log: "ready" in log
        spec = ProcessSpec(name="p", argv=argv, environment={}, directory=Path("/"), ready=ready)
        process = process_start(spec, log=Path(sys.argv[1]))
        process.wait_ready()
        print(process.pid, flush=True)
        time.sleep(60)
        """
    )
    command = [sys.executable, "-c", parent_code, str(tmp_path / "p.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)

        parent.kill()

    eventually(lambda: not is_running(child))
