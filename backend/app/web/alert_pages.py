"""The alerts' page: what lasts, what was, and the button that says "seen"."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from app.alerts.models import Alert
from app.alerts.selectors import alerts_open, alerts_visible_to, require_may_acknowledge
from app.core import clock
from app.core.errors import Forbidden
from app.executions.services import attention
from app.web.pages import refusal_shown

OPEN_SHOWN_MAX = 200
PAST_SHOWN_MAX = 50


@login_required
@require_safe
def alert_list(request: HttpRequest) -> HttpResponse:
    """Show the alerts the user may read: those that last, then the latest of those that are over."""
    return render(request, "web/alert_list.html", alert_list_context(request))


def alert_list_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the page shows: the open alerts, each with whether the user may acknowledge it, and the past ones."""
    past = alerts_visible_to(request.user).filter(resolved_at__isnull=False)
    return {
        "open": [
            (alert, alert.acknowledged_at is None and _may_acknowledge(request, alert))
            for alert in alerts_open(request.user).prefetch_related("deliveries")[:OPEN_SHOWN_MAX]
        ],
        "past": past.prefetch_related("deliveries")[:PAST_SHOWN_MAX],
    }


@login_required
@require_POST
@refusal_shown
def alert_seen(request: HttpRequest, pk: int) -> HttpResponse:
    """Acknowledge an alert."""
    alert = get_object_or_404(alerts_visible_to(request.user), pk=pk)
    user = require_may_acknowledge(alert, user=request.user)
    attention.alert_seen(alert_id=alert.pk, user=user, now=clock.now())
    return redirect("web:alert-list")


def _may_acknowledge(request: HttpRequest, alert: Alert) -> bool:
    try:
        require_may_acknowledge(alert, user=request.user)
    except Forbidden:
        return False
    return True
