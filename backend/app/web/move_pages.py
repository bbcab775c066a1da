"""Moving a stop or a target in the browser."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from app.core import clock
from app.core.errors import FixRequest, Forbidden, TradingError
from app.executions.models import Execution
from app.executions.selectors import require_may_resolve
from app.executions.services.move import Move, Moved, order_move_request, orders_to_move
from app.web.execution_pages import execution_context, execution_of
from app.web.number_field import NumberField
from app.web.pages import status_of
from app.web.real_money import real_money_require


@dataclass(frozen=True, kw_only=True, slots=True)
class Movable:
    """Something that can be moved, with where it stands; `key` names the one move that its form asks for."""

    what: Moved
    tranche: int
    price: Decimal
    key: str

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{self.what.capitalize()} of bracket {self.tranche}"


class MoveForm(forms.Form):
    """Where to, and where it was when the page was drawn."""

    what = forms.ChoiceField(choices=[(what.value, what.value) for what in Moved])
    tranche = forms.IntegerField(min_value=1)
    price = NumberField()
    expected_price = NumberField()
    key = forms.CharField(max_length=64)


@login_required
@require_POST
def execution_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a stop or a target moved."""
    execution = execution_of(request, pk=pk)
    form = MoveForm(request.POST)
    try:
        user = require_may_resolve(execution, user=request.user)
        if not form.is_valid():
            raise FixRequest(_first_problem(form), code="price_unclear")
        given = form.cleaned_data
        move = Move(
            what=Moved(given["what"]),
            tranche=given["tranche"],
            price=given["price"],
            expected_price=given["expected_price"],
        )
        real_money_require(execution.account, named=request.POST.get("real_money", ""))
        order_move_request(
            execution_id=execution.pk, move=move, user=user, idempotency_key=given["key"], now=clock.now()
        )
    except TradingError as error:
        shown = execution_of(request, pk=pk)
        context = execution_context(request, shown) | {"error": error, "movable": movable_of(request, shown)}
        return render(request, "web/execution_detail.html", context, status=status_of(error))
    return redirect("web:execution-detail", pk=pk)


def movable_of(request: HttpRequest, execution: Execution) -> list[Movable]:
    """Return what the user may move of an execution that was read with its orders."""
    try:
        require_may_resolve(execution, user=request.user)
    except Forbidden:
        return []
    return list(_movable(execution))


def _movable(execution: Execution) -> Iterable[Movable]:
    for bracket in execution.brackets.all():
        for what in Moved:
            prices = {getattr(order, what.column) for order in orders_to_move(bracket, what)}
            if len(prices) == 1 and (price := prices.pop()) is not None:
                yield Movable(what=what, tranche=bracket.tranche, price=price, key=str(uuid.uuid4()))


def _first_problem(form: MoveForm) -> str:
    for name in ("price", *form.fields):
        if problems := form.errors.get(name):
            return f"{name.replace('_', ' ').capitalize()}: {problems[0]}"
    return "What was sent cannot be read."
