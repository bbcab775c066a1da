"""The kill switch's page: what is stopped, the red button with its confirmation, and the history."""

from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from app.accounts.kill_switch import kill_switches_engaged, require_may_engage, require_may_release
from app.accounts.models import Account, KillSwitch
from app.core import clock
from app.core.errors import TradingError
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from app.web.pages import refusal_shown, status_of

HISTORY_SHOWN_MAX = 50
REASON_LENGTH_MAX = 1000


class EngageForm(forms.Form):
    """Which accounts, why, and whether positions are closed. The box is the confirmation."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All accounts")
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, label="Why")
    flatten = forms.BooleanField(required=False, label="Also close every position of ours at the market")
    confirmed = forms.BooleanField(label="Yes, stop trading")


class ReleaseForm(forms.Form):
    """Which switch, and why."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False)
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, label="Why")


@login_required
@require_GET
def kill_switch_page(request: HttpRequest) -> HttpResponse:
    """Show what is stopped, and the forms for who may use them."""
    return _page(request, form=EngageForm())


@login_required
@require_POST
@refusal_shown
def kill_switch_stop(request: HttpRequest) -> HttpResponse:
    """Engage the switch."""
    user, form = require_may_engage(request.user), EngageForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    given = form.cleaned_data
    kill_switch_engage(
        account=given["account"], user=user, reason=given["reason"], flatten=given["flatten"], now=clock.now()
    )
    return redirect("web:kill-switch")


@login_required
@require_POST
@refusal_shown
def kill_switch_go_on(request: HttpRequest) -> HttpResponse:
    """Release the switch."""
    user, form = require_may_release(request.user), ReleaseForm(request.POST)
    if not form.is_valid():
        return _page(request, form=EngageForm(), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        kill_switch_release(
            account=form.cleaned_data["account"], user=user, reason=form.cleaned_data["reason"], now=clock.now()
        )
    except TradingError as error:
        return _page(request, form=EngageForm(), status=status_of(error), error=error)
    return redirect("web:kill-switch")


def _page(request: HttpRequest, *, form: EngageForm, status: int = HTTPStatus.OK, **more: Any) -> HttpResponse:
    context = {
        "form": form,
        "engaged": list(kill_switches_engaged()),
        "history": KillSwitch.objects.select_related("account", "engaged_by", "released_by")[:HISTORY_SHOWN_MAX],
        "may_engage": request.user.has_perm("accounts.engage_kill_switch"),
        "may_release": request.user.has_perm("accounts.release_kill_switch"),
    }
    return render(request, "web/kill_switch.html", context | more, status=status)
