"""Log lines: one line, key=value, with the order's names on every line written on its behalf."""

import io
import logging
import logging.config
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import structlog
from django.conf import settings

from app.core.logging import RoutineLines, bind_order, configure, get_logger, logging_config

REF = "k7m2q4x9b3c5d6f8-1-ENTRY"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Our own handler and formatter on one logger, so that the test run's logging is left as it is."""
    config = logging_config(level="INFO")["formatters"]["key_value"]
    factory = config.pop("()")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(factory(**config))
    logger = logging.getLogger("trading.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    configure()
    yield written
    logger.removeHandler(handler)
    logger.propagate = True
    structlog.contextvars.clear_contextvars()


def test_a_line_is_key_value_and_begins_with_time_level_and_event(lines: io.StringIO) -> None:
    get_logger("trading.test").info("order_sent", order_id=3, price="189.50", note="two words")
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z level=info event=order_sent "
        r'order_id=3 price=189\.50 note="two words" logger=trading\.test\n',
        lines.getvalue(),
    )


def test_the_orders_names_are_on_every_line_inside_the_block_and_on_none_outside(lines: io.StringIO) -> None:
    # Given an order in hand
    with bind_order(execution="k7m2q4x9b3c5d6f8", order_ref=REF, perm_id=312255409):
        # When we and a library write about it
        get_logger("trading.test").info("order_sent")
        logging.getLogger("trading.test").warning("told by %s", "a library")
    get_logger("trading.test").info("idle")

    # Then both lines carry its names, and the next one doesn't
    ours, theirs, after = lines.getvalue().splitlines()
    for line in (ours, theirs):
        assert f"execution=k7m2q4x9b3c5d6f8 order_ref={REF} perm_id=312255409" in line
    assert 'event="told by a library"' in theirs
    assert "order_ref" not in after


def test_a_name_that_is_not_known_yet_is_left_out(lines: io.StringIO) -> None:
    with bind_order(order_ref=REF, perm_id=0, execution=None):
        get_logger("trading.test").info("order_sent")
    assert f"order_ref={REF}" in lines.getvalue()
    assert "perm_id" not in lines.getvalue()
    assert "execution" not in lines.getvalue()


def test_an_inner_block_adds_to_the_outer_one_and_gives_back(lines: io.StringIO) -> None:
    with bind_order(execution="outer"):
        with bind_order(order_ref=REF):
            get_logger("trading.test").info("one")
        get_logger("trading.test").info("two")
    one, two = lines.getvalue().splitlines()
    assert f"execution=outer order_ref={REF}" in one
    assert "order_ref" not in two
    assert "execution=outer" in two


def test_the_names_are_gone_after_an_error(lines: io.StringIO) -> None:
    def fail() -> None:
        with bind_order(order_ref=REF):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - Any will do.
        fail()
    get_logger("trading.test").info("after")
    assert "order_ref" not in lines.getvalue()


def test_text_from_outside_cannot_forge_a_line_or_a_key(lines: io.StringIO) -> None:
    # Given a broker's text that looks like the end of our line and a line of its own
    text = 'refused"\ntime=2026 level=info event=order_filled'
    get_logger("trading.test").info("order_message", text=text)
    logging.getLogger("trading.test").info(text)
    # Then it stays inside one quoted value
    assert len(lines.getvalue().splitlines()) == 2
    assert lines.getvalue().count(" event=") == 4
    assert lines.getvalue().count('\\"\\ntime=2026 ') == 2


@pytest.mark.parametrize("log", [get_logger("trading.test"), logging.getLogger("trading.test")], ids=["ours", "theirs"])
def test_an_errors_traceback_stays_on_its_line(lines: io.StringIO, log: logging.Logger) -> None:
    try:
        int("no number")
    except ValueError:
        log.exception("lost")
    (line,) = lines.getvalue().splitlines()
    assert "level=error event=lost" in line
    assert 'exception="Traceback' in line
    assert "ValueError: invalid literal" in line


def test_a_debug_line_is_written_only_where_the_level_asks_for_it(lines: io.StringIO) -> None:
    log = get_logger("trading.test")
    log.debug("unasked")
    logging.getLogger("trading.test").setLevel(logging.DEBUG)
    log.debug("asked")
    assert [line.partition("event=")[2].split()[0] for line in lines.getvalue().splitlines()] == ["asked"]


def test_the_root_logger_has_the_level_that_was_asked_for() -> None:
    assert logging_config(level="WARNING")["root"] == {"handlers": ["stderr"], "level": "WARNING"}


def task_line(name: str, *, logger: str = "celery.app.trace", level: int = logging.INFO) -> logging.LogRecord:
    record = logging.LogRecord(logger, level, "trace.py", 1, "Task %(name)s done", None, None)
    record.data = {"name": name}
    return record


@pytest.mark.case("S31")
@pytest.mark.parametrize(
    ("record", "is_written"),
    [
        (task_line("executions.sweep"), False),
        (task_line("executions.sweep", logger="celery.worker.strategy"), False),
        (task_line("executions.sweep", level=logging.ERROR), True),
        (task_line("executions.submit"), True),
        (logging.LogRecord("celery.beat", logging.INFO, "", 1, "Scheduler: Sending due task %s", ("x",), None), False),
        (logging.LogRecord("celery.beat", logging.INFO, "", 1, "beat: Starting...", (), None), True),
        (logging.LogRecord("celery.beat", logging.ERROR, "", 1, "Scheduler: Sending due task", (), None), True),
    ],
)
def test_what_is_done_every_few_seconds_is_not_written(record: logging.LogRecord, is_written: bool) -> None:
    assert RoutineLines(tasks=["executions.sweep"]).filter(record) == is_written


@pytest.mark.case("S31")
def test_everything_that_beat_sends_is_routine() -> None:
    routine = RoutineLines(tasks=settings.LOGGING["filters"]["routine"]["tasks"])
    tasks = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks
    assert [name for name in tasks if routine.filter(task_line(name))] == []


@pytest.mark.case("S31")
@pytest.mark.parametrize(
    ("path", "status", "is_written"), [("/readyz", 503, False), ("/readyz", 500, True), ("/", 503, True)]
)
def test_the_answer_of_a_readiness_probe_is_no_news(path: str, status: int, is_written: bool) -> None:
    record = logging.LogRecord("django.request", logging.ERROR, "", 1, "Service Unavailable: %s", (path,), None)
    record.request, record.status_code = SimpleNamespace(path=path), status
    assert RoutineLines(tasks=[]).filter(record) == is_written


@pytest.mark.parametrize(("level", "filters"), [("DEBUG", ["strangers"]), ("INFO", ["strangers", "routine"])])
def test_routine_is_written_at_level_debug(level: str, filters: list[str]) -> None:
    assert logging_config(level=level)["handlers"]["stderr"]["filters"] == filters
