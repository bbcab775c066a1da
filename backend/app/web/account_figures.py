"""The account's figures in the header: equity, buying power and the day's result, as the broker last reported them.

Nothing is computed and nothing assumed: a figure that was never reported is a dash, and together they say how old
they are.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from app.accounts.access import may_see_accounts
from app.accounts.models import Account
from app.core import clock

OLD_SECONDS = 300  # The worker asks for them every minute while it is connected; this long is not right any more.


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountFigures:
    """What the header shows of an account. None is "not reported"."""

    account: str
    currency: str
    equity: Decimal | None
    buying_power: Decimal | None
    day_result: Decimal | None
    reported_at: datetime | None
    age_seconds: int
    old_seconds: int = OLD_SECONDS

    @property
    def age(self) -> str:
        """The age in words."""
        return age_text(self.age_seconds)

    @property
    def is_old(self) -> bool:
        """Whether the worker should have reported again long ago."""
        return self.reported_at is not None and self.age_seconds > self.old_seconds


def figures_for(request: HttpRequest, *, account_id: str) -> AccountFigures | None:
    """Return this account's figures, or None for who may not see accounts, and where there is no such account."""
    if not may_see_accounts(request.user):
        return None
    account = Account.objects.filter(account_id=account_id).first()
    if account is None:
        return None
    now = clock.now()
    age = (now - (account.worth_updated_at or now)).total_seconds()
    return AccountFigures(
        account=account.account_id,
        currency=account.currency,
        equity=account.net_liquidation,
        buying_power=account.buying_power,
        day_result=None,  # The broker's day result is not stored; ours alone would be another figure.
        reported_at=account.worth_updated_at,
        age_seconds=max(0, int(age)),
    )


def age_text(seconds: float) -> str:
    """Return an age as people say it: `12 s`, `3 min`, `5 h`, `2 d`."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86_400)} d"


@login_required
@require_safe
def account_figures(request: HttpRequest) -> HttpResponse:
    """Return the figures alone, which every page asks for again and again."""
    return render(request, "web/parts/figures.html")
