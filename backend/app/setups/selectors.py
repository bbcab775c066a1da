"""Who may see which setups."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import QuerySet

from app.setups.models import Setup


def setups_visible_to(user: User | AnonymousUser | AbstractBaseUser) -> QuerySet[Setup]:
    """Return the setups this user may read: their own, or all with the permission for it."""
    setups = Setup.objects.select_related("account", "owner").prefetch_related("take_profits")
    if not isinstance(user, User):
        return setups.none()
    return setups if user.has_perm("setups.view_all_setups") else setups.filter(owner=user)
