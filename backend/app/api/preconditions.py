"""`ETag` and `If-Match` (RFC 9110, 8.8.3 and 13.1.1): a request that says which version it was made for.

    GET  setup                  ->  ETag: "3-1f0c5a..."
    PATCH, If-Match: that       ->  carried out at revision 3 only; at any other 412 revision_changed
    GET, If-None-Match: that    ->  304 while nothing in the answer is another

The number is the plan's revision, which alone is compared before a change; what follows is a digest of the answer,
which also changes where the plan does not (by its execution). The header is a list of entity tags, or `*` for whatever
there is. A weak tag (`W/"3"`) never matches, because it does not promise the same plan; neither does a tag that we
never gave. What is no list of tags is refused, not ignored, and so is each other header that would stop a write.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from app.core.errors import FixRequest
from app.setups.revision import Seen

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description='The `ETag` of the setup as you read it, or its revision, `"3"`: at any other it is refused with 412.',
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the last answer: 304 without a body where nothing has changed since.",
)
_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\uffff]*)"')
_REVISION = re.compile(r"([1-9][0-9]{0,9})(-[0-9a-f]{16})?")
# What is meant to stop a write; carried out regardless, it would be ignored.
_STOP_WRITES = ("If-Match", "If-None-Match", "If-Unmodified-Since")


class Preconditions(Enum):
    """What a view does with headers that are meant to stop a write."""

    REFUSED = "nothing here is written on a condition"
    READ = "the view reads them itself, at the right moment"
    IGNORED = "what is asked for stops trading, and nothing may keep it from being done"


def require_no_preconditions(request: Request) -> None:
    """Raise FixRequest `precondition_unknown` where a header is meant to stop this write."""
    _require_none_of(_STOP_WRITES, request, instead="leave it out")


def setup_tag(setup: Mapping[str, Any]) -> str:
    """Return the entity tag of an answer about a setup: its revision, and what changes with anything in it."""
    return f'"{setup["revision"]}-{_digest(setup)[:16]}"'


def content_tag(content: Mapping[str, Any]) -> str:
    """Return an entity tag that changes with anything in the answer."""
    return f'"{_digest(content)[:32]}"'


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _require_none_of(names: Sequence[str], request: Request, *, instead: str) -> None:
    for name in names:
        if name in request.headers:
            raise FixRequest(f"{name} is not understood here; {instead}.", code="precondition_unknown")


def revisions_seen(request: Request) -> Seen:
    """Return the revisions of which `If-Match` names the current one, None where any will do.

    Raises FixRequest `if_match_invalid`, `precondition_unknown`.
    """
    _require_none_of([name for name in _STOP_WRITES if name != "If-Match"], request, instead="send If-Match")
    given = request.headers.get("If-Match")
    if given is None or given.strip(" \t") == "*":
        return None
    tags = _tags(given)
    if tags is None:
        raise FixRequest(
            'If-Match is "*" or a list of entity tags in quotes as ETag has them, for example If-Match: "3".',
            code="if_match_invalid",
        )
    named = [_REVISION.fullmatch(opaque) for is_weak, opaque in tags if not is_weak]
    return {int(revision[1]) for revision in named if revision is not None}


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
