"""Moments that rows carry, judged with a clock that may have been wrong when they were noted."""

from datetime import datetime

from django.db.models import Q


def is_past(name: str, *, before: datetime, now: datetime) -> Q:
    """Match rows whose moment `name` was at `before` or earlier, or is still to come after `now`.

    What has happened cannot lie ahead: it was noted by a clock that ran ahead and was set right since. Waiting for
    such a moment to pass would leave for hours what is due now.
    """
    return Q(**{f"{name}__lte": before}) | Q(**{f"{name}__gt": now})
