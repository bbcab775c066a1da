"""Settle what the system cannot settle by itself: `manage.py resolve_execution ID ACT`, with `--dry-run` first."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from app.core import clock
from app.core.errors import TradingError
from app.executions.models import Execution
from app.executions.services.resolve import execution_resolve
from app.executions.services.resolve_facts import Act, Asked

_NUMBERS = ("quantity", "price", "stop_price")


class Command(BaseCommand):
    """Prints one JSON line, the fields of the API's answer: act, text, facts, sends, and shares before and after."""

    help = "Carry out what a person decided about an execution."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define what can be asked for."""
        parser.add_argument("execution", type=int)
        parser.add_argument("act", choices=[act.value for act in Act])
        parser.add_argument("--quantity", help="shares; by default all that are missing, or that have no stop")
        parser.add_argument("--stop-price", help="where the stop is to be (protect, take_over)")
        parser.add_argument("--order-ref", default="", help="the order that filled (enter_fill)")
        parser.add_argument("--price", help="what it filled at (enter_fill)")
        parser.add_argument("--executed-at", help="when it filled, as 2026-11-27T15:04:05; UTC (enter_fill)")
        parser.add_argument("--note", default="", help="why; dismiss needs one")
        parser.add_argument("--facts", default="", help="what --dry-run named the picture: refused where it moved")
        parser.add_argument("--dry-run", action="store_true", help="only say what would come of it")

    def handle(self, *args: Any, execution: int, act: str, **options: Any) -> None:
        """Do it, and say what was done."""
        numbers = {name: _number(name, options[name]) for name in _NUMBERS}
        asked = Asked(
            act=Act(act),
            order_ref=options["order_ref"],
            executed_at=_moment(options["executed_at"]),
            note=options["note"],
            **numbers,
        )
        try:
            resolution = execution_resolve(
                execution_id=execution,
                asked=asked,
                user=None,
                facts=options["facts"],
                dry_run=options["dry_run"],
                now=clock.now(),
            )
        except Execution.DoesNotExist:
            raise CommandError(f"There is no execution {execution}.") from None
        except TradingError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        self.stdout.write(json.dumps(asdict(resolution), default=str))


def _number(name: str, given: str | None) -> Decimal | None:
    try:
        number = Decimal(given) if given else None
    except InvalidOperation:
        raise CommandError(f"--{name.replace('_', '-')} {given} is no number.") from None
    if number is not None and not number.is_finite():
        raise CommandError(f"--{name.replace('_', '-')} {given} is no number.")
    return number


def _moment(given: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(given) if given else None
    except ValueError:
        raise CommandError(f"--executed-at {given} is no time, as 2026-11-27T15:04:05 is.") from None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
