"""Rebuild the rows from the broker's stored events, in transactions that are rolled back, and compare:
`manage.py replay_events [--execution N]`. Exit 0 when they are the same, 1 with a line for each difference.
"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from app.core.logging import only_errors
from app.executions.models import Execution
from app.executions.services.replay import events_replay


class Command(BaseCommand):
    """Prints a line for each difference."""

    help = "Rebuild the rows from the stored events, without changing any, and list what differs (exit 1)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the execution."""
        parser.add_argument("--execution", type=int, help="one execution's number (default: all)")

    def handle(self, *args: Any, execution: int | None, **options: Any) -> None:
        """Replay and compare."""
        if execution is not None and not Execution.objects.filter(pk=execution).exists():
            raise CommandError(f"There is no execution {execution}.")
        count = 0
        with only_errors("app.executions"):
            for difference in events_replay(execution_ids=None if execution is None else [execution]):
                count += 1
                self.stdout.write(str(difference))
        if count:
            self.stderr.write(f"{count} differences")
            sys.exit(1)
