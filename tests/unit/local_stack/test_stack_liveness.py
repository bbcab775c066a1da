"""A program that hangs is told from one that is slow for a moment, and from our own standing still."""

import threading

import pytest
from stack_programs import eventually

from local_stack.liveness import ANSWER_TIMEOUT_SECONDS, ASK_EVERY_SECONDS, LATE_SECONDS, MISSES_MAX, Liveness

START_SECONDS = 90.0
LOOK_EVERY_SECONDS = 0.5


class Patient:
    """A program and the clock of who looks after it. Each question is answered in turn, the last answer for ever."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.now = 0.0
        self.liveness = Liveness(self._ask, now=0.0, start_seconds=START_SECONDS)

    def _ask(self) -> bool:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def looks(self, seconds: float, *, step: float = LOOK_EVERY_SECONDS) -> bool:
        """Look again and again for so long; say whether it was found hung at any time."""
        end, hung = self.now + seconds, False
        while self.now < end:
            self.now += step
            hung = self.liveness.is_hung(now=self.now) or hung
            self._wait_for_answer()
        return hung

    def _wait_for_answer(self) -> None:
        question = self.liveness._question
        if question is not None:
            eventually(lambda: question.answer is not None)


# Long enough for all its tries, however the looks fall.
LONG = (ASK_EVERY_SECONDS + ANSWER_TIMEOUT_SECONDS) * (MISSES_MAX + 1)


@pytest.mark.case("S32")
def test_one_that_answered_and_answers_no_more_is_hung() -> None:
    patient = Patient(True, False)

    assert patient.looks(LONG)


@pytest.mark.case("S32")
@pytest.mark.parametrize(
    "answers",
    [
        (True,),
        (True, *[False] * (MISSES_MAX - 1), True),
        # Once it has answered, the misses before count no more.
        (True, *[False] * (MISSES_MAX - 1), True, False, True),
    ],
)
def test_one_that_answers_in_the_end_is_not(answers: tuple[bool, ...]) -> None:
    patient = Patient(*answers)

    assert not patient.looks(2 * LONG)
    assert patient.asked > len(answers)


@pytest.mark.case("S32")
def test_one_that_starts_has_its_time() -> None:
    patient = Patient(False)

    assert not patient.looks(START_SECONDS)
    assert patient.looks(LONG)


@pytest.mark.case("S32")
def test_our_own_standing_still_is_not_held_against_it() -> None:
    patient = Patient(True, False)
    patient.looks(ASK_EVERY_SECONDS * 2)

    assert not patient.looks(3600, step=LATE_SECONDS * 2)
    assert patient.liveness.misses == 0


@pytest.mark.case("S32")
def test_a_question_without_an_answer_keeps_nobody_waiting() -> None:
    gate = threading.Event()
    liveness = Liveness(gate.wait, now=0.0, start_seconds=0.0)

    assert not any(liveness.is_hung(now=float(second)) for second in range(1, 60))

    gate.set()
