"""What the broker has told us in one session: turns raw messages into events and numbers the changes of each order.

An order's state comes in pieces: an open-order message has the name and the size, a status message the filled quantity
and the reason for holding. Each piece is laid over what the session has heard of that order, so every event says the
whole state as told, and a repeated piece makes the same state, hence the same `dedupe_key`.

    openOrder(PreSubmitted)          -> status:<session>:1:7:1
    orderStatus(PreSubmitted)        -> status:<session>:1:7:1     the same state told again
    orderStatus(Submitted)           -> status:<session>:1:7:2
    orderStatus(PreSubmitted)        -> status:<session>:1:7:3     truly back, hence a new number
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_async.contract import Contract as WireContract
from ib_async.objects import CommissionReport, Execution
from ib_async.order import Order as WireOrder

from app.brokers.base import OpenOrder
from app.brokers.ib import translate
from app.brokers.ib.error_codes import ORDER_CANCELLED, ORDER_MESSAGE, OUTSIDE_HOURS_IGNORED, meaning_of
from app.domain.broker_events import (
    CommissionTold,
    DealUnreadable,
    FillTold,
    MessageMeaning,
    OrderMessageTold,
    OrderTold,
    ToldStatus,
)
from app.domain.contract import Contract
from app.domain.terms import Action

OrderKey = tuple[int, int]  # (client id, order id); (-1, perm_id) for an order without an order id

FINISHED = frozenset({ToldStatus.FILLED, ToldStatus.CANCELLED, ToldStatus.API_CANCELLED})
# Of the orders that are over so many are remembered, and no order changes more often than that in a session.
OVER_KEPT_MAX, CHANGES_MAX = 1000, 10_000
_CANCELLED = frozenset({ToldStatus.CANCELLED, ToldStatus.API_CANCELLED})
# What a 399 says of an order that came while the exchange is closed [CAPTURE], with the moment it opens.
_UNTIL = re.compile(
    r"not be placed at the exchange until (\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: [A-Z][\w/+-]*)?)", re.IGNORECASE
)
_REASON = "reason:"  # What a 202 says stands behind it; mostly nothing does.
_NEVER_AT_WORK = frozenset({ToldStatus.PENDING_SUBMIT, ToldStatus.INACTIVE})


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    """What was told of one order so far, but for when and by which kind of message."""

    order_id: int
    client_id: int
    perm_id: int = 0
    account: str = ""
    order_ref: str = ""
    raw_status: str = ""
    quantity: Decimal = Decimal(0)
    filled: Decimal = Decimal(0)
    remaining: Decimal = Decimal(0)
    average_price: Decimal = Decimal(0)
    why_held: str = ""
    parent_id: int = 0
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    ended_because: str = ""
    order_type: str = ""
    oca_group: str = ""
    oca_type: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _What:
    """What the order is, from an open-order message; the library's own object has 140 fields."""

    contract: Contract
    action: Action
    order_type: str


@dataclass(slots=True)
class _Told:
    state: _State
    change_number: int = 0
    what: _What | None = None
    last_event: OrderTold | None = None


class SessionTold:
    """Everything heard in one session, by order. Not thread-safe: it lives in the connection's event loop."""

    def __init__(self, *, session: str, client_id: int, now: Callable[[], datetime]) -> None:
        self.session = session
        self.client_id = client_id
        self.account = ""
        self._now = now
        self._orders: dict[OrderKey, _Told] = {}
        self._key_by_perm_id: dict[int, OrderKey] = {}
        self._placed: set[int] = set()
        self._requested: set[int] = set()
        self._messages = 0
        # What the account holds by contract id, as pushed since it was taken last; an answer's rows are not among it.
        self.positions_pushed: dict[int, Decimal] = {}
        # The orders that are over, in the order in which they ended, and how many of them were let go.
        self._over: dict[OrderKey, None] = {}
        self._let_go = 0
        # Of deals whose cost is not told yet, and of costs that no answer has taken yet.
        self._account_by_exec_id: dict[str, str] = {}
        self._commissions: dict[str, CommissionTold] = {}

    def open_order(self, *, contract: WireContract, order: WireOrder, raw_status: str) -> OrderTold:
        """Take in an open-order message."""
        key = self._key(order.clientId, order.orderId, order.permId)
        told = self._told(key, perm_id=order.permId)
        quantity = translate.require_decimal(order.totalQuantity)
        state = replace(
            told.state,
            perm_id=translate.to_identifier(order.permId) or told.state.perm_id,
            account=order.account or told.state.account,
            order_ref=order.orderRef or told.state.order_ref,
            raw_status=raw_status,
            quantity=quantity,
            remaining=max(quantity - told.state.filled, Decimal(0)),
            parent_id=translate.to_identifier(order.parentId) or told.state.parent_id,
            limit_price=translate.to_limit_price(order),
            stop_price=translate.to_stop_price(order),
            order_type=translate.to_order_type(order.orderType),
            # A plain order is echoed with a type and without a group.
            oca_group=order.ocaGroup,
            oca_type=order.ocaType if order.ocaGroup else 0,
        )
        told.what = _What(
            contract=translate.to_contract(contract),
            action=translate.to_action(order.action),
            order_type=translate.to_order_type(order.orderType),
        )
        return self._tell(told, state, source="open_order")

    def order_status(
        self,
        *,
        order_id: int,
        client_id: int,
        perm_id: int,
        raw_status: str,
        filled: float,
        remaining: float,
        average_price: float,
        parent_id: int,
        why_held: str,
    ) -> OrderTold:
        """Take in a status message."""
        told = self._told(self._key(client_id, order_id, perm_id), perm_id=perm_id)
        state = replace(
            told.state,
            perm_id=translate.to_identifier(perm_id) or told.state.perm_id,
            raw_status=raw_status,
            filled=translate.require_decimal(filled),
            remaining=translate.require_decimal(remaining),
            average_price=translate.require_decimal(average_price),
            parent_id=translate.to_identifier(parent_id) or told.state.parent_id,
            why_held=why_held,
        )
        return self._tell(told, state, source="status")

    def completed_order(self, *, order: WireOrder, raw_status: str, completed_status: str = "") -> OrderTold:
        """Take in a completed order, which says its permanent id but neither client nor order id.

        `completed_status` is how it ended, in words: "Expired", "Cancelled by Trader".
        """
        perm_id = translate.to_identifier(order.permId)
        told = self._told(self._key_by_perm_id.get(perm_id, (-1, perm_id)), perm_id=perm_id)
        quantity = translate.require_decimal(order.totalQuantity)
        filled = translate.to_decimal(order.filledQuantity)
        state = replace(
            told.state,
            perm_id=perm_id,
            account=order.account or told.state.account,
            order_ref=order.orderRef or told.state.order_ref,
            raw_status=raw_status,
            filled=told.state.filled if filled is None else filled,
            remaining=max(quantity - (filled or Decimal(0)), Decimal(0)),
            why_held="",
            ended_because=completed_status if _tells_why(raw_status, completed_status) else told.state.ended_because,
        )
        return self._tell(told, state, source="completed_order")

    def execution(self, *, contract: WireContract, execution: Execution, unreadable_time: str = "") -> FillTold:
        """Take in a deal."""
        received_at = self._now()
        fill = translate.fill_told(contract, execution, received_at=received_at, unreadable_time=unreadable_time)
        self._account_by_exec_id[fill.exec_id] = fill.account
        return fill

    def told_again(self, event: FillTold | CommissionTold) -> None:
        """Take in a deal, or the cost of one, that was told before."""
        if isinstance(event, FillTold):
            self._account_by_exec_id[event.exec_id] = event.account
        else:
            self._account_by_exec_id.pop(event.exec_id, None)
            self._commissions[event.exec_id] = event

    def deal_unreadable(self, *, deal_id: str, unread: str, **names: Any) -> DealUnreadable:
        """Take in a deal that cannot be read; `names` are those of the event."""
        return DealUnreadable(
            dedupe_key=f"unreadable:{deal_id}",
            received_at=self._now(),
            deal_id=deal_id,
            evidence=f"a deal ({deal_id}) could not be read: {unread}",
            **names,
        )

    def commission(self, report: CommissionReport) -> CommissionTold:
        """Take in the cost of a deal; it may come before the deal, whose account is then not known yet."""
        account = self._account_by_exec_id.pop(report.execId, "")
        told = translate.commission_told(report, account=account, received_at=self._now())
        self._commissions[told.exec_id] = told
        return told

    def message(self, *, order_id: int, code: int, text: str) -> OrderMessageTold:
        """Take in a code about one of this client's orders."""
        self._messages += 1
        key = (self.client_id, order_id)
        return OrderMessageTold(
            dedupe_key=f"message:{self.session}:{self._messages}",
            account=self._orders[key].state.account if key in self._orders else self.account,
            received_at=self._now(),
            order_id=order_id,
            client_id=self.client_id,
            code=code,
            text=text,
            meaning=self._meaning_of(code, order_id=order_id),
            ended_because=text.partition(_REASON)[2].strip() if code == ORDER_CANCELLED else "",
            ignores_outside_hours=code == OUTSIDE_HOURS_IGNORED,
            waits_until=_waits_until(text) if code == ORDER_MESSAGE else "",
        )

    def _meaning_of(self, code: int, *, order_id: int) -> MessageMeaning:
        """Return what the code means for the order. Whatever answers a new order may be its refusal."""
        meaning = meaning_of(code, request_is_pending=self._may_answer_request(order_id))
        is_no_answer = meaning not in (MessageMeaning.UNKNOWN, MessageMeaning.REQUEST_REFUSED)
        if is_no_answer or order_id not in self._placed or order_id in self._requested:
            return meaning
        told = self._orders.get((self.client_id, order_id))
        heard = told.last_event.status if told is not None and told.last_event is not None else None
        return MessageMeaning.REFUSAL_SUSPECTED if heard is None or heard in _NEVER_AT_WORK else meaning

    def record_placed(self, order_id: int) -> None:
        """Note that a new order is about to be sent."""
        self._placed.add(order_id)

    def record_request(self, order_id: int) -> None:
        """Note that a change or a cancel of an order that may live is about to be sent: a refusal may be of that.

        It holds for the rest of the session: the broker does not say which of two messages a refusal answers, and a
        refusal taken for one of the request leaves the order's state to its next status message, which is always right.
        """
        self._requested.add(order_id)

    def commissions_take(self) -> Mapping[str, CommissionTold]:
        """Return the costs of deals that were told since this was called last, by deal: an answer tells all again."""
        taken, self._commissions, self._account_by_exec_id = self._commissions, {}, {}
        return taken

    def open_order_of(self, key: OrderKey) -> OpenOrder | None:
        """Return the order as last told; None when it has finished or was never told as an open order."""
        told = self._orders.get(key)
        if told is None or told.last_event is None or told.what is None or told.last_event.status in FINISHED:
            return None
        return OpenOrder(
            told=told.last_event,
            contract=told.what.contract,
            action=told.what.action,
            order_type=told.what.order_type,
            quantity=told.state.quantity,
            limit_price=told.state.limit_price,
            stop_price=told.state.stop_price,
        )

    def key_of(self, event: OrderTold) -> OrderKey:
        """Return the key under which an order's state is kept."""
        return self._key(event.client_id, event.order_id, event.perm_id)

    def _may_answer_request(self, order_id: int) -> bool:
        known = (self.client_id, order_id) in self._orders or order_id not in self._placed
        return order_id in self._requested and known

    def _key(self, client_id: int, order_id: int, perm_id: int) -> OrderKey:
        order_id = translate.to_identifier(order_id)
        return (client_id, order_id) if order_id else (-1, translate.to_identifier(perm_id))

    def _told(self, key: OrderKey, *, perm_id: int) -> _Told:
        if key not in self._orders:
            client_id, order_id = key if key[0] >= 0 else (0, 0)
            account = self.account if client_id == self.client_id and order_id else ""
            self._orders[key] = _Told(
                _State(order_id=order_id, client_id=client_id, account=account),
                # Above every number that an order which was let go ever had.
                change_number=self._let_go * CHANGES_MAX,
            )
        if perm_id > 0 and key[0] >= 0:
            self._key_by_perm_id[perm_id] = key
        return self._orders[key]

    def _tell(self, told: _Told, state: _State, *, source: str) -> OrderTold:
        is_first = told.last_event is None
        if is_first or state != told.state:
            told.change_number += 1
            told.state = state
        name = state.order_id or state.perm_id
        # Inactive may be parked; what is listed as finished and inactive was refused, which is another fact.
        is_refused = source == "completed_order" and translate.to_status(state.raw_status) is ToldStatus.INACTIVE
        over = ":over" if is_refused else ""
        told.last_event = OrderTold(
            dedupe_key=f"status:{self.session}:{state.client_id}:{name}:{told.change_number}{over}",
            account=state.account,
            received_at=self._now(),
            order_id=state.order_id,
            client_id=state.client_id,
            perm_id=state.perm_id,
            order_ref=state.order_ref,
            status=translate.to_status(state.raw_status),
            raw_status=state.raw_status,
            filled=state.filled,
            remaining=state.remaining,
            average_price=state.average_price,
            why_held=state.why_held,
            parent_id=state.parent_id,
            limit_price=state.limit_price,
            stop_price=state.stop_price,
            order_type=state.order_type,
            oca_group=state.oca_group,
            oca_type=state.oca_type,
            source=source,
            ended_because=state.ended_because,
        )
        if is_first and self._let_go and source == "completed_order":
            # It may be one that was let go: each answer lists it again, and it is one fact.
            key = f"completed:{state.perm_id}:{state.raw_status}:{state.filled.normalize():f}"
            told.last_event = replace(told.last_event, dedupe_key=key)
        self._let_go_of_old(told)
        return told.last_event

    def _let_go_of_old(self, told: _Told) -> None:
        """Note an order that is over, and let go of the oldest of them: what is kept follows what is open."""
        state = told.state
        key = (state.client_id, state.order_id) if state.order_id else (-1, state.perm_id)
        if told.last_event is None or told.last_event.status not in FINISHED:
            self._over.pop(key, None)
            return
        told.what = None
        self._over[key] = None
        if len(self._over) <= OVER_KEPT_MAX:
            return
        oldest = next(iter(self._over))
        del self._over[oldest]
        gone = self._orders.pop(oldest, None)
        self._let_go += 1
        if gone is not None:
            self._key_by_perm_id.pop(gone.state.perm_id, None)
        if oldest[0] == self.client_id:
            self._placed.discard(oldest[1])
            self._requested.discard(oldest[1])


def _tells_why(raw_status: str, completed_status: str) -> bool:
    """Say whether the words of a completed order are more than its status."""
    is_cancelled = translate.to_status(raw_status) in _CANCELLED
    return is_cancelled and completed_status not in ("", *(status.value for status in ToldStatus))


def _waits_until(text: str) -> str:
    found = _UNTIL.search(text)
    return found[1] if found else ""
