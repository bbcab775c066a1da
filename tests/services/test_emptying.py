"""What a committing test leaves behind is gone after it, and what a migration writes is there whatever it did to it."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType

from app.accounts.models import RoleGrant
from tests.emptying import Emptying

pytestmark = pytest.mark.django_db(transaction=True)


def written() -> list[list[object]]:
    """Return what a migration writes, by names: ids are given anew."""
    return [
        sorted(Group.objects.values_list("name", "permissions__codename")),
        sorted(Permission.objects.values_list("codename", "content_type__model")),
        sorted(ContentType.objects.values_list("app_label", "model")),
        sorted(RoleGrant.objects.values_list("role", "codename")),
    ]


@pytest.mark.parametrize("change", ["nothing", "a role lost a right", "a role is gone", "a role is new"])
def test_the_database_is_as_after_a_migration(emptying: Emptying, change: str) -> None:
    emptying.empty()
    before = written()
    User.objects.create_user("ada").groups.set(Group.objects.all())
    if change == "a role lost a right":
        Group.objects.earliest("pk").permissions.clear()
    elif change == "a role is gone":
        Group.objects.earliest("pk").delete()
    elif change == "a role is new":
        Group.objects.create(name="of a test")

    emptying.empty()

    assert not User.objects.exists()
    assert written() == before


def test_what_a_migration_wrote_is_kept_as_it_is_while_nobody_changes_it(emptying: Emptying) -> None:
    emptying.empty()
    before = set(Permission.objects.values_list("pk", flat=True))

    emptying.empty()

    assert set(Permission.objects.values_list("pk", flat=True)) == before
