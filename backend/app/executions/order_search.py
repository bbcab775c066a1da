"""Find executions and orders by any name somebody may have at hand.

IB-3:4                        the reference an execution was answered with (order ids come back: several may match)
k7m2q4x9b3c5d6f8-1-ENTRY      an order_ref, or its beginning
1234567                       a perm id, or the execution's number
0000e0d5.67a1b2c3.01.01       an exec id, or its beginning
AAPL                          a symbol
"""

import re
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from app.accounts.models import Account
from app.domain.order_ref import EXECUTION_KEY_ALPHABET, EXECUTION_KEY_LENGTH
from app.domain.terms import Leg
from app.executions.models import Fill, Order

_REFERENCE = re.compile(r"IB-(\d{1,18}):(\d{1,18})", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,18}")
_ORDER_REF = re.compile(rf"[{EXECUTION_KEY_ALPHABET}]{{{EXECUTION_KEY_LENGTH}}}(-.*)?")
_EXEC_ID = re.compile(r"[0-9a-f]{4,}\.[0-9a-f.]{4,}", re.IGNORECASE)


def executions_found(executions: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Return those of `executions` that `term` names; all where it is empty."""
    term = term.strip()
    if not term:
        return executions
    if _is_symbol(term):
        return executions.filter(symbol=term.upper())
    by_order = Q(pk__in=_orders(term).values("bracket__execution_id"))
    return executions.filter(by_order | Q(pk=int(term)) if _NUMBER.fullmatch(term) else by_order)


def orders_found(orders: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Return those of `orders` that `term` names; all where it is empty."""
    term = term.strip()
    if not term:
        return orders
    if _is_symbol(term):
        return orders.filter(bracket__execution__symbol=term.upper())
    return orders.filter(pk__in=_orders(term).values("pk"))


def _is_symbol(term: str) -> bool:
    return not any(form.fullmatch(term) for form in (_REFERENCE, _NUMBER, _ORDER_REF, _EXEC_ID))


def _orders(term: str) -> QuerySet[Order]:
    # Naming the accounts lets the indexes be used, which begin with the account.
    orders = Order.objects.filter(account__in=Account.objects.all())
    if reference := _REFERENCE.fullmatch(term):
        pair = {Leg.ENTRY.value: int(reference[1]), Leg.STOP_LOSS.value: int(reference[2])}
        legs = [Order.objects.filter(bracket=OuterRef("bracket"), leg=leg, order_id=pair[leg]) for leg in pair]
        named = Q(leg=Leg.ENTRY.value, order_id=pair[Leg.ENTRY.value])
        named |= Q(leg=Leg.STOP_LOSS.value, order_id=pair[Leg.STOP_LOSS.value])
        return orders.filter(named, *(Exists(leg) for leg in legs))
    if _NUMBER.fullmatch(term):
        return orders.filter(perm_id=int(term), perm_id__gt=0)
    if _EXEC_ID.fullmatch(term):
        return orders.filter(pk__in=Fill.objects.filter(exec_id__startswith=term).values("order_id"))
    return orders.filter(order_ref__startswith=term)
