"""Waiting for what a benchmark needs before it can go on; a benchmark that waits for ever says nothing."""

import time
from collections.abc import Callable

WAIT_SECONDS_MAX = 300.0


def wait_for(look: Callable[[], object], otherwise: str, *, pause_seconds: float = 0.2) -> None:
    """Return once `look` returns something true. Raises AssertionError, saying `otherwise`, after five minutes."""
    give_up_at = time.monotonic() + WAIT_SECONDS_MAX
    while not look():
        assert time.monotonic() < give_up_at, otherwise
        time.sleep(pause_seconds)
