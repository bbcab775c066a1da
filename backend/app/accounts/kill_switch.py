"""The kill switch's rows: engaged and released under the lock that every order passes on its way to the wire.

What follows from them (cancels, closing) is `executions.services.kill_switch`.
"""

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from app.accounts.models import Account, BrokerConnection, KillSwitch
from app.core.errors import Conflict, Forbidden

ENGAGED = Q(released_at__isnull=True)


def kill_switches_engaged(account: Account | None = None) -> QuerySet[KillSwitch]:
    """Return the engaged switches, oldest first: all of them, or those that stop this account."""
    engaged = KillSwitch.objects.filter(ENGAGED).select_related("account", "engaged_by").order_by("id")
    return engaged.filter(Q(account=account) | Q(account=None)) if account is not None else engaged


def kill_switch_on(account_column: str = "account") -> Exists:
    """Return the condition "its account is stopped", for a query on rows whose account is in `account_column`."""
    return Exists(KillSwitch.objects.filter(ENGAGED, Q(account=OuterRef(account_column)) | Q(account=None)))


def require_may_engage(user: User | AbstractBaseUser | AnonymousUser) -> User:
    """Return the user. Raises Forbidden `role_missing` for one who may not stop trading."""
    return _require(user, permission="accounts.engage_kill_switch", what="stop trading")


def require_may_release(user: User | AbstractBaseUser | AnonymousUser) -> User:
    """Return the user. Raises Forbidden `role_missing` for one who may not let trading go on."""
    return _require(user, permission="accounts.release_kill_switch", what="let trading go on")


def _require(user: User | AbstractBaseUser | AnonymousUser, *, permission: str, what: str) -> User:
    if not isinstance(user, User) or not user.has_perm(permission):
        raise Forbidden(f"Your roles do not let you {what}.", code="role_missing")
    return user


@transaction.atomic
def kill_switch_write(
    *, account: Account | None, user: User | None, reason: str, flatten: bool, now: datetime
) -> tuple[KillSwitch, bool]:
    """Engage the switch of this account (None: of all); return its row, and whether anything changed.

    When the transaction is committed, no entry whose ids were not written down before can be sent any more. Engaged
    already, it stays as it is, but `flatten` can be added.
    """
    _hold_back_senders(account)
    known = KillSwitch.objects.select_for_update(no_key=True).filter(ENGAGED, account=account).first()
    if known is None:
        return (
            KillSwitch.objects.create(account=account, engaged_by=user, reason=reason, flatten=flatten, engaged_at=now),
            True,
        )
    if not flatten or known.flatten:
        return known, False
    known.flatten = True
    known.save(update_fields=["flatten"])
    return known, True


@transaction.atomic
def kill_switch_write_release(*, account: Account | None, user: User | None, reason: str, now: datetime) -> KillSwitch:
    """Release the engaged switch of this account (None: that of all). Raises Conflict `kill_switch_not_engaged`."""
    known = KillSwitch.objects.select_for_update(no_key=True).filter(ENGAGED, account=account).first()
    if known is None:
        where = f"on {account}" if account else "for all accounts"
        raise Conflict(f"No kill switch is engaged {where}.", code="kill_switch_not_engaged")
    known.released_at, known.released_by, known.release_reason = now, user, reason
    known.save(update_fields=["released_at", "released_by", "release_reason"])
    return known


def _hold_back_senders(account: Account | None) -> None:
    """Take the lock under which order ids are written down: who comes next reads the switch, who was first is seen."""
    connections = BrokerConnection.objects.select_for_update(no_key=True).order_by("pk")
    if account is not None:
        connections = connections.filter(account=account)
    list(connections.values_list("pk", flat=True))
    # Two people at once: the second waits here and finds the first one's row. Each table row alone would not do where
    # no account was ever connected.
    with transaction.get_connection().cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_killswitch IN SHARE ROW EXCLUSIVE MODE")
