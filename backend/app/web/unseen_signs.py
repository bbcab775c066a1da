"""Signs that nobody sees but that turn a page around: shown as what they are, a middleware for pages and admin alike.

A text of the broker, a note, a name may hold U+202E, which shows everything after it from right to left: the code
`refused_order` beside it reads "redro_desufer". On a page such a sign stands as `⟨U+202E⟩`. The rows and the API keep
what was written, and so do form fields, so that saving a form changes nothing that nobody typed.

Letters that run from right to left by themselves are no fault; the templates put them into `<bdi>`, which keeps them to
themselves. Joiners (U+200C, U+200D) stay: Persian and emoji are written with them.
"""

import re

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from app.web.static_files import GetResponse

# Controls but for tab and line ends; soft hyphen and blanks of no width; marks, embeddings, overrides and isolates of
# direction; ends of lines and paragraphs; notes between lines; tags.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f]"
)
# What holds values and programs instead of words.
_KEPT = re.compile(r"(<(?:input|option)\b[^>]*>|<textarea\b.*?</textarea>|<(script|style)\b.*?</\2>)", re.DOTALL)


def signs_shown(text: str) -> str:
    """Return a text with each unseen sign written out."""
    return _UNSEEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def page_with_signs_shown(html: str) -> str:
    """Return a page, or a part of one, with each unseen sign in its words written out."""
    if not _UNSEEN.search(html):
        return html
    shown, place = [], 0
    for kept in _KEPT.finditer(html):
        shown += [signs_shown(html[place : kept.start()]), kept[0]]
        place = kept.end()
    return "".join([*shown, signs_shown(html[place:])])


@sync_and_async_middleware
def unseen_signs_shown(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return _shown(await get_response(request))

        return answer_async  # type: ignore[return-value]  # Django accepts either kind.

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _shown(get_response(request))

    return answer


def _shown(response: HttpResponseBase) -> HttpResponseBase:
    if isinstance(response, HttpResponse) and response.headers.get("Content-Type", "").startswith("text/html"):
        html = response.content.decode(response.charset)
        if (shown := page_with_signs_shown(html)) != html:
            response.content = shown.encode(response.charset)
    return response
