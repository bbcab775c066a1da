"""The one shape of every error, and what may stand in it. It needs no framework, for it is answered before one too."""

from collections.abc import Mapping
from typing import Any

ECHO_LENGTH_MAX = 300


def body(*, code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the one shape of every error."""
    return {"code": code, "message": message, "details": dict(details or {})}


def writable(text: str) -> str:
    """Return what is shown of a text from outside: short, and without halves of surrogates, which no UTF-8 can hold."""
    shown = text if len(text) <= ECHO_LENGTH_MAX else f"{text[:ECHO_LENGTH_MAX]}…"
    return shown.encode("utf-8", "backslashreplace").decode()
