"""Pages about setups: the list, a new one, one with its Execute button."""

import uuid
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from app.core import clock
from app.core.errors import FixRequest, Forbidden, TradingError
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to
from app.executions.services.plan import plan_create
from app.executions.services.request import execution_request
from app.setups.models import Setup
from app.setups.selectors import require_may_act_on, require_may_plan, setups_visible_to
from app.setups.services import setup_archive
from app.web.pages import refusal_shown, status_of
from app.web.paging import page_of, symbol_asked_for
from app.web.setup_form import SetupForm

EXECUTIONS_SHOWN_MAX = 20


@login_required
@require_safe
def setup_list(request: HttpRequest) -> HttpResponse:
    """Show the setups the user may see, newest first."""
    context = setups_asked_for(request, request.GET) | {"may_plan": _may(require_may_plan, request.user)}
    return render(request, "web/setup_list.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refusal_shown
def setup_create(request: HttpRequest) -> HttpResponse:
    """Plan a new setup."""
    owner = require_may_plan(request.user)
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            setup = plan_create(owner=owner, values=form.values())
        except FixRequest as error:
            form.refuse(error)
        else:
            return redirect("web:setup-detail", pk=setup.pk)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "web/setup_form.html", {"form": form}, status=status)


@login_required
@require_safe
def setup_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one setup, what was done about it, and the button that executes it."""
    return _setup_page(request, get_object_or_404(setups_visible_to(request.user), pk=pk))


@login_required
@require_POST
def setup_execute(request: HttpRequest, pk: int) -> HttpResponse:
    """Execute the setup. The page carries the key of this request: a double click sends the same one twice."""
    setup = get_object_or_404(setups_visible_to(request.user), pk=pk)
    try:
        execution, _is_new = execution_request(
            setup=setup,
            user=require_may_act_on(setup, user=request.user),
            idempotency_key=request.POST.get("idempotency_key", ""),
            body={},
            now=clock.now(),
        )
    except TradingError as error:
        return _setup_page(request, setup, error=error)
    return redirect("web:execution-detail", pk=execution.pk)


@login_required
@require_POST
@refusal_shown
def setup_put_away(request: HttpRequest, pk: int) -> HttpResponse:
    """Archive the setup."""
    setup = get_object_or_404(setups_visible_to(request.user), pk=pk)
    require_may_act_on(setup, user=request.user)
    setup_archive(setup_id=setup.pk, now=clock.now())
    return redirect("web:setup-list")


def setups_asked_for(request: HttpRequest, asked: QueryDict) -> dict[str, Any]:
    """Return what the list shows: one page of the setups that the user may see and asks for."""
    symbol, archived = symbol_asked_for(asked), asked.get("archived") == "1"
    setups = setups_visible_to(request.user).filter(archived_at__isnull=not archived)
    if symbol:
        setups = setups.filter(symbol=symbol)
    return {"page": page_of(setups, asked=asked), "symbol": symbol, "archived": archived}


def executions_of_setup(request: HttpRequest, setup: Setup) -> QuerySet[Execution]:
    """Return the latest executions of a setup, as its page shows them."""
    executions = executions_visible_to(request.user).filter(setup=setup)
    return executions.select_related("account").prefetch_related("brackets__orders")[:EXECUTIONS_SHOWN_MAX]


def _setup_page(request: HttpRequest, setup: Setup, *, error: TradingError | None = None) -> HttpResponse:
    context = {
        "setup": setup,
        "executions": executions_of_setup(request, setup),
        "may_act": _may(require_may_act_on, setup, user=request.user),
        "idempotency_key": uuid.uuid4(),
        "error": error,
    }
    return render(request, "web/setup_detail.html", context, status=status_of(error))


def _may(rule: Any, *args: Any, **kwargs: Any) -> bool:
    try:
        rule(*args, **kwargs)
    except Forbidden:
        return False
    return True
