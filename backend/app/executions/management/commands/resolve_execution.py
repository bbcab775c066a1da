"""Settle what the account and our rows disagree about: `manage.py resolve_execution ID not_ours|closed_elsewhere`."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from app.core import clock
from app.core.errors import TradingError
from app.executions.models import Execution
from app.executions.services.resolve import Act, execution_resolve


class Command(BaseCommand):
    """Prints one JSON line: `{"act", "difference", "open_before", "open_after", "others_before", "others_after"}`."""

    help = "Say whose the shares are that the account holds more or less than our books say."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define what can be asked for."""
        parser.add_argument("execution", type=int)
        parser.add_argument("act", choices=[act.value for act in Act])
        parser.add_argument("--quantity", help="how many shares were closed elsewhere; all that are missing by default")
        parser.add_argument("--dry-run", action="store_true", help="only say what would come of it")

    def handle(self, *args: Any, execution: int, act: str, quantity: str | None, **options: Any) -> None:
        """Do it, and say what was done."""
        try:
            resolution = execution_resolve(
                execution_id=execution,
                act=Act(act),
                user=None,
                quantity=Decimal(quantity) if quantity else None,
                dry_run=options["dry_run"],
                now=clock.now(),
            )
        except Execution.DoesNotExist:
            raise CommandError(f"There is no execution {execution}.") from None
        except InvalidOperation:
            raise CommandError(f"--quantity {quantity} is no number.") from None
        except TradingError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        self.stdout.write(json.dumps({name: str(value) for name, value in asdict(resolution).items()}))
