"""A user to try the system with: `manage.py demo_user`.

Analyst and reviewer, no superuser: it plans and executes on paper accounts, reads everything, and opens the order
history in the admin, but can change nothing there.
"""

import json
import os
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand
from django.db import transaction
from rest_framework.authtoken.models import Token

from app.accounts.roles import roles_ensure
from app.accounts.services import account_ensure

USERNAME = "demo"
ROLES = ("analyst", "reviewer")


class Command(BaseCommand):
    """Prints one JSON line: `{"username", "password", "token"}`."""

    help = "Create or update the user `demo`; its password is DEMO_PASSWORD, else a new random one."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Make the user, its token and the configured account; safe to repeat."""
        password = os.environ.get("DEMO_PASSWORD") or secrets.token_urlsafe(12)
        roles_ensure()
        user, _ = User.objects.get_or_create(username=USERNAME)
        user.is_active, user.is_staff, user.is_superuser = True, True, False
        if not user.check_password(password):  # Storing it anew would end the user's sessions.
            user.set_password(password)
        user.save()
        user.groups.set(Group.objects.filter(name__in=ROLES))
        token, _ = Token.objects.get_or_create(user=user)
        if settings.IB_ACCOUNT:
            account_ensure(settings.IB_ACCOUNT)
        self.stdout.write(json.dumps({"username": user.username, "password": password, "token": token.key}))
