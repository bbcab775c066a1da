"""The kill switch's page: what is stopped, the red button with its confirmation, and the history."""

from http import HTTPStatus
from typing import Any, cast

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from app.accounts.access import require_may_see_accounts
from app.accounts.kill_switch import kill_switches_engaged, require_may_engage, require_may_release
from app.accounts.models import Account, KillSwitch
from app.core import clock
from app.core.errors import TradingError
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from app.web.pages import refusal_shown, status_of

HISTORY_SHOWN_MAX = 50
RELEASERS_SHOWN_MAX = 5
REASON_LENGTH_MAX = 1000


class EngageForm(forms.Form):
    """Which accounts, why, and whether positions are closed. The box is the confirmation."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False, empty_label="All accounts")
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, label="Why")
    confirmed = forms.BooleanField(label="Yes, stop trading")
    flatten = forms.BooleanField(required=False, label="Also close every position of ours at the market")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def what(self) -> list[forms.BoundField]:
        """Return the fields that say what is stopped; the ticks stand apart from them and from each other."""
        return [self["account"], self["reason"]]


class ReleaseForm(forms.Form):
    """Which switch, and why."""

    account = forms.ModelChoiceField(Account.objects.all(), required=False)
    reason = forms.CharField(max_length=REASON_LENGTH_MAX, label="Why")


@login_required
@require_safe
@refusal_shown
def kill_switch_page(request: HttpRequest) -> HttpResponse:
    """Show what is stopped, and the forms for who may use them."""
    require_may_see_accounts(request.user)
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


def kill_switch_context(request: HttpRequest) -> dict[str, Any]:
    """Return what is stopped, what was, and what the user may do about it: for the page and for what it follows."""
    engaged = list(kill_switches_engaged())
    return {
        "engaged": engaged,
        "history": KillSwitch.objects.select_related("account", "engaged_by", "released_by")[:HISTORY_SHOWN_MAX],
        "may_engage": request.user.has_perm("accounts.engage_kill_switch"),
        "may_release": request.user.has_perm("accounts.release_kill_switch"),
        "may_stop_more": _accounts_left(engaged) is not None,
        "releasers": _releasers() if engaged else [],
    }


def _page(request: HttpRequest, *, form: EngageForm, status: int = HTTPStatus.OK, **more: Any) -> HttpResponse:
    context = kill_switch_context(request)
    # Where all are stopped the form waits unseen, with every account: a release shows it again on the open page.
    if (left := _accounts_left(context["engaged"])) is not None:
        cast("forms.ModelChoiceField[Account]", form.fields["account"]).queryset = left
    return render(request, "web/kill_switch.html", context | {"form": form} | more, status=status)


def _accounts_left(engaged: list[KillSwitch]) -> QuerySet[Account] | None:
    """Return the accounts that can still be stopped, or None where all are: nothing is left to stop."""
    if any(switch.account_id is None for switch in engaged):
        return None
    left = Account.objects.exclude(pk__in=[switch.account_id for switch in engaged])
    return None if engaged and not left.exists() else left


def _releasers() -> list[str]:
    """Return the names of some who may release, so that whoever stopped trading knows whom to ask."""
    may = User.objects.with_perm("accounts.release_kill_switch", backend="django.contrib.auth.backends.ModelBackend")
    return list(may.order_by("username").values_list("username", flat=True)[:RELEASERS_SHOWN_MAX])
