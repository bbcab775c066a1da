"""What is remembered about symbols: asked for when it is old, and never invented."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from app.brokers.errors import UnknownSymbol
from app.core import clock
from app.core.errors import RetryLater
from app.domain.contract import Contract, PriceIncrement, SymbolInfo
from app.market.models import Instrument
from app.market.services import increments_of, instrument_record, instrument_resolve, price_now
from tests.services.data_worker import DataWorker

pytestmark = pytest.mark.django_db

AWAY = {"error": {"code": "broker_not_connected", "message": "No connection."}}
UNKNOWN = {"error": {"code": "unknown_symbol", "message": "No such contract."}}
INFO = SymbolInfo(contract=Contract(symbol="AAPL"), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")


def quoted(price: str) -> Callable[[str], None]:
    def write(symbol: str) -> None:
        info = SymbolInfo(contract=Contract(symbol=symbol), con_id=1, long_name="", primary_exchange="")
        instrument_record(info=info, last_price=Decimal(price), now=clock.now())

    return write


def age(**changed: timedelta) -> None:
    Instrument.objects.update(**{name: clock.now() - value for name, value in changed.items()})


def test_what_is_known_and_young_is_not_asked_for(apple: Instrument, data_worker: DataWorker) -> None:
    assert instrument_resolve("AAPL", price_needed=True) == apple
    assert data_worker.asked == []


@pytest.mark.django_db(transaction=True)
def test_an_unknown_symbol_is_asked_for(data_worker: DataWorker) -> None:
    data_worker.answers({}, before=quoted("12.5"))
    instrument = instrument_resolve("XYZ", price_needed=True)
    assert (instrument.symbol, instrument.last_price, data_worker.asked) == ("XYZ", Decimal("12.5"), ["XYZ"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("price_needed", [True, False])
def test_an_old_price_is_renewed_where_it_is_needed(
    apple: Instrument, data_worker: DataWorker, price_needed: bool
) -> None:
    age(last_price_at=timedelta(seconds=31))
    data_worker.answers({}, before=quoted("200"))
    instrument = instrument_resolve("AAPL", price_needed=price_needed)
    assert instrument.last_price == (200 if price_needed else 190)
    assert data_worker.asked == (["AAPL"] if price_needed else [])


def test_an_old_price_that_cannot_be_renewed_is_not_called_young(apple: Instrument, data_worker: DataWorker) -> None:
    age(last_price_at=timedelta(seconds=31))
    data_worker.answers(AWAY)
    instrument = instrument_resolve("AAPL", price_needed=True)
    assert price_now(instrument, now=clock.now()) is None


def test_an_old_description_is_not_relied_on(apple: Instrument, data_worker: DataWorker) -> None:
    age(looked_up_at=timedelta(days=1, seconds=1))
    data_worker.answers(AWAY)
    with pytest.raises(RetryLater) as refused:
        instrument_resolve("AAPL", price_needed=False)
    assert refused.value.code == "broker_not_connected"


def test_a_symbol_that_does_not_exist_is_told_as_such(data_worker: DataWorker) -> None:
    data_worker.answers(UNKNOWN)
    with pytest.raises(UnknownSymbol):
        instrument_resolve("NOPE", price_needed=False)


def test_a_symbol_that_exists_no_more_is_told_as_such(apple: Instrument, data_worker: DataWorker) -> None:
    age(looked_up_at=timedelta(days=2))
    data_worker.answers(UNKNOWN)
    with pytest.raises(UnknownSymbol):
        instrument_resolve("AAPL", price_needed=False)


def test_an_answer_under_another_name_is_not_taken_for_the_symbol(data_worker: DataWorker) -> None:
    data_worker.answers({})
    with pytest.raises(UnknownSymbol):
        instrument_resolve("BRK.B", price_needed=False)


def test_no_answer_in_time_is_no_answer(
    apple: Instrument, data_worker: DataWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a data worker that is gone
    data_worker.stop()
    monkeypatch.setattr("app.market.dispatch.LOOK_UP_SECONDS_MAX", 0.2)
    with pytest.raises(RetryLater) as refused:
        instrument_resolve("XYZ", price_needed=False)
    assert refused.value.code == "market_data_unavailable"
    # And what is known is used, with the age of its price for the caller to judge
    age(last_price_at=timedelta(seconds=31))
    assert instrument_resolve("AAPL", price_needed=True) == apple


@pytest.mark.parametrize("nothing", ["NaN", "-1", "0", "Infinity"])
def test_a_feed_without_data_quotes_nothing(apple: Instrument, nothing: str) -> None:
    known = instrument_record(info=INFO, last_price=Decimal(nothing), now=clock.now())
    known.refresh_from_db()
    assert known.last_price == 190


def test_the_price_steps_survive_storing() -> None:
    steps = (
        PriceIncrement(low_edge=Decimal(0), increment=Decimal("0.0001")),
        PriceIncrement(low_edge=Decimal(1), increment=Decimal("0.01")),
    )
    info = SymbolInfo(
        contract=Contract(symbol="X"), con_id=1, long_name="", primary_exchange="", price_increments=steps
    )
    instrument = instrument_record(info=info, last_price=None, now=clock.now())
    instrument.refresh_from_db()
    assert increments_of(instrument) == steps
    assert price_now(instrument, now=clock.now()) is None
