"""Who logged in, when, from where; an admin can end all sessions of a user."""

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from app.accounts.read_only_admin import ReadOnlyAdmin
from app.core import clock
from app.logins.models import Login
from app.logins.sessions import is_open, sessions_end


@admin.register(Login)
class LoginAdmin(ReadOnlyAdmin):
    """Logins, the latest first."""

    list_display = ("at", "user", "road", "address", "browser", "last_seen_at", "is_in")
    list_filter = ("road",)
    list_select_related = ("user",)
    search_fields = ("user__username", "address")
    fields = ("user", "road", "address", "browser", "at", "last_seen_at", "ended_at")
    actions = ("end_sessions",)

    @admin.display(description="Logged in", boolean=True)
    def is_in(self, login: Login) -> bool:
        """Say whether the session can be used still."""
        return is_open(login, now=clock.now())

    @admin.action(description="Log these users out everywhere", permissions=["end"])
    def end_sessions(self, request: HttpRequest, logins: QuerySet[Login]) -> None:
        """End all sessions of the chosen logins' users."""
        for user in User.objects.filter(logins__in=logins).distinct():
            count = sessions_end(user=user, now=clock.now())
            self.message_user(request, f"{user}: {count} sessions were ended.", messages.SUCCESS)

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Say who may: whoever may change users."""
        return request.user.has_perm("auth.change_user")
