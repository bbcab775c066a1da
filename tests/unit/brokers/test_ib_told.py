"""What a session makes of raw messages: one state per order, one number per change, one meaning per code."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from ib_async.contract import Contract as WireContract
from ib_async.objects import CommissionReport, Execution
from ib_async.order import Order as WireOrder

from app.brokers.ib.error_codes import meaning_of
from app.brokers.ib.told import SessionTold
from app.domain.broker_events import MessageMeaning, OrderTold, ToldStatus

AAPL = WireContract(symbol="AAPL", secType="STK", exchange="SMART", currency="USD")


@pytest.fixture
def told() -> SessionTold:
    session = SessionTold(session="s", client_id=1, now=lambda: datetime(2026, 11, 20, tzinfo=UTC))
    session.account = "DU1"
    return session


def open_order(told: SessionTold, status: str = "PreSubmitted", **changed: object) -> OrderTold:
    fields: dict[str, object] = {
        "orderId": 7,
        "clientId": 1,
        "permId": 77,
        "action": "BUY",
        "totalQuantity": 10.0,
        "orderType": "LMT",
        "lmtPrice": 190.0,
        "orderRef": "ref",
        "account": "DU1",
    }
    order = WireOrder(**{**fields, **changed})  # type: ignore[arg-type]
    return told.open_order(contract=AAPL, order=order, raw_status=status)


def order_status(
    told: SessionTold,
    status: str = "PreSubmitted",
    *,
    filled: float = 0.0,
    remaining: float = 10.0,
    why_held: str = "",
    order_id: int = 7,
    client_id: int = 1,
    perm_id: int = 77,
) -> OrderTold:
    return told.order_status(
        order_id=order_id,
        client_id=client_id,
        perm_id=perm_id,
        raw_status=status,
        filled=filled,
        remaining=remaining,
        average_price=0.0,
        parent_id=0,
        why_held=why_held,
    )


def keys(*events: OrderTold) -> list[str]:
    return [event.dedupe_key.removeprefix("status:s:1:7:") for event in events]


def test_a_state_told_by_both_kinds_of_message_and_again_has_one_number(told: SessionTold) -> None:
    assert keys(open_order(told), order_status(told), open_order(told), order_status(told)) == ["1", "1", "1", "1"]


def test_a_state_truly_returned_to_has_a_new_number(told: SessionTold) -> None:
    statuses = ("PreSubmitted", "Submitted", "Submitted", "PreSubmitted", "Submitted")
    assert keys(*(order_status(told, status) for status in statuses)) == ["1", "2", "2", "3", "4"]


@pytest.mark.parametrize(
    "changed", [{"filled": 4.0, "remaining": 6.0}, {"why_held": "trigger"}, {"perm_id": 78}, {"status": "Submitted"}]
)
def test_any_change_of_a_status_counts(told: SessionTold, changed: dict[str, object]) -> None:
    assert keys(order_status(told), order_status(told, **changed)) == ["1", "2"]  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", [{"totalQuantity": 8.0}, {"lmtPrice": 191.0}])
def test_an_echoed_change_of_an_order_counts(told: SessionTold, changed: dict[str, object]) -> None:
    assert keys(open_order(told), open_order(told, **changed)) == ["1", "2"]


def test_each_message_says_what_the_other_kind_told(told: SessionTold) -> None:
    # Given an open-order message and a status message
    open_order(told, parentId=6)
    status = order_status(told, "Submitted", filled=4.0, remaining=6.0, why_held="child")
    # Then the status has the name and the parent, and the next open-order message the quantities
    assert (status.order_ref, status.account, status.parent_id, status.source) == ("ref", "DU1", 6, "status")
    echo = open_order(told, "Submitted")
    assert (echo.filled, echo.remaining, echo.why_held) == (Decimal(4), Decimal(6), "child")
    assert (echo.source, echo.status, echo.raw_status) == ("open_order", ToldStatus.SUBMITTED, "Submitted")


def test_a_status_before_its_open_order_has_no_name_yet(told: SessionTold) -> None:
    first, second = order_status(told), open_order(told)
    assert (first.order_ref, second.order_ref) == ("", "ref")
    assert keys(first, second) == ["1", "2"]
    assert first.account == "DU1"


def test_orders_of_other_clients_are_kept_apart(told: SessionTold) -> None:
    ours, theirs = order_status(told), order_status(told, client_id=2, perm_id=88)
    assert (ours.dedupe_key, theirs.dedupe_key) == ("status:s:1:7:1", "status:s:2:7:1")
    assert theirs.account == ""


def test_an_order_without_an_order_id_is_known_by_its_permanent_id(told: SessionTold) -> None:
    manual = open_order(told, orderId=0, clientId=0, permId=99, orderRef="")
    assert (manual.dedupe_key, manual.order_id, manual.perm_id) == ("status:s:0:99:1", 0, 99)
    assert told.open_order_of(told.key_of(manual)) is not None


def test_a_completed_order_is_matched_by_its_permanent_id(told: SessionTold) -> None:
    # Given an order that was told live
    open_order(told)
    order = WireOrder(permId=77, totalQuantity=10.0, filledQuantity=10.0, orderRef="ref", account="DU1")
    # When it is told as completed, which says neither client nor order id
    completed = told.completed_order(order=order, raw_status="Filled")
    # Then it is the same order
    assert (completed.order_id, completed.client_id, completed.dedupe_key) == (7, 1, "status:s:1:7:2")
    assert (completed.filled, completed.remaining, completed.source) == (Decimal(10), Decimal(0), "completed_order")
    # And one that was never told live is known by its permanent id
    order = WireOrder(permId=5, totalQuantity=3.0, filledQuantity=0.0)
    stranger = told.completed_order(order=order, raw_status="Cancelled")
    assert (stranger.order_id, stranger.perm_id, stranger.remaining) == (0, 5, Decimal(3))


@pytest.mark.parametrize(
    ("order_type", "limit_price", "stop_price"),
    [("MKT", None, None), ("LMT", "190", None), ("STP", None, "180"), ("STP LMT", "190", "180"), ("REL", "190", "180")],
)
def test_an_echo_has_only_the_prices_its_type_has(
    told: SessionTold, order_type: str, limit_price: str | None, stop_price: str | None
) -> None:
    event = open_order(told, orderType=order_type, lmtPrice=190.0, auxPrice=180.0)
    described = told.open_order_of(told.key_of(event))
    assert described is not None
    expected = [None if price is None else Decimal(price) for price in (limit_price, stop_price)]
    assert [described.limit_price, described.stop_price] == expected
    assert [event.limit_price, event.stop_price] == expected


def test_the_stop_of_a_trailing_order_is_where_it_stands_and_not_its_distance(told: SessionTold) -> None:
    event = open_order(told, orderType="TRAIL", auxPrice=2.5, trailStopPrice=187.5)
    assert event.stop_price == Decimal("187.5")


def test_a_status_message_says_the_prices_that_were_told_before_and_a_moved_one_is_news(told: SessionTold) -> None:
    assert order_status(told).limit_price is None
    placed = open_order(told)
    assert order_status(told).limit_price == Decimal(190)
    moved = open_order(told, lmtPrice=191.0)
    assert (moved.limit_price, moved.dedupe_key != placed.dedupe_key) == (Decimal(191), True)


def test_an_open_order_is_described_until_it_has_finished(told: SessionTold) -> None:
    event = open_order(told, "Submitted")
    described = told.open_order_of(told.key_of(event))
    assert described is not None
    assert (described.action.value, described.order_type, described.quantity) == ("BUY", "LIMIT", Decimal(10))
    assert (described.limit_price, described.stop_price) == (Decimal(190), None)
    order_status(told, "Cancelled")
    assert told.open_order_of(told.key_of(event)) is None
    # And one of which only a status was told is not described
    only_status = order_status(told, order_id=8, perm_id=0)
    assert told.open_order_of(told.key_of(only_status)) is None


def test_a_refusal_of_a_new_order_is_a_refusal_even_after_it_was_acknowledged(told: SessionTold) -> None:
    told.record_placed(7)
    assert told.message(order_id=7, code=201, text="no").meaning is MessageMeaning.REFUSAL
    order_status(told, "Inactive")
    assert told.message(order_id=7, code=201, text="no").meaning is MessageMeaning.REFUSAL


def test_a_refusal_after_a_change_of_a_living_order_is_one_of_the_change(told: SessionTold) -> None:
    told.record_placed(7)
    order_status(told, "Submitted")
    told.record_request(7)
    assert told.message(order_id=7, code=201, text="no").meaning is MessageMeaning.REQUEST_REFUSED
    # But not where the order itself was never acknowledged
    told.record_placed(8)
    told.record_request(8)
    assert told.message(order_id=8, code=201, text="no").meaning is MessageMeaning.REFUSAL
    # And one of an earlier session can only have its request refused
    told.record_request(5)
    assert told.message(order_id=5, code=321, text="no").meaning is MessageMeaning.REQUEST_REFUSED


def test_messages_are_numbered_because_the_same_code_may_truly_come_twice(told: SessionTold) -> None:
    first, second = (told.message(order_id=7, code=399, text="again") for _ in range(2))
    assert (first.dedupe_key, second.dedupe_key) == ("message:s:1", "message:s:2")
    assert (first.account, first.client_id) == ("DU1", 1)


def test_a_cost_takes_its_account_from_its_deal_and_is_remembered(told: SessionTold) -> None:
    execution = Execution(
        execId="e.01", acctNumber="DU1", side="BOT", shares=1.0, price=2.0, time=datetime(2026, 11, 20, tzinfo=UTC)
    )
    early = told.commission(CommissionReport(execId="e.01", commission=1.0, currency="USD"))
    told.execution(contract=AAPL, execution=execution)
    late = told.commission(CommissionReport(execId="e.01", commission=1.0, currency="USD"))
    assert (early.account, late.account) == ("", "DU1")
    assert early.dedupe_key == late.dedupe_key == "commission:e.01"
    assert told.commissions_take() == {"e.01": late}
    assert told.commissions_take() == {}


@pytest.mark.case("T9")
@pytest.mark.parametrize("code", [103, 9876])
def test_whatever_answers_a_new_order_may_be_its_refusal(told: SessionTold, code: int) -> None:
    told.record_placed(7)
    assert told.message(order_id=7, code=code, text="no").meaning is MessageMeaning.REFUSAL_SUSPECTED
    open_order(told, "Inactive")
    assert told.message(order_id=7, code=code, text="no").meaning is MessageMeaning.REFUSAL_SUSPECTED
    # And of one that is at work, or is to be cancelled, it means what the table says
    open_order(told, "PreSubmitted")
    assert told.message(order_id=7, code=code, text="no").meaning is meaning_of(code)
    told.record_placed(8)
    told.record_request(8)
    assert told.message(order_id=8, code=code, text="no").meaning is meaning_of(code)


@pytest.mark.case("T27")
def test_a_cancel_carries_the_brokers_words(told: SessionTold) -> None:
    open_order(told)
    assert told.message(order_id=7, code=202, text="Order Canceled - reason:Corporate action").ended_because == (
        "Corporate action"
    )
    assert told.message(order_id=7, code=202, text="Order Canceled - reason:").ended_because == ""
    assert told.message(order_id=7, code=201, text="Order rejected - reason:no margin").ended_because == ""


@pytest.mark.case("T19")
def test_the_completed_orders_say_how_an_order_ended(told: SessionTold) -> None:
    open_order(told)
    cancelled = order_status(told, "Cancelled")
    order = WireOrder(permId=77, orderRef="ref", account="DU1", totalQuantity=10.0)
    expired = told.completed_order(order=order, raw_status="Cancelled", completed_status="Expired")
    assert (expired.order_id, expired.ended_because) == (7, "Expired")
    # It is news, once; a status in place of a reason is none
    assert expired.dedupe_key != cancelled.dedupe_key
    again = told.completed_order(order=order, raw_status="Cancelled", completed_status="Cancelled")
    assert (again.ended_because, again.dedupe_key) == ("Expired", expired.dedupe_key)


@pytest.mark.case("T20")
def test_what_keeps_an_order_from_working_is_told_in_domain_words(told: SessionTold) -> None:
    open_order(told)
    closed = (
        "Order Message:\nSELL 10 AAPL NASDAQ.NMS\n"
        "Warning: Your order will not be placed at the exchange until 2026-11-30 09:30:00 US/Eastern."
    )
    assert told.message(order_id=7, code=399, text=closed).waits_until == "2026-11-30 09:30:00 US/Eastern"
    assert told.message(order_id=7, code=399, text="Order Message: something else").waits_until == ""
    assert told.message(order_id=7, code=2109, text="Outside hours ignored").ignores_outside_hours
    assert not told.message(order_id=7, code=399, text=closed).ignores_outside_hours
