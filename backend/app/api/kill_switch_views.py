"""The kill switch over REST: see it, engage it, release it; for all accounts or for one."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from app.accounts.access import require_may_see_accounts
from app.accounts.kill_switch import kill_switches_engaged, require_may_engage, require_may_release
from app.accounts.models import Account, KillSwitch
from app.api.preconditions import Preconditions
from app.api.schema import ERRORS
from app.api.strict_fields import StrictBoolean, StrictText
from app.api.strict_input import StrictInput, StrictQuery, body_read
from app.core import clock
from app.executions.models import Decision
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release, kill_switch_said_again

REASON_LENGTH_MAX = 1000


class EngageInput(StrictInput):
    """Why trading is stopped."""

    reason = StrictText(max_length=REASON_LENGTH_MAX)
    flatten = StrictBoolean(required=False, default=False, help_text="Also close every position of ours.")


class ReleaseInput(StrictInput):
    """Why trading goes on."""

    reason = StrictText(max_length=REASON_LENGTH_MAX)


class SaidAgainOutput(serializers.ModelSerializer[Decision]):
    """One who engaged what was engaged already."""

    engaged_by = serializers.CharField(source="user.username", allow_null=True, default=None)
    engaged_at = serializers.DateTimeField(source="decided_at")

    class Meta:
        model = Decision
        fields = ["reason", "engaged_at", "engaged_by"]
        read_only_fields = fields


class KillSwitchOutput(serializers.ModelSerializer[KillSwitch]):
    """One time that trading was stopped."""

    account = serializers.CharField(
        source="account.account_id", allow_null=True, default=None, help_text="Null where all accounts are stopped."
    )
    engaged_by = serializers.CharField(source="engaged_by.username", allow_null=True, default=None)
    said_again = serializers.SerializerMethodField(help_text="Who engaged it while it was engaged, oldest first.")

    class Meta:
        model = KillSwitch
        fields = ["id", "account", "reason", "flatten", "engaged_at", "engaged_by", "released_at", "said_again"]
        read_only_fields = fields

    @extend_schema_field(SaidAgainOutput(many=True))
    def get_said_again(self, switch: KillSwitch) -> Any:
        """Return the later reasons."""
        return SaidAgainOutput(kill_switch_said_again(switch), many=True).data


class KillSwitchState(serializers.Serializer[Any]):
    """Whether trading is stopped, and by which switches."""

    engaged = serializers.BooleanField()
    switches = KillSwitchOutput(many=True)


class _KillSwitchView(StrictQuery):
    def account_of(self, account_id: str | None) -> Account | None:
        """Return the account, None for all of them. Raises Http404."""
        if account_id is None:
            return None
        account = Account.objects.filter(account_id=account_id).first()
        if account is None:
            raise Http404
        return account

    def state_of(self, account: Account | None) -> Response:
        """Answer with the engaged switches: all of them, or those that stop this account."""
        switches = list(kill_switches_engaged(account))
        return Response(KillSwitchState({"engaged": bool(switches), "switches": switches}).data)

    def engage(self, request: Request, account_id: str | None) -> Response:
        """Stop trading."""
        user, account = require_may_engage(request.user), self.account_of(account_id)
        kill_switch_engage(account=account, user=user, now=clock.now(), **body_read(EngageInput(data=request.data)))
        return self.state_of(account)

    def release(self, request: Request, account_id: str | None) -> Response:
        """Let trading go on."""
        user, account = require_may_release(request.user), self.account_of(account_id)
        kill_switch_release(account=account, user=user, now=clock.now(), **body_read(ReleaseInput(data=request.data)))
        return self.state_of(account)


class KillSwitchOfAll(_KillSwitchView):
    """The kill switch of all accounts."""

    inputs = {"POST": EngageInput}
    preconditions = Preconditions.IGNORED

    @extend_schema(operation_id="kill_switch_read", responses={200: KillSwitchState, **ERRORS})
    def get(self, request: Request) -> Response:
        """List every engaged switch."""
        require_may_see_accounts(request.user)
        return self.state_of(None)

    @extend_schema(operation_id="kill_switch_engage", request=EngageInput, responses={200: KillSwitchState, **ERRORS})
    def post(self, request: Request) -> Response:
        """Stop trading on all accounts. Safe to repeat; `flatten` can be added."""
        return self.engage(request, None)


class KillSwitchOfAllRelease(_KillSwitchView):
    """Releasing the kill switch of all accounts."""

    inputs = {"POST": ReleaseInput}

    @extend_schema(operation_id="kill_switch_release", request=ReleaseInput, responses={200: KillSwitchState, **ERRORS})
    def post(self, request: Request) -> Response:
        """Let trading go on, but for accounts that are stopped by a switch of their own."""
        return self.release(request, None)


class AccountKillSwitch(_KillSwitchView):
    """One account's kill switch."""

    inputs = {"POST": EngageInput}
    preconditions = Preconditions.IGNORED

    @extend_schema(operation_id="account_kill_switch_read", responses={200: KillSwitchState, **ERRORS})
    def get(self, request: Request, account_id: str) -> Response:
        """List the engaged switches that stop this account: its own, and that of all accounts."""
        require_may_see_accounts(request.user)
        return self.state_of(self.account_of(account_id))

    @extend_schema(
        operation_id="account_kill_switch_engage", request=EngageInput, responses={200: KillSwitchState, **ERRORS}
    )
    def post(self, request: Request, account_id: str) -> Response:
        """Stop trading on this account. Safe to repeat; `flatten` can be added."""
        return self.engage(request, account_id)


class AccountKillSwitchRelease(_KillSwitchView):
    """Releasing one account's kill switch."""

    inputs = {"POST": ReleaseInput}

    @extend_schema(
        operation_id="account_kill_switch_release", request=ReleaseInput, responses={200: KillSwitchState, **ERRORS}
    )
    def post(self, request: Request, account_id: str) -> Response:
        """Release this account's own switch; that of all accounts stays."""
        return self.release(request, account_id)
