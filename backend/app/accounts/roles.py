"""The groups that stand for roles, and what each may do at first.

Afterwards the groups belong to the admins: what they give or take stays through every migration. So each permission is
given once, when the role or the permission is new, and a row remembers that (`RoleGrant`). A group that was deleted or
renamed is not made again.
"""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from app.accounts.models import RoleGrant

ROLES: dict[str, tuple[str, ...]] = {
    "analyst": ("add_setup",),
    "trader": ("add_setup", "trade_live", "engage_kill_switch", "acknowledge_alert"),
    "reviewer": (
        "view_all_setups",
        "view_setup",
        "view_execution",
        "view_bracket",
        "view_order",
        "view_fill",
        "view_commission",
        "view_brokerevent",
        "view_account",
        "view_brokerconnection",
        "view_killswitch",
        "view_alert",
        "view_alertdelivery",
    ),
}


@transaction.atomic
def roles_ensure() -> None:
    """Create what is new of the roles and their permissions, and change nothing else; safe to repeat."""
    for role, codenames in ROLES.items():
        given = set(RoleGrant.objects.filter(role=role).values_list("codename", flat=True))
        if given:
            group = Group.objects.filter(name=role).first()
        else:
            group, _ = Group.objects.get_or_create(name=role)
        if group is None:
            continue
        # A permission whose app is not migrated yet is given at the next call.
        new = Permission.objects.filter(codename__in=set(codenames) - given)
        group.permissions.add(*new)
        grants = [RoleGrant(role=role, codename=permission.codename) for permission in new]
        RoleGrant.objects.bulk_create(grants, ignore_conflicts=True)
