"""Pages about executions: the list, and one that follows the execution while it runs."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from app.core import clock
from app.core.errors import FixRequest, Forbidden, TradingError
from app.domain.command import CommandReason
from app.executions.models import Execution
from app.executions.selectors import (
    deals_of,
    entries_to_cancel,
    events_of,
    executions_visible_to,
    flags_of,
    require_may_look,
    require_may_resolve,
    with_fills,
    with_orders,
)
from app.executions.services.attention import execution_seen
from app.executions.services.cancel import execution_cancel_request
from app.setups.selectors import require_may_act_on
from app.web.context import trading_now
from app.web.execution_words import waiting_words
from app.web.list_filters import ExecutionListForm, executions_narrowed
from app.web.pages import refusal_shown, status_of
from app.web.paging import page_of

EVENTS_SHOWN_MAX = 50
FLAG_DIGITS_MAX = 19  # Of an id that fits into the database's 64 bits.


@login_required
@require_safe
def execution_list(request: HttpRequest) -> HttpResponse:
    """Show the executions the user may see, newest first."""
    return render(request, "web/execution_list.html", executions_asked_for(request, request.GET))


@login_required
@require_POST
def execution_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the unfilled part of the entry cancelled."""
    execution = execution_of(request, pk=pk)
    try:
        user = require_may_act_on(execution.setup, user=request.user)
        execution_cancel_request(execution_id=execution.pk, reason=CommandReason.REQUESTED, user=user, now=clock.now())
    except TradingError as error:
        context = execution_context(request, execution_of(request, pk=pk)) | {"error": error}
        return render(request, "web/execution_detail.html", context, status=status_of(error))
    return redirect("web:execution-detail", pk=pk)


@login_required
@require_POST
@refusal_shown
def execution_look(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that the user has seen what the page showed; what was raised since stays."""
    execution = execution_of(request, pk=pk)
    user = require_may_look(execution, user=request.user)
    shown = request.POST.get("through", "")
    if not (shown.isascii() and shown.isdigit() and len(shown) < FLAG_DIGITS_MAX):
        raise FixRequest("The page did not say which reasons were seen: open it again.", code="flag_unknown")
    execution_seen(execution_id=execution.pk, through=int(shown), user=user, now=clock.now())
    return redirect("web:execution-detail", pk=pk)


def execution_of(request: HttpRequest, *, pk: int) -> Execution:
    """Return the execution with everything a page shows. Raises Http404 where the user may not see it."""
    return get_object_or_404(with_fills(executions_visible_to(request.user)), pk=pk)


def executions_asked_for(request: HttpRequest, asked: QueryDict) -> dict[str, Any]:
    """Return what the list shows: one page of the executions that the user may see and asks for."""
    form = ExecutionListForm(asked)
    executions = executions_narrowed(with_orders(executions_visible_to(request.user)), form)
    return {"page": page_of(executions, asked=asked, sort=form.sort_asked), "form": form}


def execution_context(request: HttpRequest, execution: Execution) -> dict[str, Any]:
    """Return what the templates show of an execution."""
    entry_is_open = not execution.is_finished and bool(entries_to_cancel(execution))
    asked = execution.cancel_requested_at is not None
    may_act = _may_act(request, execution)
    flags = flags_of(execution)
    return {
        "execution": execution,
        "flags": flags,
        "seen_flags": [flag for flag in flags if flag.seen_at],
        "newest_flag": flags[-1].pk if flags else 0,
        "may_look": _may_look(request, execution),
        "deals": deals_of(execution),
        "events": events_of(execution, newest_max=EVENTS_SHOWN_MAX),
        "may_cancel": entry_is_open and not asked and may_act,
        "may_act": may_act,
        "may_resolve": _may_resolve(request, execution),
        "entry_is_open": entry_is_open,
        "waits": waiting_words(execution, is_ready=trading_now().ready) if entry_is_open else "",
    }


def _may_look(request: HttpRequest, execution: Execution) -> bool:
    try:
        require_may_look(execution, user=request.user)
    except Forbidden:
        return False
    return True


def _may_resolve(request: HttpRequest, execution: Execution) -> bool:
    try:
        require_may_resolve(execution, user=request.user)
    except Forbidden:
        return False
    return True


def _may_act(request: HttpRequest, execution: Execution) -> bool:
    try:
        require_may_act_on(execution.setup, user=request.user)
    except Forbidden:
        return False
    return True
