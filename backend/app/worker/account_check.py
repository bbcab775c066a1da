"""Which account the Gateway may come back with, where nobody has named one."""

from collections.abc import Sequence

from django.db.models import Count

from app.accounts.models import BrokerConnection
from app.domain.execution_status import FINISHED
from app.executions.models import Execution

ACCOUNT_CHANGED = "account_changed"


def unfinished_on_other_accounts(*, account_id: str, client_id: int) -> Sequence[tuple[str, int]]:
    """Return the other accounts that this client id has served, with how many executions are unfinished on each.

    The one with the most is first. A Gateway that comes back with another login would leave them watched by nobody.
    """
    served = BrokerConnection.objects.filter(client_id=client_id).exclude(account__account_id=account_id)
    unfinished = Execution.objects.filter(account__in=served.values("account"))
    unfinished = unfinished.exclude(status__in=[status.value for status in FINISHED])
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
