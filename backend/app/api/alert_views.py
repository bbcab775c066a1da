"""Alerts over REST: list them, acknowledge one."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from app.alerts.models import Alert, AlertDelivery
from app.alerts.selectors import alerts_visible_to, require_may_acknowledge
from app.api.schema import ERRORS
from app.api.strict_fields import QueryBoolean
from app.api.strict_input import StrictInput, StrictQuery, filters_read
from app.core import clock
from app.executions.services.attention import alert_seen


class AlertFilters(StrictInput):
    """What a list of alerts is narrowed by."""

    open = QueryBoolean(required=False, help_text="`true`: those that last; `false`: those that are over.")


class DeliveryOutput(serializers.ModelSerializer[AlertDelivery]):
    """The alert's way to one channel, which is named without its address."""

    class Meta:
        model = AlertDelivery
        fields = ["channel", "state", "attempts", "sent_at", "error"]
        read_only_fields = fields


class AlertOutput(serializers.ModelSerializer[Alert]):
    """One thing a person is told."""

    account = serializers.CharField(source="account.account_id", allow_null=True, default=None)
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", allow_null=True, default=None)
    deliveries = DeliveryOutput(many=True)

    class Meta:
        model = Alert
        fields = [
            "id",
            "kind",
            "severity",
            "subject",
            "account",
            "execution",
            "title",
            "text",
            "times",
            "raised_at",
            "last_seen_at",
            "acknowledged_at",
            "acknowledged_by",
            "resolved_at",
            "deliveries",
        ]
        read_only_fields = fields


class AlertCollection(StrictQuery, generics.ListAPIView[Alert]):
    """The alerts the user may read, newest first."""

    filters = AlertFilters
    is_list = True
    queryset = Alert.objects.none()
    serializer_class = AlertOutput

    def get_queryset(self) -> QuerySet[Alert]:
        """Return what the user may read and asked for."""
        alerts = alerts_visible_to(self.request.user).prefetch_related("deliveries")
        asked = filters_read(AlertFilters, self.request.query_params)
        return alerts.filter(resolved_at__isnull=asked["open"]) if "open" in asked else alerts

    @extend_schema(
        operation_id="alerts_list", parameters=[AlertFilters], responses={200: AlertOutput(many=True), **ERRORS}
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List alerts, newest first."""
        return super().get(request, *args, **kwargs)


class AlertAcknowledge(StrictQuery, generics.GenericAPIView[Alert]):
    """Saying that somebody has seen an alert."""

    queryset = Alert.objects.none()
    serializer_class = AlertOutput

    def get_queryset(self) -> QuerySet[Alert]:
        """Return what the user may read."""
        return alerts_visible_to(self.request.user).prefetch_related("deliveries")

    @extend_schema(operation_id="alerts_acknowledge", request=None, responses={200: AlertOutput, **ERRORS})
    def post(self, request: Request, pk: int) -> Response:
        """Acknowledge an alert; the first one counts. Those that only a person can end are over with that."""
        user = require_may_acknowledge(self.get_object(), user=request.user)
        alert_seen(alert_id=pk, user=user, now=clock.now())
        return Response(AlertOutput(self.get_object()).data)
