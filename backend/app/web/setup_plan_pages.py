"""Pages on which a plan is made, changed and copied."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from app.core.errors import Conflict, FixRequest
from app.executions.services.plan import plan_change, plan_create
from app.setups.models import Setup
from app.setups.selectors import require_may_act_on, require_may_plan, setups_visible_to
from app.setups.services import require_open
from app.web.pages import refusal_shown
from app.web.paging import is_id
from app.web.setup_form import TARGETS_SHOWN, SetupForm, typed_of
from app.web.setup_seen import differences, revision_posted, seen_token


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refusal_shown
def setup_create(request: HttpRequest) -> HttpResponse:
    """Plan a new setup; `?copy=17` begins with what setup 17 says."""
    owner = require_may_plan(request.user)
    model = _copied(request)
    form = _form(request, model=model)
    if request.method == "POST" and form.is_valid():
        try:
            setup = plan_create(owner=owner, values=form.values())
        except Conflict:
            raise
        except FixRequest as error:
            form.refuse(error)
        else:
            return redirect("web:setup-detail", pk=setup.pk)
    return _form_page(request, form, copied=model)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@refusal_shown
def setup_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a plan that was not executed yet. Whoever saves has seen what is there, or is shown it first."""
    setup = _visible(request, pk)
    require_may_act_on(setup, user=request.user)
    require_open(setup)
    form = _form(request, model=setup)
    more: dict[str, Any] = {"setup": setup}
    if request.method == "POST" and form.is_valid():
        try:
            plan_change(setup=setup, values=form.values(), seen=revision_posted(request))
        except Conflict as error:
            setup = _visible(request, pk)
            require_open(setup)
            changed = differences(setup, request.POST.get("seen", ""))
            more = {"setup": setup, "error": error, "changed": changed, "status": HTTPStatus.PRECONDITION_FAILED}
        except FixRequest as error:
            form.refuse(error)
        else:
            return redirect("web:setup-detail", pk=setup.pk)
    return _form_page(request, form, seen=seen_token(setup), **more)


def _visible(request: HttpRequest, pk: int) -> Setup:
    return get_object_or_404(setups_visible_to(request.user), pk=pk)


def _copied(request: HttpRequest) -> Setup | None:
    given = request.GET.get("copy", "")
    if not is_id(given):
        return None
    return setups_visible_to(request.user).filter(pk=int(given)).first()


def _form(request: HttpRequest, *, model: Setup | None) -> SetupForm:
    targets = max(TARGETS_SHOWN, model.take_profits.count() if model else 0)
    initial = typed_of(model) if model else None
    return SetupForm(request.POST if request.method == "POST" else None, initial=initial, targets=targets)


def _form_page(request: HttpRequest, form: SetupForm, *, status: HTTPStatus | None = None, **more: Any) -> HttpResponse:
    form.mark()
    usual = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "web/setup_form.html", {"form": form, **more}, status=status or usual)
