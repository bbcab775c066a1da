"""Deals that are told again, word for word, are not decoded again; whatever differs by a word is."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from ib_async.decoder import Decoder

from app.brokers.ib.questions import QuestionBook, QuestionKey
from app.brokers.ib.told import SessionTold
from app.brokers.ib.told_again import ToldAgain, told_as
from app.brokers.ib.wire import WireIB
from app.domain.broker_events import AnyBrokerEvent, CommissionTold, FillTold

pytestmark = pytest.mark.case("T33")

UNASKED, ASKED, ASKED_LATER = "-1", "7", "8"


class Rows(QuestionBook):
    """Notes the rows of all answers, awaited or not."""

    def __init__(self) -> None:
        super().__init__(late_answer_seconds=1, monotonic=lambda: 0.0)
        self.noted: list[tuple[QuestionKey, Any]] = []

    def add_row(self, key: QuestionKey, row: Any) -> None:
        self.noted.append((key, row))


class Line:
    """A session that hears what a test says, without a socket."""

    def __init__(self) -> None:
        self.heard: list[AnyBrokerEvent] = []
        self.told = SessionTold(session="s", client_id=1, now=lambda: datetime(2026, 3, 2, 15, 30, tzinfo=UTC))
        self.told.account = "DU1"
        self.unreadable: list[str] = []
        self.questions = Rows()
        self.ib = WireIB(
            told=self.told,
            questions=self.questions,
            on_event=self.heard.append,
            on_system=lambda code, text: None,
            on_sent=lambda: None,
            on_closed=lambda reason: None,
            on_unreadable=self.unreadable.append,
            now=lambda: datetime(2026, 3, 2, 15, 30, tzinfo=UTC),
        )
        self.ib.client.decoder.serverVersion = 178

    def deal(
        self, request: str, *, exec_id: str = "0001.01", shares: str = "10", at: str = "20260302-15:00:00"
    ) -> None:
        fields = ["11", request, "5", "265598", "AAPL", "STK", "", "0", "", "", "SMART", "USD", "AAPL", "NMS", exec_id]
        fields += [at, "DU1", "NASDAQ", "BOT", shares, "190.5", "77", "1", "0", shares, "190.5", "ref", "", "", "", "1"]
        self.ib.client.decoder.interpret([*fields, "0"])

    def cost(self, *, exec_id: str = "0001.01", amount: str = "1.25") -> None:
        self.ib.client.decoder.interpret(["59", "1", exec_id, amount, "USD", "", "", ""])


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each deal and cost that the library decodes."""
    seen: list[str] = []

    def noting(name: str, whole: Callable[..., None]) -> Callable[..., None]:
        def decode(self: Decoder, fields: list[str]) -> None:
            seen.append(name)
            whole(self, fields)

        return decode

    for name in ("execDetails", "commissionReport"):
        monkeypatch.setattr(Decoder, name, noting(name, getattr(Decoder, name)))
    return seen


def test_a_deal_and_its_cost_that_are_told_again_are_not_decoded_again(line: Line, decoded: list[str]) -> None:
    for request in (UNASKED, ASKED, ASKED_LATER):
        line.deal(request)
        line.cost()
    assert line.unreadable == []
    assert decoded == ["execDetails", "commissionReport"]
    # Each answer has it all the same, with its cost
    (first, second, third) = [(key, row) for key, row in line.questions.noted if isinstance(row, FillTold)]
    assert [first[0], second[0], third[0]] == [-1, 7, 8]
    assert first[1] == second[1] == third[1]
    assert line.told.commissions_take().keys() == {"0001.01"}
    assert [type(event) for event in line.heard] == [FillTold, CommissionTold] * 3


@pytest.mark.parametrize(
    "changed", [{"shares": "4"}, {"exec_id": "0001.02"}, {"at": "20260302-15:00:01"}], ids=lambda c: next(iter(c))
)
def test_a_deal_that_differs_by_a_word_is_decoded(line: Line, decoded: list[str], changed: dict[str, str]) -> None:
    line.deal(ASKED)
    line.deal(ASKED_LATER, **changed)
    line.cost()
    line.cost(amount="2.5")
    assert decoded == ["execDetails", "execDetails", "commissionReport", "commissionReport"]
    deals = [row for _key, row in line.questions.noted if isinstance(row, FillTold)]
    assert deals[0] != deals[1]
    assert line.told.commissions_take()["0001.01"].amount == Decimal("2.5")


def test_a_cost_that_came_before_its_deal_has_the_deals_account_once_that_is_told(line: Line) -> None:
    line.cost()
    line.deal(ASKED)
    line.cost()
    told = [event.account for event in line.heard if isinstance(event, CommissionTold)]
    assert told == ["", "DU1"]


def test_a_deal_that_cannot_be_read_is_said_so_in_each_answer_and_remembered_in_none(line: Line) -> None:
    line.deal(ASKED, shares="ten")
    line.deal(ASKED_LATER, shares="ten")
    assert [row for _key, row in line.questions.noted if isinstance(row, FillTold)] == []
    assert len(line.ib.client.decoder.told_again) == 0


def test_only_the_newest_are_remembered(line: Line) -> None:
    line.deal(ASKED)
    fill = next(event for event in line.heard if isinstance(event, FillTold))
    again = ToldAgain(messages_max=2)
    names = [told_as(["11", str(number)]) for number in range(3)]
    for name in names:
        again.note(name, fill)
    assert [again.event_of(name) for name in names] == [None, fill, fill]
