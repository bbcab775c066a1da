"""`manage.py migrate` as the database's owner, who then gives the application its rights (see `database_roles`)."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connection

from app.config.database_roles import ApplicationRoleUnsafe, application_role_ensure, connected_as


class Command(migrate.Command):
    """Migrates as DATABASE_OWNER_URL says; without it, as DATABASE_URL does."""

    def execute(self, *args: Any, **options: Any) -> None:
        """Check and migrate, then grant. `--plan` and `--check` change nothing.

        The checks ask the database too, and the application's role may not be there yet.
        """
        owner = settings.DATABASE_OWNER
        application = dict(connection.settings_dict)
        if owner is None or owner["USER"] == application["USER"] or options["database"] != DEFAULT_DB_ALIAS:
            super().execute(*args, **options)
            return
        if (owner["HOST"], str(owner["PORT"])) != (application["HOST"], str(application["PORT"])):
            raise CommandError(
                f"DATABASE_OWNER_URL is at {owner['HOST']}, but DATABASE_URL at {application['HOST']}: "
                "both must name one server. With one role for both, set them to the same."
            )
        with connected_as(owner):
            super().execute(*args, **options)
            if options["plan"] or options["check_unapplied"]:
                return
            try:
                application_role_ensure(role=application["USER"], password=application["PASSWORD"])
            except ApplicationRoleUnsafe as error:
                raise CommandError(str(error)) from error
