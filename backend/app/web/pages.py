"""Pages that belong to no thing of ours: refusals, and the icon there is none of."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from app.core.errors import Conflict, Forbidden, NotFound, RetryLater, TradingError

P = ParamSpec("P")


@require_safe
@cache_control(max_age=86400, public=True)
def no_icon(_request: HttpRequest) -> HttpResponse:
    """Answer browsers that ask for an icon: there is none, and no page about that need be made."""
    return HttpResponse(status=204)


def refusal_shown(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Answer what the services refuse with a page that says why."""

    @wraps(view)
    def shown(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except TradingError as error:
            return render(request, "web/error.html", {"refusal": error}, status=status_of(error))

    return shown


def status_of(error: TradingError | None) -> HTTPStatus:
    """Return the HTTP status of a page that shows this error."""
    if error is None:
        return HTTPStatus.OK
    statuses = {Forbidden: HTTPStatus.FORBIDDEN, NotFound: HTTPStatus.NOT_FOUND, Conflict: HTTPStatus.CONFLICT}
    named = next((status for kind, status in statuses.items() if isinstance(error, kind)), None)
    if named is not None:
        return named
    return HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, RetryLater) else HTTPStatus.UNPROCESSABLE_ENTITY
