"""What every page is told: paper or live, and whether the broker worker is there."""

from typing import Any

from django.http import HttpRequest


def trading_mode(request: HttpRequest) -> dict[str, Any]:
    """Return what the banner shows."""
    return {}
