"""Several programs: batches in order, restart with a growing pause, stop in reverse, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack_programs import SERVE, STUBBORN, eventually, is_running, program

from local_stack import liveness
from local_stack.errors import JobFailedError, NotReadyError
from local_stack.supervisor import StopRequestedError, Supervisor


class Watched(Supervisor):
    """A supervisor that remembers what it said."""

    def __init__(self, logs: Path) -> None:
        self.lines: list[str] = []
        self.seen: list[dict[str, int]] = []
        super().__init__(logs=logs, report=self.lines.append, changed=self.seen.append)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "log")
    yield watched
    watched.stop()


def _stamping(path: Path, name: str) -> str:
    """A program that writes its name on a stop signal, a little later than asked."""
    return textwrap.dedent(
        f"""
        import signal, sys, time
        def stop(*_):
            time.sleep(0.05)
            with open({str(path)!r}, "a") as out: out.write("{name} ")
            sys.exit()
        signal.signal(signal.SIGTERM, stop)
        print("ready")
        time.sleep(60)
        """
    )


def test_batches_stop_in_reverse_order(supervisor: Watched, tmp_path: Path) -> None:
    order = tmp_path / "order"
    for name in ("servers", "simulator", "workers"):
        supervisor.start([program(name, _stamping(order, name))])
        supervisor.wait_ready()
    pids = list(supervisor.pids.values())

    supervisor.stop()

    assert order.read_text().split() == ["workers", "simulator", "servers"]
    assert not any(is_running(pid) for pid in pids)
    assert supervisor.pids == {}


@pytest.mark.case("S67")
def test_what_has_joined_a_batch_is_stopped_together_with_it(supervisor: Watched, tmp_path: Path) -> None:
    """Each ends only when the other was asked to stop as well."""
    for name, other in (("workers", "beat"), ("beat", "workers")):
        stop = f"open({str(tmp_path / name)!r}, 'w').close()\n"
        stop += f"    while not os.path.exists({str(tmp_path / other)!r}): time.sleep(0.01)\n    sys.exit()"
        code = f"import os, signal, sys, time\ndef stop(*_):\n    {stop}\nsignal.signal(signal.SIGTERM, stop)\n{SERVE}"
        supervisor.start([program(name, code, stop_timeout_seconds=10)], joined=name == "beat")
    supervisor.wait_ready()

    supervisor.stop()

    assert supervisor.lines == []


def test_a_batch_starts_side_by_side(supervisor: Watched) -> None:
    slow = "import time; time.sleep(0.4); print('ready'); time.sleep(60)"
    started = time.monotonic()

    supervisor.start([program(f"p{number}", slow) for number in range(4)])
    supervisor.wait_ready()

    assert time.monotonic() - started < 4 * 0.4


def test_one_that_never_gets_ready_is_an_error_with_its_log(supervisor: Watched) -> None:
    supervisor.start([program("good", SERVE), program("bad", "raise SystemExit('port 5 is taken')")])

    with pytest.raises(NotReadyError, match=r"(?s)bad ended with exit code 1.*port 5 is taken"):
        supervisor.wait_ready()


def test_one_that_dies_is_started_again_and_its_new_pid_told(supervisor: Watched) -> None:
    supervisor.start([program("p", SERVE)])
    supervisor.wait_ready()
    first = supervisor.pids["p"]

    os.kill(first, signal.SIGKILL)

    eventually(lambda: supervisor.restart_dead() or supervisor.pids.get("p", first) != first)
    assert supervisor.seen == [{"p": first}, {}, {"p": supervisor.pids["p"]}]
    assert supervisor.lines[0].startswith("p ended with exit code -9, starts again in 0.5 s")


@pytest.mark.case("S32")
def test_one_that_hangs_is_replaced_and_named(supervisor: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "ASK_EVERY_SECONDS", 0.01)
    hung: set[int] = set()
    spec = program("p", SERVE, alive=lambda: supervisor.pids.get("p") not in hung)
    supervisor.start([spec])
    supervisor.wait_ready()
    first = supervisor.pids["p"]
    # Its first answer: from now on silence counts.
    eventually(
        lambda: supervisor.restart_dead() or supervisor._batches[0]["p"].liveness._counts_from < time.monotonic()
    )
    os.kill(first, signal.SIGSTOP)
    hung.add(first)

    eventually(lambda: supervisor.restart_dead() or supervisor.pids.get("p", first) != first)

    assert not is_running(first)
    assert supervisor.lines[0].startswith("p hangs: 4 times in a row it gave no answer within 5 s")
    assert is_running(supervisor.pids["p"])


def test_the_pause_before_a_restart_grows(supervisor: Watched) -> None:
    supervisor.start([program("p", "pass")])

    eventually(lambda: supervisor.restart_dead() or len(supervisor.lines) == 3)

    pauses = [line.split(" starts again in ")[1].split(";")[0] for line in supervisor.lines]
    assert pauses == ["0.5 s", "1 s", "2 s"]


def test_a_stubborn_one_is_killed_and_named(supervisor: Watched) -> None:
    supervisor.start([program("p", STUBBORN, stop_timeout_seconds=0.2)])
    supervisor.wait_ready()
    pid = supervisor.pids["p"]

    supervisor.stop()

    assert not is_running(pid)
    assert supervisor.lines == ["p did not stop in time and was killed"]


def test_the_stubborn_of_a_batch_share_one_time_limit(supervisor: Watched) -> None:
    supervisor.start([program(f"p{number}", STUBBORN, stop_timeout_seconds=0.5) for number in range(4)])
    supervisor.wait_ready()
    started = time.monotonic()

    supervisor.stop()

    assert time.monotonic() - started < 1.5


def test_a_job_gives_its_output_and_keeps_its_errors_in_the_log(supervisor: Watched, tmp_path: Path) -> None:
    output = supervisor.run_job(
        program("job", "import sys; print('answer'); print('noise', file=sys.stderr)"), timeout_seconds=10
    )

    assert output == "answer\n"
    assert (tmp_path / "log" / "job.log").read_text() == "noise\n"


def test_a_job_that_fails_tells_why(supervisor: Watched) -> None:
    with pytest.raises(JobFailedError, match=r"(?s)job failed with exit code 1.*no such table"):
        supervisor.run_job(program("job", "raise SystemExit('no such table')"), timeout_seconds=10)


def test_a_job_that_takes_too_long_is_ended(supervisor: Watched) -> None:
    with pytest.raises(JobFailedError, match=r"job took longer than 0.2 s"):
        supervisor.run_job(program("job", SERVE), timeout_seconds=0.2)


def test_a_dead_program_is_started_again_while_a_job_runs(supervisor: Watched) -> None:
    supervisor.start([program("p", SERVE)])
    supervisor.wait_ready()
    first = supervisor.pids["p"]
    os.kill(first, signal.SIGKILL)

    supervisor.run_job(program("job", "import time; time.sleep(1)"), timeout_seconds=10)

    assert supervisor.pids["p"] != first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_the_watch(supervisor: Watched, number: signal.Signals) -> None:
    before = signal.signal(number, signal.default_int_handler)  # As in a terminal; these tests may run under `nohup`.
    try:
        with supervisor.stop_signals_heard():
            supervisor.start([program("p", SERVE)])
            os.kill(os.getpid(), number)

            with pytest.raises(StopRequestedError) as request:
                supervisor.run()
    finally:
        signal.signal(number, before)

    assert request.value.exit_code == 128 + number


def test_the_log_of_the_last_run_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    for word in ("one", "two", "three"):
        runs = Watched(tmp_path / "log")
        runs.start([program("p", f"print('{word} ready'); import time; time.sleep(60)")])
        runs.wait_ready()
        runs.stop()

    assert (tmp_path / "log" / "p.log").read_text() == "three ready\n"
    assert (tmp_path / "log" / "p.log.1").read_text() == "two ready\n"
    assert (tmp_path / "log" / "p.log.2").read_text() == "one ready\n"


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from local_stack.process import ProcessSpec
        from local_stack.supervisor import Supervisor
        argv = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
        specs = [
            ProcessSpec(name=n, argv=argv, environment={}, directory=Path("/"), ready=lambda _, log: "ready" in log)
            for n in "abc"
        ]
        supervisor = Supervisor(logs=Path(sys.argv[1]), report=print)
        supervisor.start(specs)
        supervisor.wait_ready()
        print(*supervisor.pids.values(), flush=True)
        supervisor.run()
        """
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 3

        parent.kill()

    eventually(lambda: not any(is_running(pid) for pid in pids))
