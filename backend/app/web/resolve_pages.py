"""Settling an execution in the browser: choose what was, read what would come of it, confirm. Needs no scripts.

the forms, one an act ──POST──> the preview, with a token of the facts ──POST──> carried out, back to the execution
                                 └── something moved since: a new preview is asked for
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from app.accounts.models import Position
from app.core import clock
from app.core.errors import Forbidden, TradingError
from app.executions.models import Execution, Order
from app.executions.selectors import orders_of, require_may_resolve
from app.executions.services.resolve import execution_resolve
from app.executions.services.resolve_facts import NOTE_LENGTH_MAX, Act, Asked
from app.web.execution_pages import execution_of
from app.web.number_field import NumberField
from app.web.pages import refusal_shown, status_of
from app.web.real_money import real_money_require

_PLAIN = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M")
_MOMENTS = [*_PLAIN, *(f"{plain} UTC" for plain in _PLAIN)]
# What each act asks for, and how a person reads it.
_FIELDS: Mapping[Act, tuple[str, ...]] = MappingProxyType(
    {
        Act.CLOSED_ELSEWHERE: ("quantity", "note"),
        Act.NOT_OURS: ("note",),
        Act.TAKE_OVER: ("quantity", "stop_price", "note"),
        Act.PROTECT: ("quantity", "stop_price", "note"),
        Act.CLOSE_SURPLUS: ("quantity", "note"),
        Act.ENTER_FILL: ("order_ref", "quantity", "price", "executed_at", "note"),
        Act.DISMISS: ("note",),
    }
)
_TITLES: Mapping[Act, tuple[str, str]] = MappingProxyType(
    {
        Act.CLOSED_ELSEWHERE: (
            "The missing shares were closed elsewhere",
            "The execution claims so many less, and its exits are cut. Left empty: all that are missing.",
        ),
        Act.NOT_OURS: ("The difference belongs to others", "What this execution claims stays as it is."),
        Act.TAKE_OVER: (
            "So many shares are this execution's",
            "The rest belongs to others. What has no stop gets one; left empty, where the last one was.",
        ),
        Act.PROTECT: (
            "Place a stop for shares that have none",
            "Left empty: for all of them. Never for more than the account holds.",
        ),
        Act.CLOSE_SURPLUS: (
            "Buy or sell back what was closed too much",
            "At the market. Left empty: all of it, as far as the account shows it.",
        ),
        Act.ENTER_FILL: (
            "An order filled, and the broker tells that deal no more",
            "As the statement has it. Should the broker tell it after all, the real deal takes its place.",
        ),
        Act.DISMISS: ("Nothing is to be done", "The reasons to look are over; say why."),
    }
)
_OF_POSITION = (Act.CLOSED_ELSEWHERE, Act.NOT_OURS)


def _order_words(order: Order) -> str:
    """Return an order as people call it."""
    leg = order.leg.replace("_", " ").capitalize()
    return f"{leg} of bracket {order.bracket.tranche}, order {order.order_id or 'without a number'}"


class ActForm(forms.Form):
    """What one act asks for."""

    order_ref = forms.ChoiceField(label="Order")
    stop_price = NumberField(label="Stop", required=False)
    quantity = NumberField(label="Shares", required=False, is_amount=True)
    price = NumberField(label="Price")
    executed_at = forms.DateTimeField(label="When (UTC)", input_formats=_MOMENTS, help_text="2026-11-27 15:04:05 UTC")
    note = forms.CharField(label="Note", max_length=NOTE_LENGTH_MAX, required=False)

    def __init__(self, act: Act, execution: Execution, data: Any = None) -> None:
        super().__init__(data, auto_id=f"{act}_%s", label_suffix="")
        self.act = act
        self.title, self.hint = _TITLES[act]
        for name in set(self.fields) - set(_FIELDS[act]):
            del self.fields[name]
        if "order_ref" in self.fields:
            sent = [order for order in orders_of(execution) if order.sent_at is not None]
            choices = [(order.order_ref, _order_words(order)) for order in sent]
            self.fields["order_ref"] = forms.ChoiceField(label="Order", choices=choices)
            self.fields["quantity"].required = True
        self.order_fields(_FIELDS[act])
        if act is Act.TAKE_OVER:
            self.fields["quantity"].required = True
        if act is Act.PROTECT:
            self.fields["stop_price"].required = True
        if act is Act.DISMISS:
            self.fields["note"].required = True

    def asked(self) -> Asked:
        """Return the act with what was said; the form is valid."""
        said = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        return Asked(act=self.act, **said)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refusal_shown
def execution_settle(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the acts; preview the one that was chosen; carry out the one that was confirmed."""
    execution = execution_of(request, pk=pk)
    user = require_may_resolve(execution, user=request.user)
    if request.method != "POST":
        return _forms(request, execution, acts_offered(execution))
    chosen = request.POST.get("act", "")
    if chosen not in list(Act):
        return _forms(request, execution, acts_offered(execution), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    form = ActForm(Act(chosen), execution, request.POST)
    if not form.is_valid():
        return _forms(request, execution, [form], status=HTTPStatus.UNPROCESSABLE_ENTITY)
    facts = request.POST.get("facts", "")
    said: dict[str, Any] = {"execution_id": execution.pk, "asked": form.asked(), "user": user, "now": clock.now()}
    try:
        if facts:
            real_money_require(execution.account, named=request.POST.get("real_money", ""))
        resolution = execution_resolve(**said, facts=facts, dry_run=not facts)
    except TradingError as error:
        return _forms(request, execution, [form], error=error, status=status_of(error))
    if facts:
        return redirect("web:execution-detail", pk=pk)
    context = {"execution": execution, "form": form, "resolution": resolution}
    return render(request, "web/resolve_preview.html", context)


def acts_offered(execution: Execution) -> list[ActForm]:
    """Return a form for each act that can settle something now."""
    return [ActForm(act, execution) for act in _acts(execution)]


def acts_for(request: HttpRequest, execution: Execution) -> list[ActForm]:
    """Return the forms for the execution's own page: where a person is asked, and this one may answer."""
    try:
        require_may_resolve(execution, user=request.user)
    except Forbidden:
        return []
    return acts_offered(execution) if execution.attention or _is_in_doubt(execution) else []


def _acts(execution: Execution) -> Iterable[Act]:
    in_doubt = _is_in_doubt(execution)
    for act in _FIELDS:
        if act in _OF_POSITION and not in_doubt:
            continue
        if act is Act.CLOSE_SURPLUS and execution.open_quantity >= 0:
            continue
        if act is Act.PROTECT and execution.open_quantity <= 0:
            continue
        if act is Act.DISMISS and not execution.attention:
            continue
        yield act


def _is_in_doubt(execution: Execution) -> bool:
    doubts = Position.objects.filter(account=execution.account_id, con_id=execution.con_id)
    return doubts.filter(disputed_since__isnull=False).exists()


def _forms(
    request: HttpRequest,
    execution: Execution,
    acts: Sequence[ActForm],
    *,
    error: TradingError | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    context = {"execution": execution, "acts": acts, "error": error}
    return render(request, "web/resolve.html", context, status=status)
