"""The exception tree, split by what the caller does about it.

    TradingError
    ├── FixRequest        the same request will fail again: change it
    │   ├── NotFound
    │   ├── Forbidden
    │   └── Conflict      the request is fine, the state of the thing is not
    ├── RetryLater        nothing is wrong with the request: wait and send it again
    └── AskPerson         neither helps: a person must look

Every error carries a stable `code` (for programs), a message (for people) and `details` (JSON-able facts).
"""

from collections.abc import Mapping
from typing import Any


class TradingError(Exception):
    """Base of every error this system raises on purpose."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details: dict[str, Any] = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery carries errors between processes by pickling: keyword-only arguments need help to survive that.
        return _rebuild, (type(self), self.message, self.code, self.details)


def _rebuild(cls: type[TradingError], message: str, code: str, details: dict[str, Any]) -> TradingError:
    return cls(message, code=code, details=details)


class FixRequest(TradingError):
    """The request is wrong as it stands."""

    code = "invalid"


class NotFound(FixRequest):
    """What the request names does not exist, or not for this user."""

    code = "not_found"


class Forbidden(FixRequest):
    """The user may not do this."""

    code = "forbidden"


class Conflict(FixRequest):
    """The thing is not in a state that allows the request."""

    code = "conflict"


class RetryLater(TradingError):
    """A dependency is away or busy; nothing was done."""

    code = "unavailable"


class AskPerson(TradingError):
    """Neither another request nor waiting helps."""

    code = "needs_attention"
