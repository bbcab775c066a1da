"""Which of the waiting events is recorded next: in their order, but the news of a lost order overtakes a backlog.

What is certainly about no order of ours (`Others`) waits apart, and is recorded when nothing else waits: after a
connect a whole day of it is told. Of what may be ours:

    waiting:  a1 b1 c1 a2 b2 c2(cancelled) ...      a, b, c: executions, by the `order_ref` that the event carries
    next:     c1 c2                                 all that waits of that execution up to it, in its order
    then:     a1 b1 a2 b2 ...

In a burst thousands of events may wait. A stop that was cancelled is what the guard must hear of first; an execution's
events keep their order, which is the only order that the rows depend on. What names no order may be about any of them:
nothing overtakes it, but a cost, which may come before or after its deal.
"""

from collections.abc import Sequence

from app.domain.broker_events import (
    AnyBrokerEvent,
    CommissionTold,
    FillTold,
    MessageMeaning,
    OrderMessageTold,
    OrderTold,
    ToldStatus,
)
from app.domain.order_ref import parse_order_ref
from app.domain.terms import Leg

DEALS_KEPT_MAX = 100_000
_LOST = frozenset({ToldStatus.CANCELLED, ToldStatus.API_CANCELLED, ToldStatus.INACTIVE})
_COVER_NOTHING = frozenset({Leg.ENTRY, Leg.TAKE_PROFIT})


def tells_of_loss(event: AnyBrokerEvent) -> bool:
    """Say whether an order is gone or refused: shares may be without their stop until the guard hears of it."""
    if isinstance(event, OrderMessageTold):
        return event.meaning is MessageMeaning.REFUSAL
    return isinstance(event, OrderTold) and event.status in _LOST


def tells_of_bare_shares(event: AnyBrokerEvent) -> bool:
    """Say whether what is gone or refused may have been a stop, or what was to close shares without one.

    A target or an entry that is gone leaves no shares without their stop, nor does what is certainly not ours. A code,
    and a state that names no order, may be about any of them.
    """
    if not tells_of_loss(event) or not isinstance(event, OrderTold) or not _says_name(event):
        return tells_of_loss(event)
    ref = parse_order_ref(event.order_ref)
    return ref is not None and ref.leg not in _COVER_NOTHING


def _says_name(event: OrderTold) -> bool:
    """Say whether the name of an order of ours would be told with it."""
    return bool(event.order_ref or event.order_type) or event.source != "status"


class Others:
    """Tells events that are certainly about no order of ours: they lock nothing, and nobody waits for them.

    A deal, an open order and a finished one always carry the name of an order of ours, and so does a status after them.
    Of a cost only the deal says whose it is; one that comes before its deal may be ours. A name that somebody took
    from an order of ours, in TWS, makes its news wait: it is matched by its number when its turn has come.
    """

    def __init__(self) -> None:
        # Their deals whose cost was not told yet, the oldest first.
        self._deals: dict[str, None] = {}

    def take(self, event: AnyBrokerEvent) -> bool:
        """Say whether the event is theirs; call it once for each event, in the order they came."""
        if isinstance(event, CommissionTold):
            is_theirs = event.exec_id in self._deals
            self._deals.pop(event.exec_id, None)
            return is_theirs
        if isinstance(event, OrderTold):
            return _says_name(event) and parse_order_ref(event.order_ref) is None
        if not isinstance(event, FillTold) or parse_order_ref(event.order_ref) is not None:
            return False
        self._deals[event.exec_id] = None
        if len(self._deals) > DEALS_KEPT_MAX:
            del self._deals[next(iter(self._deals))]
        return True


def next_batch(
    waiting: Sequence[AnyBrokerEvent], *, length_max: int
) -> tuple[list[AnyBrokerEvent], list[AnyBrokerEvent]]:
    """Return what is recorded next, at most `length_max` events, and what waits on, both in the order they came."""
    if len(waiting) <= length_max or not any(map(tells_of_loss, waiting)):
        return list(waiting[:length_max]), list(waiting[length_max:])
    urgent: set[str] = set()
    overtaking: list[int] = []
    by_execution: dict[str, list[int]] = {}
    for position, (event, name) in enumerate(zip(waiting, _executions_of(waiting), strict=True)):
        if isinstance(event, CommissionTold):
            continue
        if not name:
            break
        by_execution.setdefault(name, []).append(position)
        if tells_of_loss(event) and name not in urgent:
            urgent.add(name)
            overtaking += by_execution[name]
    if not urgent:
        return list(waiting[:length_max]), list(waiting[length_max:])
    taken = set(sorted(overtaking)[:length_max])
    return (
        [event for position, event in enumerate(waiting) if position in taken],
        [event for position, event in enumerate(waiting) if position not in taken],
    )


def _executions_of(events: Sequence[AnyBrokerEvent]) -> list[str]:
    """Return the execution's part of each order's name; "" where an event is not known to be about one of ours.

    A code carries only the order's id: it is known by what else waits of that order.
    """
    names: list[str] = []
    by_id: dict[tuple[int, int], str] = {}
    for event in events:
        ref = parse_order_ref(event.order_ref) if isinstance(event, OrderTold | FillTold) else None
        names.append(ref.execution_key if ref is not None else "")
        if ref is not None and isinstance(event, OrderTold) and event.order_id:
            by_id[(event.client_id, event.order_id)] = ref.execution_key
    return [
        by_id.get((event.client_id, event.order_id), "") if isinstance(event, OrderMessageTold) else name
        for event, name in zip(events, names, strict=True)
    ]
