"""Where one is logged in, and the button that ends all of it."""

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from rest_framework.authtoken.models import Token

from app.core import clock
from app.logins.sessions import logins_open, sessions_end


class EndForm(forms.Form):
    """Whether scripts are shut out too."""

    with_token = forms.BooleanField(required=False, label="Also delete my API token: my scripts stop working")


@login_required
@require_safe
def login_list(request: HttpRequest) -> HttpResponse:
    """Show the sessions of the user."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required; for the type checker
    context = {"logins": logins_open(request.user, now=clock.now()), "form": EndForm()}
    return render(request, "web/login_list.html", context)


@login_required
@require_POST
def login_end_all(request: HttpRequest) -> HttpResponse:
    """End every session of the user, this one too; with the tick, delete the token."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required; for the type checker
    form = EndForm(request.POST)
    if form.is_valid() and form.cleaned_data["with_token"]:
        Token.objects.filter(user=request.user).delete()
    user = request.user
    request.session.flush()
    sessions_end(user=user, now=clock.now())
    return redirect("web:login")
