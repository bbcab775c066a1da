"""What has to hold, after each step and when everything has come to rest. Each finding is one line of text."""

import re
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.simulation.account_invariants import (
    ACTIVE_WORDS,
    account_always,
    account_at_rest,
    book_without_closed_elsewhere,
    closed_elsewhere_by_bracket,
    filled_as_stop_was_replaced,
    in_doubt,
)
from tests.simulation.book import bracket_of, is_exit, leg_of
from tests.simulation.witness import writes_of_deposed
from tests.simulation.world import World

MESSAGES_PER_SECOND_MAX = 50  # IB's limit (IB_FACTS B7); ours is set below it.

LOG_LINE = re.compile(r"time=(\S+) level=\w+ event=(\w+) ")
# What a worker logs in the same breath as the last byte: it is hardly ever stopped between the two.
SENDS = frozenset({"bracket_on_wire", "single_order_sent", "change_on_wire", "cancel_on_wire"})
# What began before the fence was raised may end a moment after it.
AFTER_THE_FENCE = timedelta(seconds=0.5)


def always(world: World) -> list[str]:
    """Check what must hold at every moment, whatever fails just now."""
    orders = ours(world)
    return [*placed_twice(orders), *overfilled(orders), *oversold(world, orders), *account_always(world, orders)]


def at_rest(world: World) -> list[str]:
    """Check everything: the broker's book against our rows, the stops against the shares."""
    orders = ours(world)
    found = always(world)
    found += rows_against_book(orders)
    found += deals_against_book(world)
    found += naked(orders)
    found += unsettled()
    # The rest costs more, and says nothing while it is not all there yet.
    found = found or [*ids_used_twice(), *written_by_deposed(), *sent_by_deposed(world)]
    found = found or account_at_rest(world, orders)
    return found or audited(world, with_replay=False)


def audited(world: World, *, with_replay: bool) -> list[str]:
    """Check the rows by themselves, as `manage.py audit_executions --replay` does; (7) is the replay, which takes long.

    While a person is asked about the position nothing is repaired; what a split has multiplied closes more than filled,
    and so does what raced, of which a person was told.
    """
    from app.core import clock
    from app.executions.services.audit import Invariant, audit_findings

    findings = audit_findings(now=clock.now(), with_replay=with_replay)
    # What is overdue and told to a person is what must happen when the broker does not answer.
    told = (Invariant.OVERDUE, Invariant.COMMAND_UNSETTLED)
    left_alone = (Invariant.UNPROTECTED, Invariant.ORPHANED) if in_doubt() else ()
    left_alone += (Invariant.OVERSOLD,) if world.splits or world.raced else ()
    return [
        f"audit: {finding.code} {finding.text}"
        for finding in findings
        if finding.code not in left_alone and (finding.code not in told or not finding.is_flagged)
    ]


def ours(world: World) -> list[dict[str, Any]]:
    """Return the broker's orders that carry a name of ours and were transmitted."""
    return [order for order in world.peer.orders() if order["order_ref"] and order["perm_id"]]


def placed_twice(orders: list[dict[str, Any]]) -> list[str]:
    """(1) no leg is placed twice under one `order_ref`."""
    counted = Counter(order["order_ref"] for order in orders)
    return [f"placed twice: {ref} x {count}" for ref, count in counted.items() if count > 1]


def overfilled(orders: list[dict[str, Any]]) -> list[str]:
    """(2) an order fills at most its quantity."""
    return [
        f"overfilled: {order['order_ref']} {order['filled']} of {order['quantity']}"
        for order in orders
        if Decimal(order["filled"]) > Decimal(order["quantity"])
    ]


def oversold(world: World, orders: list[dict[str, Any]]) -> list[str]:
    """(3) the exits of a bracket close at most what its entry opened, and what a person took over for it.

    Where the broker has adjusted them to a split, they close that many times more. What a target filled in the round
    trip in which its stop was replaced is a race by design, which has to be told.
    """
    opened, closed = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for order in orders:
        (closed if is_exit(order) else opened)[bracket_of(order)] += Decimal(order["filled"])
    beyond = {name: shares - opened[name] for name, shares in closed.items() if shares > opened[name]}
    taken_over = closed_elsewhere_by_bracket() if beyond else {}
    found = []
    for name, shares in beyond.items():
        by_splits = opened[name] * (2 ** sum(name in split for split in world.splits) - 1)
        excess = shares - by_splits - max(-taken_over.get(name, Decimal(0)), Decimal(0))
        if excess > (raced := filled_as_stop_was_replaced(world, name) if excess > 0 else Decimal(0)):
            found.append(f"oversold: {name} by {shares}")
        elif raced:
            world.raced[name] = excess
    return found


def naked(orders: list[dict[str, Any]]) -> list[str]:
    """(4) shares that are held have a working stop of their size, or a person was told."""
    from app.executions.models import Execution

    if in_doubt():
        return []
    flagged = {key for key, text in Execution.objects.values_list("key", "attention") if text}
    flagged |= set(Execution.objects.filter(flags__resolved_at__isnull=True).values_list("key", flat=True))
    found = []
    for name, held in book_without_closed_elsewhere(orders).items():
        stops = [order for order in orders if bracket_of(order) == name and leg_of(order) in ("STOP_LOSS", "PROTECT")]
        covered = sum((Decimal(o["remaining"]) for o in stops if o["live"]), Decimal(0))
        # The stop of an entry that is still open is as large as the entry; the broker caps it at what that has filled.
        most = held + sum(
            (Decimal(o["remaining"]) for o in orders if bracket_of(o) == name and _is_open_entry(o)), Decimal(0)
        )
        if held > 0 and not held <= covered <= most and not (name.split("-")[0] in flagged and covered < held):
            found.append(f"naked: {name} holds {held}, stops for {covered}")
        if held == 0 and covered and most == 0:
            found.append(f"orphaned: {name} holds nothing, stops for {covered}")
    return found


def rows_against_book(orders: list[dict[str, Any]]) -> list[str]:
    """(5) our open orders equal the broker's, and (6) what they filled."""
    from app.domain.order_status import TERMINAL, OrderStatus
    from app.executions.models import Order

    theirs = {order["order_ref"]: order for order in orders}
    found = []
    for order in Order.objects.exclude(status="CREATED"):
        there = theirs.pop(order.order_ref, None)
        is_open = OrderStatus(order.status) not in TERMINAL
        if there is None:
            # A refusal, or a cancel of what was never transmitted, leaves nothing at the broker.
            over = order.status in ("NOT_PLACED", "CANCELLED", "REJECTED") and not order.filled_quantity
            if not over:
                found.append(f"unknown to the broker: {order.order_ref} is {order.status}")
            continue
        is_open_there = there["status"] in ACTIVE_WORDS
        if is_open != is_open_there:
            found.append(f"differs: {order.order_ref} is {order.status} here, {there['status']} there")
        if order.filled_quantity != Decimal(there["filled"]):
            found.append(f"fills differ: {order.order_ref} {order.filled_quantity} here, {there['filled']} there")
        if is_open and is_open_there:
            found += [
                f"{name} differs: {order.order_ref} {getattr(order, name)} here, {there[name]} there"
                for name in ("quantity", "limit_price", "stop_price")
                if getattr(order, name) != (None if there[name] is None else Decimal(there[name]))
            ]
    return found + [f"unknown to us: {ref} is {order['status']} there" for ref, order in theirs.items()]


def deals_against_book(world: World) -> list[str]:
    """No deal and no cost is lost, none is invented."""
    from app.executions.models import Fill

    mine = {
        fill.exec_id: getattr(fill, "commission", None)
        for fill in Fill.objects.filter(superseded=False).select_related("commission")
    }
    told = sorted(deal["exec_id"] for deal in world.peer.state()["executions"] if deal["order_ref"])
    theirs = set(
        {exec_id.rpartition(".")[0]: exec_id for exec_id in told}.values()
    )  # Of each deal the last correction.
    found = [f"lost deal: {exec_id}" for exec_id in sorted(theirs - mine.keys())]
    found += [f"invented deal: {exec_id}" for exec_id in sorted(mine.keys() - theirs)]
    return found + [f"lost commission: {exec_id}" for exec_id, cost in mine.items() if cost is None]


def ids_used_twice() -> list[str]:
    """An order id is given to one order, also when the Gateway gives it out again: `IB-<entry>:<stop>` means one."""
    from app.executions.models import Order

    ids = Order.objects.filter(order_id__isnull=False).values_list("client_id", "order_id")
    return [
        f"one id for {count} orders: {order_id}" for (_client, order_id), count in Counter(ids).items() if count > 1
    ]


def written_by_deposed() -> list[str]:
    """Nothing is written by a worker after another one has raised the fence, told by the database."""
    found = writes_of_deposed(after_seconds=AFTER_THE_FENCE.total_seconds())
    return [
        f"deposed: {who} wrote {what} at {at:%H:%M:%S.%f} though {by} had taken over" for who, what, at, by in found
    ]


def sent_by_deposed(world: World) -> list[str]:
    """Nor is anything sent, told by their logs."""
    raised: list[tuple[datetime, int, str]] = []
    sent: list[tuple[datetime, str, str]] = []
    for name in world.started:
        for line in world.log_of(name).read_text().splitlines():
            if told := LOG_LINE.match(line):
                at, event = datetime.fromisoformat(told[1]), told[2]
                if event == "fence_raised":
                    raised.append((at, int(line.partition(" fence=")[2].split()[0]), name))
                elif event in SENDS:
                    sent.append((at, name, event))
    found = []
    for at, name, event in sent:
        mine = max((fence for moment, fence, holder in raised if holder == name and moment <= at), default=0)
        newer = [holder for moment, fence, holder in raised if fence > mine and moment + AFTER_THE_FENCE < at]
        if newer:
            found.append(f"deposed: {name} sent ({event}) at {at:%H:%M:%S.%f} though {newer[0]} had taken over")
    return found[:3]


def unsettled() -> list[str]:
    """(8) nothing is left half done once all is calm."""
    from app.executions.models import Execution, Order

    found = [
        f"unsettled: execution {pk} is {status}"
        for pk, status in Execution.objects.filter(status__in=["REQUESTED", "SUBMITTING"]).values_list("pk", "status")
    ]
    waiting = Order.objects.filter(status__in=["SENT", "PENDING_SUBMIT", "PENDING_CANCEL"])
    return found + [f"unanswered: {order.order_ref} is {order.status}" for order in waiting]


def too_fast(world: World) -> list[str]:
    """(9) never more than the allowed messages in any second, per connection."""
    found = []
    times: dict[int, list[float]] = {}
    for message in world.peer.messages():
        times.setdefault(message["connection"], []).append(message["received_ms"])
    for connection, sent in times.items():
        for first, last in zip(sent, sent[MESSAGES_PER_SECOND_MAX:], strict=False):
            if last - first < 1000:
                found.append(f"too fast: connection {connection} sent {MESSAGES_PER_SECOND_MAX + 1} in a second")
                break
    return found


def _is_open_entry(order: dict[str, Any]) -> bool:
    return leg_of(order) == "ENTRY" and order["status"] in ACTIVE_WORDS
