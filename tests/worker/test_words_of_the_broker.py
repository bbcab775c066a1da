"""What the broker says of an order reaches the person, in the broker's own words, through the real processes."""

import pytest

from tests.eventually import eventually
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


@pytest.mark.case("T13", "T26")
def test_stops_that_are_refused_are_told_as_refused_and_become_one_alert(desk: Desk) -> None:
    # Given a Gateway that refuses every order, and a stop that is gone
    execution_id = desk.held()
    stop = desk.ref(execution_id, "STOP_LOSS")
    desk.broker.control.set_switch("read_only", "on")
    try:
        desk.broker.control.cancel_order(order_ref=stop)
        # Then a person is told what was asked for and that it was refused, in the broker's words, by one alert
        asked = "the last stop was refused (321: "
        eventually(lambda: asked in desk.read(execution_id)["attention"], seconds_max=45)
        read = desk.read(execution_id)
        assert " was placed" not in read["attention"]
        assert {flag["code"] for flag in read["flags"]} == {"stop_gone", "guard_asks"}
        alerts = "SELECT kind FROM alerts_alert WHERE execution_id = %d"
        eventually(lambda: desk.stack.rows(alerts % execution_id) == [("guard_gave_up",)], seconds_max=30)
    finally:
        desk.broker.control.set_switch("read_only", "off")
