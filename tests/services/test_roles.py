"""What an admin gives to a role, or takes from it, stays through every migration."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from app.accounts import roles
from app.accounts.models import RoleGrant
from app.accounts.roles import ROLES, roles_ensure


def codenames(role: str) -> set[str]:
    return set(Group.objects.get(name=role).permissions.values_list("codename", flat=True))


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


@pytest.mark.django_db
def test_a_new_database_has_the_roles() -> None:
    assert {role: codenames(role) for role in ROLES} == {role: set(given) for role, given in ROLES.items()}


@pytest.mark.case("S12")
@pytest.mark.django_db
def test_what_an_admin_changed_stays_through_a_migration() -> None:
    trader, analyst = Group.objects.get(name="trader"), Group.objects.get(name="analyst")
    trader.permissions.add(permission("release_kill_switch"))
    trader.permissions.remove(permission("trade_live"))
    analyst.permissions.clear()

    call_command("migrate", verbosity=0)

    assert codenames("trader") == set(ROLES["trader"]) - {"trade_live"} | {"release_kill_switch"}
    assert codenames("analyst") == set()


@pytest.mark.case("S12")
@pytest.mark.django_db
def test_a_group_that_was_deleted_or_renamed_is_not_made_again() -> None:
    Group.objects.get(name="analyst").delete()
    Group.objects.filter(name="trader").update(name="head trader")

    call_command("migrate", verbosity=0)

    assert set(Group.objects.values_list("name", flat=True)) == {"head trader", "reviewer"}


@pytest.mark.case("S12")
@pytest.mark.django_db
def test_what_is_new_with_a_release_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    added = {"analyst": (*ROLES["analyst"], "view_alert"), "auditor": ("view_order",)}
    monkeypatch.setattr(roles, "ROLES", ROLES | added)

    roles_ensure()

    assert codenames("analyst") == set(added["analyst"])
    assert codenames("auditor") == {"view_order"}
    Group.objects.get(name="analyst").permissions.remove(permission("view_alert"))
    roles_ensure()
    assert codenames("analyst") == set(ROLES["analyst"])


@pytest.fixture
def before_grants(transactional_db: None) -> Iterator[None]:
    """A database of the release before, which remembers nothing; as new afterwards."""
    executor = MigrationExecutor(connection)
    latest = executor.loader.graph.leaf_nodes()
    call_command("migrate", "accounts", "0005", verbosity=0)
    yield
    MigrationExecutor(connection).migrate(latest)


@pytest.mark.case("S12")
@pytest.mark.usefixtures("before_grants")
def test_the_first_migration_that_remembers_gives_nothing_back() -> None:
    trader = Group.objects.get(name="trader")
    trader.permissions.remove(permission("trade_live"))
    trader.permissions.add(permission("release_kill_switch"))

    call_command("migrate", verbosity=0)

    assert codenames("trader") == set(ROLES["trader"]) - {"trade_live"} | {"release_kill_switch"}
    assert set(RoleGrant.objects.filter(role="trader").values_list("codename", flat=True)) == set(ROLES["trader"])
