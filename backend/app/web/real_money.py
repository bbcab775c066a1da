"""The tick without which no page moves real money; the server insists on it, whatever the page shows."""

from app.accounts.models import Account
from app.core.errors import FixRequest


def real_money_require(account: Account, *, named: str) -> None:
    """Raise FixRequest `live_not_confirmed` unless the account is a paper one, or `named` by who means real money."""
    if not account.is_paper and named != account.account_id:
        raise FixRequest(
            f"{account} is a live account: tick that you mean real money on {account}.", code="live_not_confirmed"
        )
