"""Prices, positions, commissions and the journal, each by itself."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from ib_simulator.errors import JournalError
from ib_simulator.journal import FILE_NAME, Journal
from ib_simulator.market.instruments import InstrumentList
from ib_simulator.market.prices import DRIFT_MAX, Market
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.money.commissions import order_commission
from ib_simulator.money.ledger import Ledger
from tests.simulator.joined import JoinedClient, Table, limit, market, stop

INSTRUMENTS = InstrumentList()


def path_of(seed: int, steps: int = 50) -> list[dict[str, Decimal]]:
    prices, found = Market(INSTRUMENTS, seed=seed), []
    for _ in range(steps):
        prices.step()
        found.append(prices.prices())
    return found


def test_the_same_seed_gives_the_same_prices_another_seed_others() -> None:
    assert path_of(7) == path_of(7)
    assert path_of(7) != path_of(8)


def test_prices_stay_on_tick_and_near_their_base() -> None:
    for prices in path_of(3, steps=2000)[::100]:
        for symbol, price in prices.items():
            listed = INSTRUMENTS.by_symbol(symbol)
            assert listed is not None
            assert price % listed.tick == 0
            assert abs(price - listed.base_price) <= listed.base_price * DRIFT_MAX + 1


def test_pinning_one_price_leaves_the_others_on_their_path() -> None:
    pinned = Market(INSTRUMENTS, seed=7)
    apple = INSTRUMENTS.by_symbol("AAPL")
    assert apple is not None
    pinned.path(apple).pin(Decimal(150))
    for _ in range(50):
        pinned.step()

    free = path_of(7)[-1]
    assert pinned.prices() == {**free, "AAPL": Decimal(150)}


@pytest.mark.parametrize(
    ("query", "symbol"),
    [
        (ContractQuery(con_id=265598), "AAPL"),
        (ContractQuery(con_id=265598, exchange="NASDAQ", currency="USD"), "AAPL"),
        (ContractQuery(symbol="aapl", sec_type="STK"), "AAPL"),
        (ContractQuery(symbol="AAPL", sec_type="STK", primary_exchange="NASDAQ"), "AAPL"),
        (ContractQuery(symbol="AAPL", sec_type="STK", primary_exchange="NYSE"), None),
        (ContractQuery(symbol="AAPL", sec_type="OPT"), None),
        (ContractQuery(con_id=1), None),
        (ContractQuery(), None),
    ],
)
def test_a_contract_is_found_or_not(query: ContractQuery, symbol: str | None) -> None:
    found = INSTRUMENTS.find(query)
    assert (found.symbol if found else None) == symbol


def test_symbols_are_matched_by_beginning_then_by_name() -> None:
    assert [found.symbol for found in INSTRUMENTS.matching("am")] == ["AMD", "AMZN"]
    assert [found.symbol for found in INSTRUMENTS.matching("motor")] == ["F"]
    assert INSTRUMENTS.matching("  ") == []


@pytest.mark.parametrize(
    ("quantity", "value", "commission"),
    [("10", "1900", "1.00"), ("200", "38000", "1.00"), ("1000", "190000", "5.00"), ("1", "12", "0.12")],
)
def test_commission_is_by_share_with_a_minimum_and_a_maximum(quantity: str, value: str, commission: str) -> None:
    assert order_commission(quantity=Decimal(quantity), value=Decimal(value)) == Decimal(commission)


@pytest.mark.parametrize(
    ("deals", "quantity", "cost", "realized"),
    [
        ([("BUY", 10, "100")], "10", "100.1", None),
        ([("BUY", 10, "100"), ("BUY", 30, "104")], "40", "103.05", None),
        ([("BUY", 10, "100"), ("SELL", 4, "110")], "6", "100.1", "38.6"),
        ([("BUY", 10, "100"), ("SELL", 10, "90")], "0", "0", "-102"),
        ([("SELL", 10, "100"), ("BUY", 10, "90")], "0", "0", "98"),
        ([("BUY", 10, "100"), ("SELL", 20, "110")], "-10", "109.95", "98.5"),
    ],
)
def test_deals_make_positions(
    deals: list[tuple[str, int, str]], quantity: str, cost: str, realized: str | None
) -> None:
    table = Table()
    client = table.connect()
    for number, (action, size, price) in enumerate(deals, start=1):
        client.place(limit(action, size, 1 if action == "BUY" else 999))
        table.control("fill", order_id=number, price=price)

    apple = INSTRUMENTS.by_symbol("AAPL")
    assert apple is not None
    held = table.gateway.ledger.position("DU1234567", apple)
    last = table.gateway.ledger.executions[-1].realized_pnl
    assert (held.quantity, held.average_cost.quantize(Decimal("0.01"))) == (
        Decimal(quantity),
        Decimal(cost).quantize(Decimal("0.01")),
    )
    assert last == (None if realized is None else Decimal(realized))


def test_cash_is_what_was_paid() -> None:
    table = Table()
    client = table.connect()
    client.place(limit("BUY", 10, 150))
    table.control("fill", order_id=1, price="100")

    assert table.gateway.ledger.cash == {"DU1234567": Decimal("998999.0000")}
    assert Ledger(accounts=("DU1",), seed=1).cash == {"DU1": Decimal("1000000.00")}


# --- the journal ---------------------------------------------------------------------------------------------


class Journals:
    """Opens journals and closes them all at the end."""

    def __init__(self) -> None:
        self._open: list[Journal] = []

    def open(self, directory: Path) -> Journal:
        self._open.append(Journal(directory))
        return self._open[-1]

    def close(self) -> None:
        while self._open:
            self._open.pop().close()

    def restart(self, directory: Path) -> Table:
        """Start a gateway on the directory, after ending the one that used it."""
        self.close()
        return Table(journal=self.open(directory))


@pytest.fixture
def journals() -> Iterator[Journals]:
    opened = Journals()
    yield opened
    opened.close()


def busy_table(journals: Journals, directory: Path) -> tuple[Table, JoinedClient]:
    """A book with a filled entry, its live stop, a partly filled order, a cancelled one and a draft."""
    table = journals.restart(directory)
    client = table.connect(client_id=1)
    entry = client.place(market("BUY", 10, transmit=False, orderRef="e"))
    client.place(stop("SELL", 10, 150, parentId=entry, orderRef="s"))
    client.place(limit("BUY", 10, 120, orderRef="p", tif="GTC"))
    table.control("fill", order_id=3, quantity="4", price="120")
    client.place(limit("BUY", 10, 110))
    client.api.cancelOrder(4)
    client.place(limit("BUY", 10, 110, transmit=False))
    table.control("set_account_value", key="NetLiquidation", value="5.00")
    table.control("set_position", symbol="MSFT", quantity="3", average_cost="400")
    table.control("set_price", symbol="TSLA", price="200")
    table.control("step", n=3)
    client.read()
    table.gateway.commit()
    return table, client


def test_the_book_survives_a_restart_without_its_drafts(journals: Journals, tmp_path: Path) -> None:
    table, _client = busy_table(journals, tmp_path)
    before = table.control("state")

    after = journals.restart(tmp_path)

    state = after.control("state")
    assert state["orders"] == before["orders"][:4]
    for name in ("executions", "positions", "next_valid_ids", "prices"):
        assert state[name] == before[name]
    assert after.gateway.ledger.cash == table.gateway.ledger.cash
    assert after.gateway.ledger.values == table.gateway.ledger.values


def test_a_restarted_book_goes_on_where_it_was(journals: Journals, tmp_path: Path) -> None:
    busy_table(journals, tmp_path)
    table = journals.restart(tmp_path)
    client = table.connect(client_id=1)

    table.control("set_price", symbol="AAPL", price="149")
    assert [line for line in client.order_news() if line.startswith("deal")] == ["deal 2 SLD 10@148.99"]
    client.place(market("BUY", 1, orderId=6))

    state = table.control("state")
    perm_ids = [order["perm_id"] for order in state["orders"]]
    exec_ids = [execution["exec_id"] for execution in state["executions"]]
    assert len(set(perm_ids)) == len(perm_ids) == 5
    assert len(set(exec_ids)) == len(exec_ids) == 4


def test_an_id_used_before_the_restart_is_used_after_it(journals: Journals, tmp_path: Path) -> None:
    busy_table(journals, tmp_path)
    client = journals.restart(tmp_path).connect(client_id=1)

    client.place(limit("BUY", 1, 100, orderId=5))

    assert client.order_news() == ["error 5 103"]


def test_a_line_cut_off_by_a_kill_is_dropped(journals: Journals, tmp_path: Path) -> None:
    table, _client = busy_table(journals, tmp_path)
    before = table.control("state")["orders"][:4]
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b'{"kind":"order","sequ')

    after = journals.restart(tmp_path)
    assert after.control("state")["orders"] == before
    after.connect(client_id=1).place(limit("BUY", 1, 100, orderId=6))
    assert len(journals.restart(tmp_path).orders()) == 5


@pytest.mark.parametrize("line", [b"not json\n", b'{"kind":"order"}\n', b'{"kind":"strange"}\n', b"[]\n"])
def test_a_damaged_journal_is_not_guessed_at(journals: Journals, tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(line)

    with pytest.raises(JournalError):
        journals.restart(tmp_path)


def test_an_instrument_that_is_gone_is_damage(journals: Journals, tmp_path: Path) -> None:
    record = {"kind": "position", "account": "DU1234567", "instrument": "GONE"}
    record |= {"quantity": "1", "average_cost": "1", "realized_pnl": "0"}
    (tmp_path / FILE_NAME).write_text(json.dumps(record) + "\n")

    with pytest.raises(JournalError, match="GONE"):
        journals.restart(tmp_path)


def test_a_directory_is_used_by_one_at_a_time(journals: Journals, tmp_path: Path) -> None:
    journals.open(tmp_path)

    with pytest.raises(JournalError, match="in use"):
        journals.open(tmp_path)


def test_a_directory_that_is_a_file_is_refused(journals: Journals, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(JournalError, match="cannot use"):
        journals.open(tmp_path / "file")


def test_the_record_is_written_before_the_answer_leaves(journals: Journals, tmp_path: Path) -> None:
    _table, client = busy_table(journals, tmp_path)

    client.place(limit("BUY", 1, 100, orderRef="late", orderId=9))

    assert "late" in (tmp_path / FILE_NAME).read_text()
    assert client.order_news()[0] == "open 9 Submitted 1"


def test_a_discarded_draft_leaves_no_trace_in_the_journal(journals: Journals, tmp_path: Path) -> None:
    table = journals.restart(tmp_path)
    client = table.connect(client_id=1)
    entry = client.place(market("BUY", 10, transmit=False))
    child = client.place(stop("SELL", 10, 150, parentId=entry, transmit=False))
    client.api.cancelOrder(child)
    table.gateway.commit()

    after = journals.restart(tmp_path)

    assert after.orders() == []
    assert after.control("state")["next_valid_ids"] == {"1": 3}


def test_a_quiet_gateway_writes_nothing(journals: Journals, tmp_path: Path) -> None:
    table = journals.restart(tmp_path)
    table.control("step", n=100)
    table.connect(client_id=1)
    table.gateway.commit()

    assert (tmp_path / FILE_NAME).read_bytes() == b""
