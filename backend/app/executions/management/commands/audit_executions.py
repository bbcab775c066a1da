"""Check on the live database what must always hold: `manage.py audit_executions [--account] [--replay] [--broker]`.

Exit 0 when everything holds, 1 with a line `code execution order text` for each thing that does not.
"""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from app.accounts.models import Account
from app.core import clock
from app.core.logging import only_errors
from app.executions.services.audit import audit_findings


class Command(BaseCommand):
    """Prints a line for each finding."""

    help = "Check the rows for what must always hold; list what does not, as `code execution order text` (exit 1)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the account and what else to check."""
        parser.add_argument("--account", default="", help="one account's id (default: all)")
        parser.add_argument("--replay", action="store_true", help="also rebuild the rows from the events and compare")
        parser.add_argument(
            "--broker", action="store_true", help="also compare with the last reconcile and check the sending rate"
        )

    def handle(self, *args: Any, account: str, replay: bool, broker: bool, **options: Any) -> None:
        """Check and list."""
        if account and not Account.objects.filter(account_id=account).exists():
            raise CommandError(f"No account {account} is known here.")
        with only_errors("app.executions"):
            findings = audit_findings(now=clock.now(), account_id=account, with_replay=replay, with_broker=broker)
        for finding in findings:
            self.stdout.write(str(finding))
        if findings:
            self.stderr.write(f"{len(findings)} findings")
            sys.exit(1)
