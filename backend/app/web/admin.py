"""What the admin can do to accounts beyond showing them: stop trading on the chosen ones, and let it go on."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from app.accounts.admin import AccountAdmin
from app.accounts.kill_switch import require_may_engage, require_may_release
from app.accounts.models import Account
from app.core import clock
from app.core.errors import Conflict
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release

REASON = "chosen in the admin"


class StoppableAccountAdmin(AccountAdmin):
    """Accounts with the kill switch as actions."""

    actions = ("stop_trading", "let_trading_go_on")

    @admin.action(description="Kill switch: stop trading on the chosen accounts", permissions=["engage"])
    def stop_trading(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Engage each account's kill switch."""
        user = require_may_engage(request.user)
        for account in queryset:
            kill_switch_engage(account=account, user=user, reason=REASON, now=clock.now())
        self.message_user(request, f"Trading is stopped on {_names(queryset)}.", messages.WARNING)

    @admin.action(description="Kill switch: let trading go on on the chosen accounts", permissions=["release"])
    def let_trading_go_on(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Release each account's own kill switch."""
        user = require_may_release(request.user)
        for account in queryset:
            try:
                kill_switch_release(account=account, user=user, reason=REASON, now=clock.now())
            except Conflict as error:
                self.message_user(request, error.message, messages.ERROR)

    def has_engage_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may stop trading."""
        return bool(request.user.has_perm("accounts.engage_kill_switch"))

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Say whether the user may let trading go on."""
        return bool(request.user.has_perm("accounts.release_kill_switch"))


def _names(accounts: QuerySet[Any]) -> str:
    return ", ".join(str(account) for account in accounts)


admin.site.unregister(Account)
admin.site.register(Account, StoppableAccountAdmin)
