"""A stored event of the broker in one short line, for people: the pages and the admin write it alike."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.core.decimal_text import plain

_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SAID_BESIDE = ("dedupe_key", "account", "received_at", "order_ref")


def event_line(payload: Mapping[str, Any]) -> str:
    """Return what an event reports: a fill, a commission, a message, a status, or why an order is not there."""
    if "exec_id" in payload and "price" in payload:
        return f"{payload['action']} {_plain(payload['quantity'])} at {_plain(payload['price'], places_min=2)}"
    if "exec_id" in payload:
        realised = payload.get("realized_pnl")
        result = "" if realised is None else f", realised {_money(realised)} {payload['currency']}"
        return f"{_plain(payload['amount'], places_min=2)} {payload['currency']}{result}"
    if "text" in payload:
        return f"{payload['code']}: {payload['text']}"
    if payload.get("evidence"):
        return str(payload["evidence"])
    held = f", held by {payload['why_held']}" if payload.get("why_held") else ""
    filled = payload.get("filled", "0")
    part = f", {_plain(filled)} filled" if _plain(filled) != "0" else ""
    return f"{payload.get('raw_status', '')}{part}{held}"


def event_facts(payload: Mapping[str, Any]) -> str:
    """Return everything that was stored of an event, but for what stands beside it in a table."""
    return ", ".join(
        f"{name}={fact_text(value)}"
        for name, value in payload.items()
        if name not in _SAID_BESIDE and value is not None and value != ""
    )


def fact_text(value: Any) -> str:
    """Return a stored fact. A decimal is stored as text with the zeros of its column; those are left out."""
    return plain(Decimal(value)) if isinstance(value, str) and _DECIMAL.fullmatch(value) else str(value)


def _money(value: Any) -> str:
    """Return a stored amount with two places; whatever else it is, as it is."""
    text = str(value)
    return f"{Decimal(text):,.2f}" if _NUMBER.fullmatch(text) else text


def _plain(value: Any, *, places_min: int = 0) -> str:
    """Return a stored decimal plainly; whatever else it is, as it is."""
    text = str(value)
    return plain(Decimal(text), places_min=places_min) if _NUMBER.fullmatch(text) else text
