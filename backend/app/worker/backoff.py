"""How long to wait before the next attempt to connect: longer after each failure, and never for two in step."""

import random

BACKOFF_SECONDS_MIN = 1.0
BACKOFF_SECONDS_MAX = 30.0


def backoff_seconds(failures: int) -> float:
    """Return the pause after so many failures in a row: jittered, and capped."""
    ceiling: float = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2 ** min(failures, 10))
    return random.uniform(BACKOFF_SECONDS_MIN, max(BACKOFF_SECONDS_MIN, ceiling))  # noqa: S311 - jitter, no secret
