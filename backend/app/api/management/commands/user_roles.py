"""Give a user roles, or take them: `manage.py user_roles demo --add trader`."""

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from app.accounts.roles import ROLES


class Command(BaseCommand):
    """Prints the user's groups afterwards, in one line."""

    help = "Give a user roles (analyst, trader, reviewer), or take them; without an option, say which ones it has."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user and the roles."""
        parser.add_argument("username")
        parser.add_argument("--add", nargs="+", default=[], choices=sorted(ROLES), metavar="ROLE")
        parser.add_argument("--remove", nargs="+", default=[], choices=sorted(ROLES), metavar="ROLE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Change the groups; safe to repeat."""
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}; `createsuperuser` makes an administrator.")
        user.groups.add(*self._groups(options["add"]))
        user.groups.remove(*self._groups(options["remove"]))
        names = ", ".join(user.groups.order_by("name").values_list("name", flat=True)) or "no roles"
        inactive = "" if user.is_active else " (deactivated: it cannot log in)"
        self.stdout.write(f"{user.username}: {names}{inactive}")

    def _groups(self, names: list[str]) -> list[Group]:
        groups = list(Group.objects.filter(name__in=names))
        if missing := set(names) - {group.name for group in groups}:
            raise CommandError(f"No group {', '.join(sorted(missing))}: it was deleted or renamed.")
        return groups
