"""A user to try the system with: `manage.py demo_user`.

Analyst and reviewer, no superuser: it plans and executes on paper accounts, reads everything, and opens the order
history in the admin, but can change nothing there.

A user of that name that is there already is left as it is: who was deactivated, or has another password or other roles
by now, has them by an administrator's will. `--reset` puts it right on purpose.
"""

import json
import os
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from rest_framework.authtoken.models import Token

from app.accounts.roles import roles_ensure
from app.accounts.services import account_ensure

USERNAME = "demo"
ROLES = ("analyst", "reviewer")


class Command(BaseCommand):
    """Prints one JSON line: `{"username", "password", "token"}`, or `{"username", "left_alone"}` with the reason."""

    help = "Create the user `demo`; its password is DEMO_PASSWORD, else a new random one."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the option."""
        parser.add_argument(
            "--reset",
            action="store_true",
            help="give a `demo` that is there already a password, its roles and its token again, and activate it",
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Make the user, its token and the configured account; safe to repeat."""
        given = os.environ.get("DEMO_PASSWORD", "")
        password = given or secrets.token_urlsafe(12)
        roles_ensure()
        if settings.IB_ACCOUNT:
            account_ensure(settings.IB_ACCOUNT)
        user = User.objects.filter(username=USERNAME).first()
        if user is None or options["reset"]:
            user = self._made(user or User(username=USERNAME), password=password)
        elif reason := self._left_alone(user, password=given):
            self.stdout.write(json.dumps({"username": USERNAME, "left_alone": reason}))
            return
        token, _ = Token.objects.get_or_create(user=user)
        self.stdout.write(json.dumps({"username": USERNAME, "password": password, "token": token.key}))

    def _made(self, user: User, *, password: str) -> User:
        user.is_active, user.is_staff, user.is_superuser = True, True, False
        if not user.check_password(password):  # Storing it anew would end the user's sessions.
            user.set_password(password)
        user.save()
        user.groups.set(Group.objects.filter(name__in=ROLES))
        return user

    def _left_alone(self, user: User, *, password: str) -> str:
        if not user.is_active:
            return "it was deactivated"
        if not user.check_password(password):
            return "it has another password"
        if not user.has_perm("setups.add_setup"):
            return "it may no longer plan a setup"
        return ""
