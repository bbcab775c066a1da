"""Accounts over REST: what we may trade, what it is worth, and whether it is connected. No secrets."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from app.accounts.access import require_may_see_accounts
from app.accounts.entry_gate import circuit_of
from app.accounts.models import Account, BrokerConnection
from app.accounts.selectors import is_ready
from app.api.decimal_fields import Money
from app.api.schema import ERRORS
from app.api.strict_input import StrictQuery
from app.core import clock


class ConnectionOutput(serializers.ModelSerializer[BrokerConnection]):
    """One client id's connection to the broker."""

    ready = serializers.SerializerMethodField(help_text="Whether it can send new entries now.")
    heartbeat_age_seconds = serializers.SerializerMethodField(help_text="Null where its worker never showed itself.")

    circuit = serializers.SerializerMethodField(
        help_text="CLOSED; OPEN after repeated failures: no new entries; HALF_OPEN: one more failure opens it again."
    )

    class Meta:
        model = BrokerConnection
        fields = [
            "client_id",
            "state",
            "reason",
            "ready",
            "server_version",
            "state_changed_at",
            "heartbeat_at",
            "heartbeat_age_seconds",
            "reconciled_at",
            "circuit",
        ]
        read_only_fields = fields

    def get_ready(self, connection: BrokerConnection) -> bool:
        """Say whether it can send new entries now."""
        return is_ready(connection, now=clock.now())

    def get_circuit(self, connection: BrokerConnection) -> str:
        """Return where the circuit breaker stands."""
        return circuit_of(connection, now=clock.now()).value

    def get_heartbeat_age_seconds(self, connection: BrokerConnection) -> float | None:
        """Return how long ago its worker showed itself."""
        if connection.heartbeat_at is None:
            return None
        return round((clock.now() - connection.heartbeat_at).total_seconds(), 1)


class AccountOutput(serializers.ModelSerializer[Account]):
    """A broker account."""

    account = serializers.CharField(source="account_id", help_text="The broker's id of it.")
    mode = serializers.ChoiceField(choices=["paper", "live"], help_text="Follows from the id alone.")
    net_liquidation = Money(allow_null=True)
    available_funds = Money(allow_null=True)
    buying_power = Money(allow_null=True)
    connections = ConnectionOutput(many=True)

    class Meta:
        model = Account
        fields = [
            "id",
            "account",
            "mode",
            "is_active",
            "currency",
            "net_liquidation",
            "available_funds",
            "buying_power",
            "worth_updated_at",
            "connections",
        ]
        read_only_fields = fields


class AccountCollection(StrictQuery, generics.ListAPIView[Account]):
    """The accounts we may trade."""

    is_list = True
    queryset = Account.objects.none()
    serializer_class = AccountOutput

    def get_queryset(self) -> QuerySet[Account]:
        """Return all accounts."""
        return Account.objects.prefetch_related("connections")

    @extend_schema(operation_id="accounts_list", responses={200: AccountOutput(many=True), **ERRORS})
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the accounts."""
        require_may_see_accounts(request.user)
        return super().get(request, *args, **kwargs)


class AccountItem(StrictQuery, generics.GenericAPIView[Account]):
    """One account."""

    queryset = Account.objects.none()
    serializer_class = AccountOutput
    lookup_field = "account_id"

    def get_queryset(self) -> QuerySet[Account]:
        """Return all accounts."""
        return Account.objects.prefetch_related("connections")

    @extend_schema(operation_id="accounts_read", responses={200: AccountOutput, **ERRORS})
    def get(self, request: Request, account_id: str) -> Response:
        """Read an account by the broker's id of it."""
        require_may_see_accounts(request.user)
        return Response(AccountOutput(self.get_object()).data)
