"""Moments that rows carry, judged with a clock that may have been wrong when they were noted."""

from datetime import datetime

from django.db.models import Q


def lies_past(moment: datetime, *, before: datetime, now: datetime) -> bool:
    """Say whether a moment was at `before` or earlier, or is still to come after `now`: see `is_past`."""
    return moment <= before or moment > now


def is_past(name: str, *, before: datetime, now: datetime) -> Q:
    """Match rows whose moment `name` was at `before` or earlier, or is still to come after `now`.

    What has happened cannot lie ahead: it was noted by a clock that ran ahead and was set right since. Waiting for
    such a moment to pass would leave for hours what is due now.
    """
    return Q(**{f"{name}__lte": before}) | Q(**{f"{name}__gt": now})
