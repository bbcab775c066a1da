"""Who may see which setups, and who may act on them."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import QuerySet

from app.core.errors import Forbidden
from app.setups.models import Setup


def setups_visible_to(user: User | AnonymousUser | AbstractBaseUser) -> QuerySet[Setup]:
    """Return the setups this user may read: their own, or all with the permission for it."""
    setups = Setup.objects.select_related("account", "owner").prefetch_related("take_profits")
    if not isinstance(user, User):
        return setups.none()
    return setups if user.has_perm("setups.view_all_setups") else setups.filter(owner=user)


def setup_read(setup_id: int) -> Setup:
    """Return a setup with its targets as they stand now."""
    return Setup.objects.select_related("account", "owner").prefetch_related("take_profits").get(pk=setup_id)


def require_may_plan(user: User | AnonymousUser | AbstractBaseUser) -> User:
    """Return the user. Raises Forbidden `role_missing` for one who is neither analyst nor trader nor admin."""
    if not isinstance(user, User) or not user.has_perm("setups.add_setup"):
        raise Forbidden("Your roles do not let you plan or trade.", code="role_missing")
    return user


def require_may_act_on(setup: Setup, *, user: User | AnonymousUser | AbstractBaseUser) -> User:
    """Return the user, who may change, execute and cancel this setup: its owner, or an admin.

    Raises Forbidden `role_missing`, `not_owner`.
    """
    actor = require_may_plan(user)
    if setup.owner_id != actor.pk and not actor.is_superuser:
        raise Forbidden("Only its owner may do this; you may read it.", code="not_owner")
    return actor
