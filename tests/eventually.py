"""Wait for something to become true, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, seconds_max: float = 20.0, every_seconds: float = 0.05) -> T:
    """Return the first true value of `look`; fail with the last one, or with its last AssertionError, at the limit."""
    give_up_at = time.monotonic() + seconds_max
    while True:
        failure: AssertionError | None = None
        value: T | None = None
        try:
            value = look()
        except AssertionError as error:
            failure = error
        if value and failure is None:
            return value
        if time.monotonic() >= give_up_at:
            raise failure or AssertionError(f"not true within {seconds_max:g} s; last seen: {value!r}")
        time.sleep(every_seconds)
