"""The journal does not grow for ever, and a kill at any moment leaves a whole book."""

import json
from pathlib import Path
from typing import IO, Any

import pytest

from ib_simulator.errors import JournalError
from ib_simulator.journal import FILE_NAME, NEW_SUFFIX, SUPERSEDED_RECORDS_MAX, Journal
from tests.simulator.joined import Table, limit, market


class Killed(BaseException):
    """The process ends here."""


class KilledBeforeRename(Journal):
    def _put_in_place(self, new: IO[bytes]) -> None:
        new.close()
        raise Killed


class KilledWhileWriting(Journal):
    def _write_new(self, records: Any) -> IO[bytes]:
        self._new_path.write_bytes(b'{"kind":"order","seq')
        raise Killed


@pytest.fixture
def worn(tmp_path: Path) -> Path:
    """A journal of a few orders and deals; the last order was changed very often."""
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    client = table.connect()
    client.place(market("BUY", 10))
    client.place(market("SELL", 4))
    order_id = client.place(limit("BUY", 10, 150))
    told = lines(tmp_path)
    client.place(limit("BUY", 10, 150.01, orderId=order_id))
    changed = (tmp_path / FILE_NAME).read_bytes().splitlines(keepends=True)[told:]
    journal.write([json.loads(line) for line in changed] * SUPERSEDED_RECORDS_MAX)
    journal.close()
    return tmp_path


def book(directory: Path, kind: type[Journal] = Journal) -> dict[str, Any]:
    """Open the journal and return the book it makes."""
    journal = kind(directory)
    try:
        table = Table(journal=journal)
        state = table.control("state")
        return {**state, "cash": dict(table.gateway.ledger.cash)}
    finally:
        journal.close()


def lines(directory: Path) -> int:
    return (directory / FILE_NAME).read_bytes().count(b"\n")


def test_a_worn_journal_is_shortened_and_says_the_same(worn: Path, tmp_path: Path) -> None:
    long = lines(worn)

    first = book(worn)

    assert lines(worn) < 20 < SUPERSEDED_RECORDS_MAX < long
    assert book(worn) == first
    assert [deal["side"] for deal in first["executions"]] == ["BOT", "SLD"]


@pytest.mark.parametrize("kind", [KilledWhileWriting, KilledBeforeRename])
def test_a_kill_on_the_way_loses_nothing(worn: Path, kind: type[Journal]) -> None:
    before = (worn / FILE_NAME).read_bytes()
    with pytest.raises(Killed):
        book(worn, kind)
    assert (worn / FILE_NAME).read_bytes() == before
    assert (worn / (FILE_NAME + NEW_SUFFIX)).exists()

    state = book(worn)

    assert len(state["orders"]) == 3
    assert not (worn / (FILE_NAME + NEW_SUFFIX)).exists()


def test_what_is_written_after_shortening_is_kept(worn: Path) -> None:
    journal = Journal(worn)
    table = Table(journal=journal)
    client = table.connect()
    client.next_order_id = 10
    client.place(market("BUY", 1))
    table.gateway.commit()
    journal.close()

    assert len(book(worn)["orders"]) == 4


def test_a_shortened_journal_is_still_locked(worn: Path) -> None:
    journal = Journal(worn)
    Table(journal=journal)

    with pytest.raises(JournalError, match="in use"):
        Journal(worn)
    journal.close()


def test_a_journal_that_is_not_worn_is_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    table.connect().place(market("BUY", 10))
    table.gateway.commit()
    journal.close()
    before = (tmp_path / FILE_NAME).read_bytes()

    book(tmp_path)

    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / (FILE_NAME + NEW_SUFFIX)).write_bytes(b'{"kind":"ord')

    assert book(tmp_path)["orders"] == []
    assert not (tmp_path / (FILE_NAME + NEW_SUFFIX)).exists()


def test_damage_stays_an_error_and_nothing_is_rewritten(worn: Path) -> None:
    path = worn / FILE_NAME
    content = path.read_bytes().splitlines(keepends=True)
    content[3] = b'{"kind": "order"\n'
    path.write_bytes(b"".join(content))

    with pytest.raises(JournalError, match="damaged in line 4"):
        book(worn)
    assert path.read_bytes() == b"".join(content)


def test_an_unknown_record_stays_an_error_and_nothing_is_rewritten(worn: Path) -> None:
    path = worn / FILE_NAME
    path.write_bytes(path.read_bytes() + json.dumps({"kind": "moon"}).encode() + b"\n")
    before = path.read_bytes()

    with pytest.raises(JournalError, match="cannot be read"):
        book(worn)
    assert path.read_bytes() == before
