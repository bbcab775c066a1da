"""Logs as key=value lines, with the order's names bound where they are known.

`bind_order(execution=…, order_ref=…, perm_id=…)` makes every line written inside it carry those keys.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from app.core.log_limits import StrangersLines

ORDER_KEYS = ("execution", "order_ref", "perm_id")
SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,
]


class RoutineLines(logging.Filter):
    """Drops what is said every few seconds while all is well, so that a day's log can be read.

    That beat has sent a periodic task and that the worker has done it; that /readyz has answered "not ready", which is
    its answer to whoever asks. A task that fails is told.
    """

    def __init__(self, *, tasks: Collection[str]) -> None:
        super().__init__()
        self._tasks = frozenset(tasks)

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is written."""
        if record.name == "django.request":
            request = getattr(record, "request", None)
            return getattr(request, "path", "") != "/readyz" or getattr(record, "status_code", 0) != 503
        if record.levelno > logging.INFO:
            return True
        if record.name == "celery.beat":
            return not record.getMessage().startswith("Scheduler: Sending due task")
        task = getattr(record, "data", None)
        is_periodic = isinstance(task, dict) and task.get("name") in self._tasks
        return not (is_periodic and record.name.startswith("celery."))


def logging_config(*, level: str, routine_tasks: Collection[str] = ()) -> dict[str, Any]:
    """Return a `logging.config` dictionary that renders our lines and the libraries' the same way.

    What `routine_tasks` do every few seconds is written at level DEBUG only.
    """
    filters = ["strangers"] if level == "DEBUG" else ["strangers", "routine"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "key_value": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.LogfmtRenderer(
                        key_order=["time", "level", "event", *ORDER_KEYS], drop_missing=True, bool_as_flag=False
                    ),
                ],
                "foreign_pre_chain": SHARED_PROCESSORS,
            }
        },
        "filters": {
            "strangers": {"()": StrangersLines},
            "routine": {"()": RoutineLines, "tasks": routine_tasks},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "key_value", "filters": filters},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "celery": {"level": "INFO"},
            "ib_async": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
        },
    }


def configure() -> None:
    """Route structlog through the standard library's logging, whose levels decide what is written."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> Any:
    """Return a logger whose keyword arguments become key=value pairs."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def bind_order(**keys: Any) -> Iterator[None]:
    """Add keys (execution, order_ref, perm_id) to every line logged inside the block."""
    with structlog.contextvars.bound_contextvars(**{key: value for key, value in keys.items() if value}):
        yield


@contextmanager
def only_errors(name: str) -> Iterator[None]:
    """Let the loggers below `name` write errors only inside the block: for what is done again and is no news."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
