"""What the broker says of an order reaches the person, in the broker's own words, through the real processes."""

import pytest

from tests.worker.desk import Desk

pytestmark = pytest.mark.slow
VALUE_LIMIT = 'The following order "ID:7" value estimate exceeds the Total Value Limit of 100,000 USD.'


@pytest.mark.case("T9")
@pytest.mark.parametrize(
    ("code", "sequence"),
    [(451, "error_only"), (9876, "error_only"), (103, "error_only"), (9876, "inactive_then_error")],
)
def test_whatever_code_answers_a_placement_is_its_reason(desk: Desk, code: int, sequence: str) -> None:
    # Given a broker that answers to an entry with a code, and with a status or without
    desk.broker.control.set_switch("reject_sequence", sequence)
    desk.broker.control.reject_next(code=code, text=VALUE_LIMIT, symbol="AAPL")
    try:
        execution_id = desk.request()
        refused = desk.becomes(execution_id, "REJECTED")
        assert (refused["reason_code"], refused["reason"]) == (
            "order_refused",
            f"ENTRY was refused ({code}): {VALUE_LIMIT}",
        )
    finally:
        desk.broker.control.set_switch("reject_sequence", "error_then_inactive")


@pytest.mark.case("T27")
def test_why_the_broker_cancelled_an_entry_is_its_reason(desk: Desk) -> None:
    execution_id = desk.working()
    desk.broker.control.cancel_order(order_ref=desk.ref(execution_id, "ENTRY"), reason="Corporate action")
    cancelled = desk.becomes(execution_id, "CANCELLED")
    assert cancelled["reason"] == 'It was cancelled at the broker, not by us: "Corporate action"'
