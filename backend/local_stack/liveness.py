"""Whether a running program still answers.

A program that hangs looks alive to the kernel. So it is asked, again and again, in a thread of its own, because nothing
here may wait for somebody who does not answer. It counts as hung when it has left several questions in a row
unanswered, each for its whole time: one slow answer, or a machine that is slow for a moment, proves nothing. Neither
does our own sleep: when we ourselves did not run for a while (a stopped process, a paused machine, a starved one),
counting begins again.

    asked every 3 s, answer within 5 s, hung after 4 misses: about half a minute
"""

import threading
import time
from collections.abc import Callable

ASK_EVERY_SECONDS = 3.0
ANSWER_TIMEOUT_SECONDS = 5.0
MISSES_MAX = 4
# Longer between two looks than this, and it was we who stood still.
LATE_SECONDS = 2.0


class Question:
    """One question on its way; `answer` is None until there is one."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self.answer: bool | None = None
        self._ask = ask
        threading.Thread(target=self._run, name="liveness", daemon=True).start()

    def _run(self) -> None:
        self.answer = self._ask()


class Liveness:
    """The questions to one started program. `ask` must answer or give up within its own time limit.

    Until its first answer the program is starting, and `start_seconds` are allowed for that.
    """

    def __init__(self, ask: Callable[[], bool], *, now: float, start_seconds: float) -> None:
        self._ask = ask
        self._counts_from = now + start_seconds
        self._looked_at = now
        self._next_at = now + ASK_EVERY_SECONDS
        self._question: Question | None = None
        self.misses = 0

    def is_hung(self, *, now: float | None = None) -> bool:
        """Look at the last question and ask the next one when it is time. Call it often; it never waits."""
        now = time.monotonic() if now is None else now
        late = now - self._looked_at > LATE_SECONDS
        self._looked_at = now
        if late:
            self.misses, self._question, self._next_at = 0, None, now + ASK_EVERY_SECONDS
        elif self._question is not None and self._question.answer is not None:
            self._count(answered=self._question.answer, now=now)
            self._question, self._next_at = None, now + ASK_EVERY_SECONDS
        elif self._question is None and now >= self._next_at:
            self._question = self._asked(now=now)
        return self.misses >= MISSES_MAX

    def _asked(self, *, now: float) -> Question | None:
        try:
            return Question(self._ask)
        except RuntimeError:
            # The machine has no thread left for us, which says nothing about the program.
            self._next_at = now + ASK_EVERY_SECONDS
            return None

    def _count(self, *, answered: bool, now: float) -> None:
        if answered:
            self.misses, self._counts_from = 0, now
        elif now >= self._counts_from:
            self.misses += 1
