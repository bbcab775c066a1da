"""Static files, handed out whole: a middleware that stands before WhiteNoise's.

WhiteNoise answers with an open file. Under ASGI Django reads it whole anyway, says so in a warning for each file, and
leaves it open where the browser goes away meanwhile. Ours are small: the file is read and closed here.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import cast

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def whole_files(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        return _whole(response) if isinstance(response, FileResponse) else response

    return middleware


def _whole(response: FileResponse) -> HttpResponse:
    with closing(response):
        content = b"".join(cast("Iterable[bytes]", response.streaming_content))
    return HttpResponse(content, status=response.status_code, headers=dict(response.items()))
