"""Closing a position in the browser: the form, and what it would do."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from app.core import clock
from app.core.errors import FixRequest, Forbidden, TradingError
from app.domain.terms import OrderType
from app.executions.models import Execution
from app.executions.services.close_request import CloseAsked, execution_close_request
from app.setups.selectors import require_may_act_on
from app.web.execution_pages import execution_context, execution_of
from app.web.number_field import NumberField
from app.web.pages import status_of
from app.web.real_money import real_money_require


@dataclass(frozen=True, kw_only=True, slots=True)
class Closable:
    """What can be closed; `key` names the one closing that the form asks for."""

    quantity: Decimal
    key: str
    has_target: bool


class CloseForm(forms.Form):
    """How many shares, at the market or at a limit."""

    quantity = NumberField()
    limit_price = NumberField(required=False)
    key = forms.CharField(max_length=64)


@login_required
@require_POST
def execution_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Have what is held closed, or a part of it."""
    execution = execution_of(request, pk=pk)
    form = CloseForm(request.POST)
    try:
        user = require_may_act_on(execution.setup, user=request.user)
        if not form.is_valid():
            name, problems = next(iter(form.errors.items()))
            raise FixRequest(f"{name.replace('_', ' ').capitalize()}: {problems[0]}", code="close_size_unclear")
        real_money_require(execution.account, named=request.POST.get("real_money", ""))
        execution_close_request(
            execution_id=execution.pk,
            asked=_asked(form.cleaned_data),
            user=user,
            idempotency_key=form.cleaned_data["key"],
            now=clock.now(),
        )
    except TradingError as error:
        shown = execution_of(request, pk=pk)
        context = execution_context(request, shown) | {"error": error, "closable": closable_of(request, shown)}
        return render(request, "web/execution_detail.html", context, status=status_of(error))
    return redirect("web:execution-detail", pk=pk)


def closable_of(request: HttpRequest, execution: Execution) -> Closable | None:
    """Return what the user may close of an execution that was read with its orders; None where there is nothing."""
    try:
        require_may_act_on(execution.setup, user=request.user)
    except Forbidden:
        return None
    if execution.is_finished or execution.open_quantity <= 0 or execution.flatten_requested_at is not None:
        return None
    orders = [order for bracket in execution.brackets.all() for order in bracket.orders.all()]
    return Closable(
        quantity=execution.open_quantity,
        key=str(uuid.uuid4()),
        has_target=any(order.leg == "TAKE_PROFIT" for order in orders),
    )


def _asked(given: dict[str, Any]) -> CloseAsked:
    price = given["limit_price"]
    return CloseAsked(
        quantity=given["quantity"],
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        limit_price=price,
    )
