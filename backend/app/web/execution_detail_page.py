"""The page of one execution: what it shows, and the forms that steer and settle it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from app.web.close_pages import closable_of
from app.web.execution_pages import execution_context, execution_of
from app.web.move_pages import movable_of
from app.web.resolve_pages import acts_for


@login_required
@require_safe
def execution_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one execution; the page keeps itself current, but for the forms, which say what they were drawn for."""
    execution = execution_of(request, pk=pk)
    steered = {
        "closable": closable_of(request, execution),
        "movable": movable_of(request, execution),
        "acts": acts_for(request, execution),
    }
    return render(request, "web/execution_detail.html", execution_context(request, execution) | steered)
