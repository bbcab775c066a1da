"""Pages about setups: the list, and one with what can be done with it."""

import uuid
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from app.core import clock
from app.core.errors import Conflict, Forbidden, TradingError
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to, idempotency_key_known
from app.executions.services.request import execution_request, why_not_now
from app.setups.models import Setup
from app.setups.revision import require_seen
from app.setups.selectors import require_may_act_on, require_may_plan, setups_visible_to
from app.setups.services import setup_archive, setup_restore
from app.web.list_filters import SetupListForm, setups_narrowed
from app.web.pages import refusal_shown, status_of
from app.web.paging import is_id, page_of
from app.web.real_money import real_money_require
from app.web.setup_seen import differences, plan_shown, revision_posted, seen_token

EXECUTIONS_SHOWN_MAX = 20


@login_required
@require_safe
def setup_list(request: HttpRequest) -> HttpResponse:
    """Show the setups the user may see, newest first unless another order is asked for."""
    more = {"may_plan": _may(require_may_plan, request.user), "put_away": _put_away(request)}
    return render(request, "web/setup_list.html", setups_asked_for(request, request.GET) | more)


@login_required
@require_safe
def setup_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one setup, what was done about it, and the button that executes it."""
    return _setup_page(request, _visible(request, pk))


@login_required
@require_POST
def setup_execute(request: HttpRequest, pk: int) -> HttpResponse:
    """Execute the plan that the page showed.

    The page carries the key of this request (a double click sends the same one twice), the revision that it showed, and
    for a live account the tick that names it. A known key is answered before any of them is looked at.
    """
    setup = _visible(request, pk)
    key = request.POST.get("idempotency_key", "")
    try:
        user = require_may_act_on(setup, user=request.user)
        seen = None
        if not idempotency_key_known(user=user, idempotency_key=key):
            seen = revision_posted(request)
            require_seen(setup, seen=seen)
            real_money_require(setup.account, named=request.POST.get("real_money", ""))
        execution, _is_new = execution_request(
            setup=setup, user=user, idempotency_key=key, body={}, now=clock.now(), seen=seen
        )
    except TradingError as error:
        return _setup_page(request, _visible(request, pk), error=error)
    return redirect("web:execution-detail", pk=execution.pk)


@login_required
@require_POST
def setup_put_away(request: HttpRequest, pk: int) -> HttpResponse:
    """Archive the setup; the list then says so, with a way back."""
    setup = _visible(request, pk)
    try:
        require_may_act_on(setup, user=request.user)
        setup_archive(setup_id=setup.pk, now=clock.now(), seen=revision_posted(request))
    except TradingError as error:
        return _setup_page(request, _visible(request, pk), error=error)
    return redirect(f"{reverse('web:setup-list')}?put_away={setup.pk}")


@login_required
@require_POST
@refusal_shown
def setup_bring_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the setup out of the archive, as it was."""
    setup = _visible(request, pk)
    require_may_act_on(setup, user=request.user)
    setup_restore(setup_id=setup.pk)
    return redirect("web:setup-detail", pk=setup.pk)


def setups_asked_for(request: HttpRequest, asked: QueryDict) -> dict[str, Any]:
    """Return what the list shows: one page of the setups that the user may see and asks for."""
    form = SetupListForm(asked)
    page = page_of(setups_narrowed(setups_visible_to(request.user), form), asked=asked, sort=form.sort_asked)
    return {"page": page, "form": form, "archived": form.asked("state") == "ARCHIVED"}


def executions_of_setup(request: HttpRequest, setup: Setup) -> QuerySet[Execution]:
    """Return the latest executions of a setup, as its page shows them."""
    executions = executions_visible_to(request.user).filter(setup=setup)
    return executions.select_related("account").prefetch_related("brackets__orders")[:EXECUTIONS_SHOWN_MAX]


def setup_doable(request: HttpRequest, setup: Setup, *, shown: int | None = None) -> dict[str, Any]:
    """Return what may be done with a setup, and why Execute is off; `shown` is the revision that an open page shows."""
    may_act, why_not = _may(require_may_act_on, setup, user=request.user), None
    if may_act:
        why_not = why_not_now(setup=setup, user=require_may_plan(request.user), now=clock.now())
        if shown not in (None, setup.revision):
            why_not = Conflict(f"The plan was changed (revision {setup.revision}).", code="revision_changed")
    return {"may_act": may_act, "why_not": why_not, "is_archived": setup.archived_at is not None}


def _visible(request: HttpRequest, pk: int) -> Setup:
    return get_object_or_404(setups_visible_to(request.user), pk=pk)


def _put_away(request: HttpRequest) -> Setup | None:
    """Return the setup that was just archived, while it still is."""
    given = request.GET.get("put_away", "")
    if not is_id(given):
        return None
    return setups_visible_to(request.user).filter(pk=int(given), archived_at__isnull=False).first()


def _setup_page(request: HttpRequest, setup: Setup, *, error: TradingError | None = None) -> HttpResponse:
    has_moved = error is not None and error.code == "revision_changed"
    context = {
        "setup": setup,
        "plan": plan_shown(setup),
        "executions": executions_of_setup(request, setup),
        "may_plan": _may(require_may_plan, request.user),
        "idempotency_key": uuid.uuid4(),
        "seen": seen_token(setup),
        "error": error,
        "has_moved": has_moved,
        "changed": differences(setup, request.POST.get("seen", "")) if has_moved else [],
    }
    status = HTTPStatus.PRECONDITION_FAILED if has_moved else status_of(error)
    return render(request, "web/setup_detail.html", context | setup_doable(request, setup), status=status)


def _may(rule: Any, *args: Any, **kwargs: Any) -> bool:
    try:
        rule(*args, **kwargs)
    except Forbidden:
        return False
    return True
