"""JSON as it is meant: a body that says one thing to one reader and another thing to the next is refused.

An object's key may stand once: of two `stop_price`, most readers take the last and some the first. Numbers keep the
text they were written with, so that 290.10000000000000000001 is never stored as 290.10. Texts that no column can hold
(a NUL, half of a surrogate pair) are refused wherever they stand, keys included. The rest bounds the work: a body may
not be deeper than any request is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any

from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from app.api.error_body import writable

DEPTH_MAX = 16
NUMBER_LENGTH_MAX = 100
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
Found = tuple[str, str, str]  # the field, the code and what is wrong


class JsonMalformed(exceptions.ParseError):
    """The body is no JSON, or JSON that could be read in two ways."""


class StrictJSONParser(BaseParser):
    """Reads UTF-8 JSON of at most `DEPTH_MAX` levels without repeated keys."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the value. Raises JsonMalformed, and ValidationError `text_invalid`, `json_key_repeated`."""
        try:
            value = json.loads(
                stream.read().decode(),
                object_pairs_hook=_Pairs,
                parse_float=_number,
                parse_int=_whole_number,
                parse_constant=_constant,
            )
        except (ValueError, RecursionError, InvalidOperation) as error:
            told = "it is too deep" if isinstance(error, RecursionError) else str(error)
            raise JsonMalformed(f"The body is no JSON: {told}.") from error
        if found := next(_faults(value, field="", depth=1), None):
            field, code, message = found
            raise exceptions.ValidationError(
                {field or "non_field_errors": [exceptions.ErrorDetail(message, code=code)]}
            )
        return _plain(value)


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they were written."""


def _faults(value: Any, *, field: str, depth: int) -> Iterator[Found]:
    if depth > DEPTH_MAX:
        raise JsonMalformed(f"The body is no JSON that is read here: it is deeper than {DEPTH_MAX} levels.")
    if isinstance(value, str) and _NO_TEXT.search(value):
        yield field, "text_invalid", "No NUL and no half of a surrogate pair is taken."
    elif isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, inner in value:
            name = f"{field}.{writable(key)}" if field else writable(key)
            if _NO_TEXT.search(key):
                yield name, "text_invalid", "No NUL and no half of a surrogate pair is taken."
            if key in seen:
                yield name, "json_key_repeated", "This key stands here twice."
            seen.add(key)
            yield from _faults(inner, field=name, depth=depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _faults(inner, field=f"{field}.{index}" if field else str(index), depth=depth + 1)


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(inner) for key, inner in value}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _number(text: str) -> Decimal:
    _require_short(text)
    return Decimal(text)


def _whole_number(text: str) -> int:
    _require_short(text)
    return int(text)


def _require_short(text: str) -> None:
    if len(text) > NUMBER_LENGTH_MAX:
        raise ValueError(f"a number has at most {NUMBER_LENGTH_MAX} characters")


def _constant(text: str) -> None:
    raise ValueError(f"{text} is no number")
