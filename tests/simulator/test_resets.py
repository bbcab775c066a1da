"""IB's own servers: 1100 and its ends, farms, the nightly reset, a competing session, a changed port."""

import pytest

from tests.simulator.joined import AAPL, JoinedClient, Table, limit, market, stop


def errors(client: JoinedClient) -> list[tuple[int, int, str]]:
    """Return the errors and notices a client hears: id, code, text."""
    return [told.arguments[:3] for told in client.read() if told.name == "error"]


def streaming(table: Table, client: JoinedClient) -> JoinedClient:
    table.control("set_price", symbol="AAPL", price="190")
    client.api.reqMktData(9, AAPL, "", False, False, [])
    client.read()
    return client


# --- outage --------------------------------------------------------------------------------------------------


def test_an_outage_is_told_and_silent_until_it_ends() -> None:
    table = Table()
    client = streaming(table, table.connect())
    client.place(limit("BUY", 10, 185))
    client.read()

    table.control("outage", seconds=60)
    assert errors(client) == [(-1, 1100, "Connectivity between IBKR and Trader Workstation has been lost.")]
    table.control("set_price", symbol="AAPL", price="184")
    assert client.read() == []

    table.clock.advance(seconds=60)
    table.gateway.wake()
    text = "Connectivity between IBKR and Trader Workstation has been restored - data maintained."
    assert errors(client) == [(-1, 1102, text)]
    table.control("set_price", symbol="AAPL", price="183")
    assert "priceSizeTick" in {told.name for told in client.read()}


def test_fills_of_an_outage_are_found_by_req_executions_only() -> None:
    """B5: "During 1100 fill events can be missed; only reqExecutions recovers them". [ISSUE Lean.Brokerages.IB #249]"""
    table = Table()
    client = streaming(table, table.connect())
    client.place(limit("BUY", 10, 185))
    client.read()
    table.control("outage")
    table.control("set_price", symbol="AAPL", price="184")
    table.control("end_outage", restored=1102)

    assert client.order_news() == ["error -1 1100", "error -1 1102"]
    client.raw(b"7\x003\x004\x000" + b"\x00" * 7)
    assert [line for line in client.order_news() if line.startswith("deal")] == ["deal 1 BOT 10@185"]


def test_by_switch_fills_of_an_outage_are_told_at_its_end() -> None:
    table = Table()
    table.control("set_switch", name="outage_news", value="told_at_end")
    client = streaming(table, table.connect())
    client.place(limit("BUY", 10, 185))
    client.read()
    table.control("outage")
    table.control("set_price", symbol="AAPL", price="184")
    assert client.order_news() == ["error -1 1100"]

    table.control("end_outage", restored=1102)

    news = client.order_news()
    assert news[0] == "error -1 1102"
    assert {"deal 1 BOT 10@185", "status 1 Filled 10/0", "commission 1"} <= set(news)


def test_1101_loses_market_data_and_1102_keeps_it() -> None:
    """B8: 1101 restored, market data lost (resubscribe); 1102 restored, data kept. [DOC CAMPUS 2185-2188]"""
    for restored, still_streams in ((1101, False), (1102, True)):
        table = Table()
        client = streaming(table, table.connect())
        table.control("outage")
        table.control("end_outage", restored=restored)
        assert errors(client)[-1][1] == restored

        table.control("set_price", symbol="AAPL", price="183")

        assert bool(client.read()) is still_streams


@pytest.mark.parametrize(("switch", "known"), [("taken", 1), ("lost", 0)])
def test_an_order_of_an_outage_gets_no_word(switch: str, known: int) -> None:
    table = Table()
    table.control("set_switch", name="outage_orders", value=switch)
    client = table.connect()
    table.control("outage")
    client.read()

    client.place(limit("BUY", 10, 150))

    assert client.frames() == []
    assert len(table.orders()) == known


@pytest.mark.parametrize(("switch", "answered"), [("answered", ["openOrderEnd"]), ("silent", [])])
def test_questions_of_an_outage(switch: str, answered: list[str]) -> None:
    table = Table()
    table.control("set_switch", name="outage_queries", value=switch)
    client = table.connect()
    table.control("outage")
    client.read()

    client.api.reqOpenOrders()
    assert [told.name for told in client.read()] == answered
    client.raw(b"49\x001\x00")
    assert [told.name for told in client.read()] == ["currentTime"]


def test_a_client_can_connect_during_an_outage() -> None:
    table = Table()
    table.control("outage")
    session = table.open()
    session.take_output()
    client = JoinedClient(session, 178, 1)

    client.raw(b"71\x002\x001\x00\x00")

    assert [told.name for told in client.read()][:2] == ["managedAccounts", "nextValidId"]


def test_the_timer_of_an_outage_that_was_ended_does_not_end_the_next() -> None:
    table = Table()
    client = table.connect()
    table.control("outage", seconds=10)
    table.control("end_outage")
    table.control("outage")
    client.read()

    table.clock.advance(seconds=11)
    table.gateway.wake()

    assert client.read() == []


# --- farms, resets, sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "state", "code", "text"),
    [
        ("market", "broken", 2103, "Market data farm connection is broken:usfarm"),
        ("market", "ok", 2104, "Market data farm connection is OK:usfarm"),
        ("history", "broken", 2105, "HMDS data farm connection is broken:ushmds"),
        ("history", "ok", 2106, "HMDS data farm connection is OK:ushmds"),
        (
            "history",
            "inactive",
            2107,
            "HMDS data farm connection is inactive but should be available upon demand.ushmds",
        ),
        (
            "market",
            "inactive",
            2108,
            "Market data farm connection is inactive but should be available upon demand.usfarm",
        ),
        ("market", "connecting", 2119, "Market data farm is connecting:usfarm"),
        ("definitions", "broken", 2157, "Sec-def data farm connection is broken:secdefnj"),
        ("definitions", "ok", 2158, "Sec-def data farm connection is OK:secdefnj"),
    ],
)
def test_the_notices_of_farms(kind: str, state: str, code: int, text: str) -> None:
    """B8: real strings of farm notices; all have id -1. [CAPTURE]"""
    table = Table()
    client = table.connect()

    table.control("farm", kind=kind, state=state)

    assert errors(client) == [(-1, code, text)]


def test_a_broken_market_farm_is_silent_until_it_is_back() -> None:
    table = Table()
    client = streaming(table, table.connect())
    table.control("farm", state="broken")
    client.read()
    table.control("set_price", symbol="AAPL", price="188")
    assert client.read() == []

    table.control("farm", state="ok", name="usfarm.nj")
    table.control("set_price", symbol="AAPL", price="187")

    told = client.read()
    assert told[0].arguments[2] == "Market data farm connection is OK:usfarm.nj"
    assert {"priceSizeTick"} <= {one.name for one in told}


def test_during_the_nightly_reset_native_orders_work_untold_and_stops_sleep() -> None:
    """B8: "execution reports and simulated orders will be delayed", the socket stays up. [DOC CAMPUS 2182]"""
    table = Table()
    client = streaming(table, table.connect())
    client.place(limit("BUY", 10, 185))
    client.place(stop("SELL", 10, 184))
    client.read()
    table.control("nightly_reset", seconds=600)

    table.control("set_price", symbol="AAPL", price="183")
    assert [line for line in client.order_news() if not line.startswith("open")] == []
    assert [(order["filled"], order["status"]) for order in table.orders()] == [("10", "Filled"), ("0", "PreSubmitted")]

    table.clock.advance(seconds=600)
    table.gateway.wake()
    news = client.order_news()
    assert [line for line in news if line.startswith("deal")] == ["deal 1 BOT 10@185", "deal 2 SLD 10@182.99"]
    assert client.session.closing is False


def test_a_competing_session_takes_the_market_data() -> None:
    table = Table()
    client = streaming(table, table.connect())

    table.control("competing_session", seconds=5)
    client.api.reqMktData(10, AAPL, "", False, False, [])

    text = "No market data during competing live session"
    assert errors(client) == [(9, 10197, text), (10, 10197, text)]
    table.control("set_price", symbol="AAPL", price="188")
    assert client.read() == []
    table.clock.advance(seconds=5)
    table.gateway.wake()
    table.control("set_price", symbol="AAPL", price="187")
    assert "priceSizeTick" in {told.name for told in client.read()}


def test_a_changed_port_is_told_and_ends_the_connection() -> None:
    """B8: 1300 port changed, connection dropped. [DOC CAMPUS 2185-2188]"""
    table = Table()
    client = table.connect()

    assert table.control("reset_port", port=4001)["dropped"] == 1

    [(request_id, code, text)] = errors(client)
    assert (request_id, code, text.endswith("- 4001")) == (-1, 1300, True)
    assert client.session.is_finished


def test_a_market_order_of_the_reset_is_told_afterwards() -> None:
    table = Table()
    client = table.connect()
    table.control("nightly_reset")
    table.control("set_price", symbol="AAPL", price="190")
    client.place(market("BUY", 1))
    assert [line for line in client.order_news() if not line.startswith("open")] == []

    table.control("end_reset")

    assert "status 1 Filled 1/0" in client.order_news()


def test_what_quotes_missed_in_the_silence_comes_with_the_next_change() -> None:
    table = Table()
    client = streaming(table, table.connect())
    table.control("outage")
    table.control("set_price", symbol="AAPL", price="250")  # A high that is lost.
    table.control("end_outage", restored=1102)
    client.read()

    table.control("set_price", symbol="AAPL", price="190")

    highs = [told.arguments[2] for told in client.read() if told.name == "priceSizeTick" and told.arguments[1] == 6]
    assert highs == [250]
