"""Orders of ours that were live once, and that no complete answer of the broker knows any more.

    the broker refused a cancel of it, because it is over, and
        it is an exit of a bracket that holds nothing          OverProved: it can close nothing of ours any more
        the refusal says that it was cancelled                 OverProved
    else                                                       a person is asked what became of it, with the evidence

So a stop that filled on a day of which nothing is told any more ends without a person only where the account has shown
that its shares are gone; else somebody enters its deal, or says that the shares were closed elsewhere.
"""

import re
from datetime import datetime

from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.domain.broker_events import OverProved
from app.domain.command import CANCEL_REFUSED_CODES
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Execution, Order, open_quantity_of
from app.executions.services.apply import broker_event_record
from app.executions.services.attention import attention_add

# As in 10148 "OrderId 7 that needs to be cancelled can not be cancelled, state: Cancelled."
_SAYS_CANCELLED = re.compile(r"state:\s*(?:Api)?Cancelled", re.IGNORECASE)


def vanished_settle(order: Order, *, holding: Holding, now: datetime) -> None:
    """Conclude about an order that no answer asked for at `now` knows, or have a person asked. Raises Fenced."""
    if _over_prove(order, holding=holding, now=now):
        return
    text = "the broker neither holds it nor lists it as finished"
    if order.last_error_code in CANCEL_REFUSED_CODES:
        text = f"{text}, and refuses to cancel it ({order.last_error_code}: {order.last_error})"
    if Leg(order.leg).is_exit:
        text = f"{text}; enter its deal, or say that the shares were closed elsewhere"
    order_flag(order, text, holding=holding, now=now)


@transaction.atomic
def order_flag(
    order: Order, text: str, *, code: FlagCode = FlagCode.BOOKS_DIFFER, holding: Holding, now: datetime
) -> None:
    """Have a person look at the order's execution, once for each text. Raises Fenced."""
    fence_require(holding)
    execution = Execution.objects.select_for_update(no_key=True).get(pk=order.bracket.execution_id)
    before = execution.attention
    attention_add(execution, f"{order.leg}: {text}", code=code)
    if execution.attention != before:
        execution.save(update_fields=["attention"])
        decision_record(
            actor=Actor.RECONCILE,
            action="ASK",
            reason=f"{order.leg}: {text}",
            evidence={"order_ref": order.order_ref, "status": order.status, "asked_at": now.isoformat()},
            account=execution.account,
            execution=execution,
            order=order,
            now=now,
        )
        news.publish_on_commit(execution.pk)


@transaction.atomic
def _over_prove(order: Order, *, holding: Holding, now: datetime) -> bool:
    """Record that the order is over where that is proved; say whether it is."""
    if order.last_error_code not in CANCEL_REFUSED_CODES:
        return False
    fence_require(holding)
    execution = Execution.objects.select_for_update(no_key=True).get(pk=order.bracket.execution_id)
    legs = list(Order.objects.filter(bracket=order.bracket_id))
    now_is = next(leg for leg in legs if leg.pk == order.pk)
    if (now_is.status, now_is.last_error_code) != (order.status, order.last_error_code):
        return False  # Heard of since the questions were asked.
    entry = next(leg for leg in legs if leg.leg == Leg.ENTRY.value)
    closes_nothing = Leg(order.leg).is_exit and OrderStatus(entry.status) in TERMINAL and open_quantity_of(legs) <= 0
    if not closes_nothing and not _SAYS_CANCELLED.search(order.last_error):
        return False
    evidence = (
        f"The broker refused to cancel it ({order.last_error_code}: {order.last_error}), and its complete answers of "
        f"{now:%H:%M:%S} UTC do not know it."
    )
    broker_event_record(
        OverProved(
            dedupe_key=f"over:{order.order_ref}:{now.isoformat()}",
            account=execution.account.account_id,
            received_at=now,
            order_ref=order.order_ref,
            evidence=evidence,
        ),
        now=now,
    )
    decision_record(
        actor=Actor.RECONCILE,
        action="OVER",
        reason=evidence,
        evidence={"order_ref": order.order_ref, "status": order.status, "asked_at": now.isoformat()},
        account=execution.account,
        execution=execution,
        order=order,
        now=now,
    )
    return True
