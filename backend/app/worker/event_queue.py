"""Which of the waiting events is recorded next: in their order, but the news of a lost order overtakes a backlog.

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

_LOST = frozenset({ToldStatus.CANCELLED, ToldStatus.API_CANCELLED, ToldStatus.INACTIVE})


def tells_of_loss(event: AnyBrokerEvent) -> bool:
    """Say whether an order is gone or refused: shares may be without their stop until the guard hears of it."""
    if isinstance(event, OrderMessageTold):
        return event.meaning is MessageMeaning.REFUSAL
    return isinstance(event, OrderTold) and event.status in _LOST


def others_first(waiting: Sequence[AnyBrokerEvent], *, length_max: int) -> int:
    """Return how many of the first events, at most `length_max`, carry no name of ours and tell of no loss.

    They lock hardly anything, and nobody waits for them.
    """
    for number, event in enumerate(waiting[:length_max]):
        if parse_order_ref(getattr(event, "order_ref", "")) is not None or tells_of_loss(event):
            return number
    return min(len(waiting), length_max)


def next_batch(
    waiting: Sequence[AnyBrokerEvent], *, length_max: int
) -> tuple[list[AnyBrokerEvent], list[AnyBrokerEvent]]:
    """Return what is recorded next, at most `length_max` events, and what waits on, both in the order they came."""
    if len(waiting) <= length_max:
        return list(waiting), []
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
