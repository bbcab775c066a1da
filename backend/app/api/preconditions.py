"""`ETag` and `If-Match` (RFC 9110, 8.8.3 and 13.1.1): a request that says which version it was made for.

    GET  setup            ->  ETag: "3"
    PATCH, If-Match: "3"  ->  carried out at revision 3 only; at any other 412 revision_changed

The header is a list of entity tags, or `*` for whatever there is. A weak tag (`W/"3"`) never matches, because it does
not promise the same plan; neither does a tag that we never gave. What is no list of tags is refused, not ignored.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from app.core.errors import FixRequest
from app.setups.models import Setup
from app.setups.revision import Seen

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description='The `ETag` of the setup as you read it, `"3"`: anything else than that is refused with 412.',
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the last answer: 304 without a body where nothing has changed since.",
)
_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\uffff]*)"')
# What else could be meant to stop a write; carried out regardless, it would be ignored.
_NOT_KNOWN = ("If-None-Match", "If-Unmodified-Since")


def setup_tag(setup: Setup) -> dict[str, str]:
    """Return the header with the setup's entity tag."""
    return {"ETag": f'"{setup.revision}"'}


def content_tag(content: Mapping[str, Any]) -> str:
    """Return an entity tag that changes with anything in the answer."""
    text = json.dumps(content, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def revisions_seen(request: Request) -> Seen:
    """Return the revisions of which `If-Match` names the current one, None where any will do.

    Raises FixRequest `if_match_invalid`, `precondition_unknown`.
    """
    for name in _NOT_KNOWN:
        if name in request.headers:
            raise FixRequest(f"{name} is not understood here; send If-Match.", code="precondition_unknown")
    given = request.headers.get("If-Match")
    if given is None or given.strip(" \t") == "*":
        return None
    tags = _tags(given)
    if tags is None:
        raise FixRequest(
            'If-Match is "*" or a list of entity tags in quotes as ETag has them, for example If-Match: "3".',
            code="if_match_invalid",
        )
    return {int(opaque) for is_weak, opaque in tags if not is_weak and re.fullmatch(r"[1-9][0-9]{0,9}", opaque)}


def is_known_already(request: Request, tag: str) -> bool:
    """Say whether `If-None-Match` names this tag, so that the answer needs no body. Nonsense names nothing."""
    given = request.headers.get("If-None-Match", "")
    return given.strip(" \t") == "*" or tag.strip('"') in {opaque for _is_weak, opaque in _tags(given) or []}


def _tags(text: str) -> list[tuple[bool, str]] | None:
    """Return (is weak, what stands between the quotes) for each tag; None where the text is no list of tags."""
    found: list[tuple[bool, str]] = []
    rest = text.strip(" \t")
    while rest:
        if rest.startswith(","):  # A list may have empty elements.
            rest = rest[1:].lstrip(" \t")
            continue
        tag = _TAG.match(rest)
        if tag is None:
            return None
        found.append((tag["weak"] is not None, tag["opaque"]))
        rest = rest[tag.end() :].lstrip(" \t")
        if rest and not rest.startswith(","):
            return None
    return found or None
