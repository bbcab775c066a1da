"""Every page that a visitor can come to by following links, with what it answered."""

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin, urlsplit

from django.test import Client

PAGES_MAX = 400
_LINK = re.compile(r'<a\b[^>]*\bhref="([^"#]+)"')
# What is no page of ours to read: Swagger, files, and the lists' own links that only sort or narrow them.
_LEFT_OUT = re.compile(r"^/(api|static)/|^/admin/jsi18n/|/logout/$|/export")


def crawl(visitor: Client, *starts: str) -> Iterator[tuple[str, str]]:
    """Yield (path, HTML) of every page that the starts lead to. A link that leads nowhere fails."""
    waiting, seen = list(starts), set(starts)
    while waiting:
        path = waiting.pop(0)
        answer = visitor.get(path)
        if answer.status_code == 302:
            links = [answer["Location"]]
        else:
            assert answer.status_code == 200, (path, answer.status_code)
            html = answer.content.decode()
            yield path, html
            links = [unescape(link) for link in _LINK.findall(html)]
        for link in links:
            place = urlsplit(urljoin(path, link))
            target = place.path + (f"?{place.query}" if place.query in ("archived=1",) else "")
            if place.scheme or _LEFT_OUT.search(place.path) or target in seen:
                continue
            seen.add(target)
            assert len(seen) < PAGES_MAX, f"more pages than expected, for example {target}"
            waiting.append(target)
