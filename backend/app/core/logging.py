"""Logs as key=value lines, with the order's names bound where they are known.

`bind_order(execution=…, order_ref=…, perm_id=…)` makes every line written inside it carry those keys.
"""

import logging
from collections.abc import Iterator
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


def logging_config(*, level: str) -> dict[str, Any]:
    """Return a `logging.config` dictionary that renders our lines and the libraries' the same way."""
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
        "filters": {"strangers": {"()": StrangersLines}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "key_value", "filters": ["strangers"]},
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
