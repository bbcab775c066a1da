"""The only caller of "now".

Everything else takes a time as an argument, or asks here, so that a test or a replay can say what time it is.
"""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
