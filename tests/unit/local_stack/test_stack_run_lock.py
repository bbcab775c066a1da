"""One `up` per clone, and the processes that a killed one left behind."""

import subprocess
from pathlib import Path

import pytest

from local_stack.errors import AlreadyRunningError
from local_stack.leftovers import process_start_mark, processes_end
from local_stack.private_file import private_json_write
from local_stack.run_lock import PROCESSES, leftovers_end, processes_record, run_lock


def test_a_second_up_is_told_who_runs(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path),
        pytest.raises(AlreadyRunningError, match=r"runs in this clone \(process \d+\)") as error,
        run_lock(tmp_path),
    ):
        pass

    assert error.value.exit_code == 2


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        pass

    with run_lock(tmp_path):
        pass


def test_what_was_left_running_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as first, subprocess.Popen(["sleep", "60"]) as second:
        processes_record(tmp_path, {"postgres": first.pid, "web": second.pid})

        ended = leftovers_end(tmp_path)

        assert ended == ["web", "postgres"]
        assert (first.wait(), second.wait()) == (-15, -15)
    assert leftovers_end(tmp_path) == []


def test_a_stranger_with_the_same_process_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        private_json_write(tmp_path / PROCESSES, {"web": [stranger.pid, "another start time"]})

        assert leftovers_end(tmp_path) == []

        assert stranger.poll() is None
        stranger.kill()


def test_one_that_ignores_the_request_is_killed() -> None:
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo set; sleep 60"], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        mark = process_start_mark(stubborn.pid)
        assert mark is not None

        assert processes_end([(stubborn.pid, mark)], timeout_seconds=0.2) == [stubborn.pid]

        assert stubborn.wait() == -9


def test_a_process_that_is_gone_has_no_mark() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()

    assert process_start_mark(process.pid) is None
