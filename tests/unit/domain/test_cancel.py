"""Which orders of a bracket are to be cancelled, by example."""

from decimal import Decimal

import pytest

from app.domain.cancel import cancels_due
from app.domain.order_status import OrderStatus
from app.domain.protection import LegFacts
from app.domain.terms import Leg

S = OrderStatus
ENTRY, STOP = 1, 2


def bracket(entry: OrderStatus, stop: OrderStatus, *, filled: int = 0, told: int = 0, hit: int = 0) -> list[LegFacts]:
    ten = Decimal(10)
    return [
        LegFacts(
            key=ENTRY, leg=Leg.ENTRY, status=entry, quantity=ten, filled=Decimal(filled), told_filled=Decimal(told)
        ),
        LegFacts(key=STOP, leg=Leg.STOP_LOSS, status=stop, quantity=ten, filled=Decimal(hit)),
    ]


@pytest.mark.parametrize(
    ("legs", "requested", "answered", "due"),
    [
        (bracket(S.WORKING, S.HELD), False, True, ()),
        (bracket(S.WORKING, S.HELD), True, True, (ENTRY,)),
        (bracket(S.WORKING, S.REJECTED), False, True, (ENTRY,)),
        (bracket(S.WORKING, S.CANCELLED), False, True, (ENTRY,)),
        # A stop that was hit would sell at once what is entered from then on.
        (bracket(S.WORKING, S.WORKING, filled=4), False, True, ()),
        (bracket(S.WORKING, S.WORKING, filled=4, hit=4), False, True, (ENTRY,)),
        # The rest goes once nothing can have been filled: a cancel alone does not prove that.
        (bracket(S.CANCELLED, S.HELD), False, False, ()),
        (bracket(S.CANCELLED, S.HELD), False, True, (STOP,)),
        (bracket(S.CANCELLED, S.HELD, told=4), False, True, ()),
        (bracket(S.CANCELLED, S.HELD, filled=4), False, True, ()),
        (bracket(S.REJECTED, S.HELD), False, False, (STOP,)),
        (bracket(S.NOT_PLACED, S.HELD), False, False, (STOP,)),
        (bracket(S.REJECTED, S.REJECTED), False, False, ()),
    ],
)
def test_what_is_to_be_cancelled(legs: list[LegFacts], requested: bool, answered: bool, due: tuple[int, ...]) -> None:
    assert cancels_due(legs, is_requested=requested, answered_since=answered) == due
