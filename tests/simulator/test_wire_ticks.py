"""Quotes are written once for all who stream; nobody can see that in the bytes."""

from dataclasses import replace
from decimal import Decimal

from ib_async import Stock

from ib_simulator.fields import decode_fields
from ib_simulator.messages.market_answers import price_tick
from tests.simulator.joined import JoinedClient, Table, split_frames


def streamed(*, filtered: bool, clients: int = 3) -> list[list[list[str]]]:
    """Return what each client is sent over some steps; a filter that fits nothing takes the long way."""
    table = Table()
    if filtered:
        table.control("mute", messages=["noSuchMessage"])
    joined = [table.connect(client_id=number, version=157 + number) for number in range(1, clients + 1)]
    for number, client in enumerate(joined):
        for request, symbol in enumerate(("AAPL", "MSFT")):
            client.api.reqMktData(100 * number + request, Stock(symbol, "SMART", "USD"), "", False, False, [])
    for _ in range(5):
        table.gateway.step()
    return [without_times(client) for client in joined]


def without_times(client: JoinedClient) -> list[list[str]]:
    """Leave out the text of the last time: the clock of tests moves whenever it is looked at."""
    frames = [decode_fields(payload) for payload in split_frames(client.session.take_output())]
    return [fields[:4] if fields[0] == "46" else fields for fields in frames]


def test_the_short_way_sends_what_the_long_way_sends() -> None:
    assert streamed(filtered=False) == streamed(filtered=True)


def test_clients_are_told_alike_but_for_their_request_ids() -> None:
    first, second, _third = streamed(filtered=False)
    ticks = [[fields[:2] + fields[3:] for fields in frames if fields[0] in {"1", "2"}] for frames in (first, second)]
    assert ticks[0] == ticks[1]
    assert len(ticks[0]) > 20


def test_a_muted_tick_is_muted_for_those_who_stream() -> None:
    table = Table()
    client = table.connect()
    client.api.reqMktData(5, Stock("AAPL", "SMART", "USD"), "", False, False, [])
    client.session.take_output()
    table.control("mute", messages=["tickSize"])

    for _ in range(5):
        table.gateway.step()

    numbers = {fields[0] for fields in client.frames()}
    assert "1" in numbers
    assert "2" not in numbers


def test_a_tick_is_written_as_its_fields_say() -> None:
    answer = price_tick(1, Decimal("2.50"), 3).to(7)
    assert decode_fields(answer.encode(178)[4:]) == ["1", "6", "7", "1", "2.50", "3", "0"]
    assert answer.encode(157) == replace(answer, written=None).encode(157)
