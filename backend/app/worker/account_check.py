"""Which account the Gateway may come back with, where nobody has named one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count

from app.accounts.models import BrokerConnection
from app.accounts.selectors import HEARTBEAT_AGE_SECONDS_MAX
from app.executions.open_rows import executions_unfinished

ACCOUNT_CHANGED = "account_changed"


def unfinished_on_other_accounts(*, account_id: str, client_id: int, now: datetime) -> Sequence[tuple[str, int]]:
    """Return the other accounts that nobody serves now, with how many executions are unfinished on each.

    The one with the most is first. A Gateway that comes back with another login would leave them watched by nobody.
    Under which client id they were served does not matter, because a setting may have changed it; another worker that
    serves one of them now does, and shows it by its heartbeat.
    """
    lately = now - timedelta(seconds=HEARTBEAT_AGE_SECONDS_MAX)
    others = BrokerConnection.objects.filter(heartbeat_at__gt=lately).exclude(client_id=client_id)
    unfinished = executions_unfinished().exclude(account__account_id=account_id)
    unfinished = unfinished.exclude(account__in=others.values("account")).order_by()
    counted = unfinished.values_list("account__account_id").annotate(count=Count("id"))
    return list(counted.order_by("-count", "account__account_id"))


def account_changed_text(*, account_id: str, left: Sequence[tuple[str, int]]) -> str:
    """Return what to do about it, in a sentence."""
    account, count = left[0]
    unfinished = "1 unfinished execution is" if count == 1 else f"{count} unfinished executions are"
    return (
        f"The Gateway has account {account_id}, but {unfinished} on {account}: log in to {account} again, or name "
        f"{account_id} in IB_ACCOUNT."
    )
