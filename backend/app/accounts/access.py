"""Who may see what accounts are worth, how they are connected, and why trading is stopped."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

from app.core.errors import Forbidden


def may_see_accounts(user: User | AbstractBaseUser | AnonymousUser) -> bool:
    """Say whether the user has a role at all: whoever plans, trades or reviews sees what the account is worth."""
    return isinstance(user, User) and bool(user.get_all_permissions())


def require_may_see_accounts(user: User | AbstractBaseUser | AnonymousUser) -> User:
    """Return the user. Raises Forbidden `role_missing` for one without any role."""
    if not isinstance(user, User) or not may_see_accounts(user):
        raise Forbidden("You have no role that lets you see accounts.", code="role_missing")
    return user
