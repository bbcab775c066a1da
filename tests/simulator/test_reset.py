"""`reset`: the gateway is as at its start, in the same process."""

from pathlib import Path

from ib_simulator.journal import Journal
from tests.simulator.joined import Table, limit, market


def test_everything_is_as_at_the_start() -> None:
    table = Table()
    before = table.control("state")
    client = table.connect()
    client.place(market("BUY", 10))
    client.place(limit("BUY", 10, 100))
    table.control("set_price", symbol="AAPL", price="150")
    table.control("set_position", symbol="MSFT", quantity="5")
    table.control("set_account_value", key="NetLiquidation", value="1")
    table.control("set_switch", name="margin_check", value="on")
    table.control("reject_next", code=201, text="no")
    table.control("mute", messages=["orderStatus"])

    assert table.control("reset") == {"ok": True}

    assert table.control("state") == before
    assert table.control("messages")["messages"] == []
    again = table.connect()
    again.place(market("BUY", 10))
    assert [line.split()[0] for line in again.order_news()] == [
        "open",
        "status",
        "deal",
        "open",
        "status",
        "commission",
    ]


def test_clients_are_dropped_and_their_ids_are_free() -> None:
    table = Table()
    client = table.connect(client_id=4)

    table.control("reset")

    assert client.session.closing
    # A connection is never mistaken for one before.
    assert table.open().number > client.session.number
    assert not table.connect(client_id=4).session.closing


def test_the_same_seed_gives_the_same_ids_again() -> None:
    table = Table()
    found = []
    for _ in range(2):
        table.connect().place(market("BUY", 10))
        state = table.control("state")
        found.append((state["orders"][0]["perm_id"], state["executions"][0]["exec_id"]))
        table.control("reset")

    assert found[0] == found[1]


def test_a_journal_is_emptied(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    table.connect().place(market("BUY", 10))
    table.gateway.commit()

    table.control("reset")
    table.connect().place(market("SELL", 3))
    table.gateway.commit()
    journal.close()

    reopened = Journal(tmp_path)
    again = Table(journal=reopened)
    reopened.close()
    assert [deal["side"] for deal in again.control("state")["executions"]] == ["SLD"]
