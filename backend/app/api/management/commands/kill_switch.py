"""The kill switch from the command line: `manage.py kill_switch engage --reason "..." [--account ID] [--flatten]`.

It needs the database alone: neither Redis, nor a worker, nor the Gateway. What there is to send is sent once they are
back.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from app.accounts.kill_switch import kill_switches_engaged
from app.accounts.models import Account
from app.core import clock
from app.core.errors import TradingError
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release, kill_switch_said_again


class Command(BaseCommand):
    """Prints one JSON line: `{"engaged", "switches": [{"account", "reason", "flatten", "engaged_at", "engaged_by",
    "said_again"}]}`; `said_again` are those who engaged it while it was engaged, oldest first.
    """

    help = "Stop trading, let it go on, or say whether it is stopped; on one account or on all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define what can be asked for."""
        parser.add_argument("action", choices=["engage", "release", "status"])
        parser.add_argument("--account", default="", help="the broker's id of it; all accounts when left out")
        parser.add_argument("--reason", default="", help="why; kept with the switch. Needed but for status")
        parser.add_argument("--flatten", action="store_true", help="also close every position of ours there")

    def handle(self, *args: Any, action: str, account: str, reason: str, flatten: bool, **options: Any) -> None:
        """Do it, and say how it stands."""
        meant = self._account(account)
        if action != "status" and not reason.strip():
            raise CommandError("Say why: --reason.")
        if flatten and action != "engage":
            raise CommandError("--flatten goes with engage.")
        try:
            if action == "engage":
                kill_switch_engage(account=meant, user=None, reason=reason, flatten=flatten, now=clock.now())
            elif action == "release":
                kill_switch_release(account=meant, user=None, reason=reason, now=clock.now())
        except TradingError as error:
            raise CommandError(f"{error.code}: {error.message}") from error
        self.stdout.write(json.dumps(self._state(meant)))

    def _account(self, account_id: str) -> Account | None:
        if not account_id:
            return None
        account = Account.objects.filter(account_id=account_id).first()
        if account is None:
            known = ", ".join(Account.objects.values_list("account_id", flat=True)) or "none"
            raise CommandError(f"No account {account_id} is known here; known: {known}.")
        return account

    def _state(self, account: Account | None) -> dict[str, Any]:
        switches = [
            {
                "account": switch.account.account_id if switch.account else None,
                "reason": switch.reason,
                "flatten": switch.flatten,
                "engaged_at": switch.engaged_at.isoformat(),
                "engaged_by": _name(switch.engaged_by),
                "said_again": [
                    {
                        "reason": again.reason,
                        "engaged_at": again.decided_at.isoformat(),
                        "engaged_by": _name(again.user),
                    }
                    for again in kill_switch_said_again(switch)
                ],
            }
            for switch in kill_switches_engaged(account)
        ]
        return {"engaged": bool(switches), "switches": switches}


def _name(user: User | None) -> str | None:
    return user.username if user else None
