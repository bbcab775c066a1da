"""Questions that wait for their answer: rows are collected until the end marker, and nothing but the end marker is one.

Some questions carry no id (open orders, positions, completed orders). The end of such an answer that comes after its
question was given up could be taken for the end of the next one, and that answer for complete. So a given-up question
is remembered for `late_answer_seconds`, and as long as it is, the first end of its kind counts as its own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.brokers.errors import IncompleteAnswer, RequestRefused
from app.core.errors import TradingError

QuestionKey = int | str  # a request id, or the kind of a question without one


@dataclass(slots=True)
class Question:
    """One pending question. `asked_at` is when the oldest unanswered one of its kind was asked (monotonic seconds)."""

    key: QuestionKey
    asked_at: float
    answer: asyncio.Future[list[Any]]
    is_enough: Callable[[Any], bool]
    rows: list[Any] = field(default_factory=list)
    spoiled: bool = False


def _only_the_end(_row: Any) -> bool:
    return False


class QuestionBook:
    """The pending questions of one session; the caller sees to it that of a kind without ids only one is pending."""

    def __init__(self, *, late_answer_seconds: float, monotonic: Callable[[], float]) -> None:
        self._late_answer_seconds = late_answer_seconds
        self._monotonic = monotonic
        self._pending: dict[QuestionKey, Question] = {}
        self._given_up: dict[QuestionKey, list[float]] = {}

    def __contains__(self, key: QuestionKey) -> bool:
        return key in self._pending

    @property
    def is_empty(self) -> bool:
        """Whether no question is pending."""
        return not self._pending

    def open(self, key: QuestionKey, *, is_enough: Callable[[Any], bool] = _only_the_end) -> Question:
        """Note a question that is about to be sent. `is_enough`: a row after which no end marker is waited for."""
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        question = Question(key=key, asked_at=self._monotonic(), answer=answer, is_enough=is_enough)
        self._pending[key] = question
        return question

    def add_row(self, key: QuestionKey, row: Any) -> None:
        """Take in a part of an answer; it belongs to nobody when no such question is pending."""
        question = self._pending.get(key)
        if question is None:
            return
        question.rows.append(row)
        if question.is_enough(row):
            self._settle(question)

    def finish(self, key: QuestionKey) -> None:
        """Take in the end of an answer."""
        question = self._pending.get(key)
        late = self._still_late(key)
        if late:
            oldest = late.pop(0)
            if question is not None:
                # The rows stay: what came between the two ends may belong to either, and is true either way.
                question.asked_at = oldest
            return
        if question is not None:
            self._settle(question)

    def refuse(self, key: QuestionKey, *, code: int, text: str) -> None:
        """Take in a refusal to answer."""
        question = self._pending.pop(key, None)
        if question is not None and not question.answer.done():
            error = RequestRefused(
                f"Interactive Brokers refused the request: {code} {text}",
                details={"broker_code": code, "broker_text": text},
            )
            question.answer.set_exception(error)

    def give_up(self, question: Question) -> None:
        """Forget a question that waited too long, but not that its answer may still come."""
        if self._pending.get(question.key) is question:
            del self._pending[question.key]
            if isinstance(question.key, str):
                self._given_up.setdefault(question.key, []).append(question.asked_at)

    def spoil_all(self) -> None:
        """Note that a message was lost: no pending answer can be known to be complete."""
        for question in self._pending.values():
            question.spoiled = True

    def fail_all(self, error: Callable[[], TradingError]) -> None:
        """Fail every pending question, each with an error of its own."""
        for question in self._pending.values():
            if not question.answer.done():
                question.answer.set_exception(error())
        self._pending.clear()

    def _settle(self, question: Question) -> None:
        del self._pending[question.key]
        if question.answer.done():
            return
        if question.spoiled:
            error = IncompleteAnswer(f"A message was lost while {question.key} was being answered.")
            question.answer.set_exception(error)
        else:
            question.answer.set_result(question.rows)

    def _still_late(self, key: QuestionKey) -> list[float]:
        oldest_possible = self._monotonic() - self._late_answer_seconds
        late = [asked_at for asked_at in self._given_up.get(key, []) if asked_at >= oldest_possible]
        if late:
            self._given_up[key] = late
        else:
            self._given_up.pop(key, None)
        return late
