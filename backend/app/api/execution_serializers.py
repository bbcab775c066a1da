"""An execution as it goes out: the object scripts are written against.

The reads behind it are a fixed number of queries, however many brackets, orders and fills there are.
"""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from app.api.decimal_fields import Money, Price, Quantity
from app.api.strict_fields import StrictInteger
from app.api.strict_input import StrictInput
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg
from app.executions import selectors
from app.executions.models import (
    Bracket,
    BrokerEvent,
    Commission,
    Execution,
    ExecutionFlag,
    Fill,
    Order,
    OrderCommand,
)

EVENTS_MAX = 500
COMMANDS_MAX = 100
DISPLAY_STATUSES = [
    *(status.value for status in OrderStatus if status not in (OrderStatus.HELD, OrderStatus.WORKING)),
    "ACCEPTED",
    "SUBMITTED",
    "PARTIALLY_FILLED",
]


class LastError(serializers.Serializer[Any]):
    """The last code and text the broker told about an order."""

    code = serializers.IntegerField(source="last_error_code")
    text = serializers.CharField(source="last_error")


class OrderOutput(serializers.ModelSerializer[Order]):
    """One leg."""

    order_id = serializers.IntegerField(allow_null=True, help_text="Valid for one client id and session.")
    perm_id = serializers.IntegerField(help_text="The broker's permanent number; 0 until acknowledged.")
    display_status = serializers.ChoiceField(choices=DISPLAY_STATUSES)
    quantity = Quantity()
    filled_quantity = Quantity()
    average_price = Price(allow_null=True)
    limit_price = Price(allow_null=True)
    stop_price = Price(allow_null=True)
    last_error = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = [
            "leg",
            "order_ref",
            "order_id",
            "perm_id",
            "client_id",
            "status",
            "display_status",
            "action",
            "order_type",
            "quantity",
            "filled_quantity",
            "average_price",
            "limit_price",
            "stop_price",
            "time_in_force",
            "outside_rth",
            "why_held",
            "last_error",
            "ended_because",
            "sent_at",
            "acknowledged_at",
            "finished_at",
        ]
        read_only_fields = fields

    @extend_schema_field(LastError(allow_null=True))
    def get_last_error(self, order: Order) -> Mapping[str, Any] | None:
        """Return `{"code", "text"}`, or null where nothing was told."""
        return None if order.last_error_code is None else LastError(order).data


class BracketOutput(serializers.ModelSerializer[Bracket]):
    """One native bracket."""

    reference = serializers.CharField(help_text='"IB-<entry>:<stop>"; "" until both ids are reserved.')
    quantity = Quantity()
    orders = OrderOutput(many=True)

    class Meta:
        model = Bracket
        fields = ["tranche", "reference", "quantity", "orders"]
        read_only_fields = fields


class FillOutput(serializers.ModelSerializer[Fill]):
    """One deal, with its cost once that is told."""

    order_ref = serializers.CharField(source="order.order_ref")
    leg = serializers.ChoiceField(source="order.leg", choices=[leg.value for leg in Leg])
    quantity = Quantity()
    price = Price()
    commission = serializers.SerializerMethodField()
    currency = serializers.SerializerMethodField()
    realized_pnl = serializers.SerializerMethodField()

    class Meta:
        model = Fill
        fields = [
            "exec_id",
            "order_ref",
            "leg",
            "quantity",
            "price",
            "executed_at",
            "commission",
            "currency",
            "realized_pnl",
        ]
        read_only_fields = fields

    @extend_schema_field(Money(allow_null=True))
    def get_commission(self, fill: Fill) -> str | None:
        """Return the cost, or null while it is not told."""
        cost = _commission(fill)
        return Money().to_representation(cost.amount) if cost else None

    def get_currency(self, fill: Fill) -> str | None:
        """Return the currency of the cost."""
        cost = _commission(fill)
        return cost.currency if cost else None

    @extend_schema_field(Money(allow_null=True))
    def get_realized_pnl(self, fill: Fill) -> str | None:
        """Return what the deal realised, or null where it opened a position or is not told."""
        cost = _commission(fill)
        return Money().to_representation(cost.realized_pnl) if cost and cost.realized_pnl is not None else None


def _commission(fill: Fill) -> Commission | None:
    return getattr(fill, "commission", None)


class CommandOutput(serializers.ModelSerializer[OrderCommand]):
    """One thing that was to be sent about an order: who wanted it and why, when it was sent, and what settled it."""

    order_ref = serializers.CharField(source="order.order_ref")
    user = serializers.CharField(source="user.username", allow_null=True, default=None)
    change = serializers.DictField(help_text="What the order is to be, by field.")

    class Meta:
        model = OrderCommand
        fields = [
            "id",
            "kind",
            "order_ref",
            "actor",
            "user",
            "reason_code",
            "change",
            "requested_at",
            "sent_at",
            "settled_at",
            "settled_how",
        ]
        read_only_fields = fields


class CheckOutput(serializers.Serializer[Any]):
    """One check made before anything was sent."""

    check = serializers.CharField()
    outcome = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="BrokerEvent")
class EventOutput(serializers.Serializer[Any]):
    """One thing the broker told, and what it said: further fields depend on `kind`."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    received_at = serializers.DateTimeField()

    def to_representation(self, event: BrokerEvent) -> dict[str, Any]:
        """Return the payload with its id and kind."""
        head = super().to_representation(event)
        own = {"order_ref": event.order.order_ref} if event.order is not None else {}
        return {**event.payload, **own, **head}


class FlagOutput(serializers.ModelSerializer[ExecutionFlag]):
    """One reason why a person had to look, and who has."""

    what_to_do = serializers.CharField(source="nature.what_to_do", help_text="What to do about flags of this code.")
    seen_by = serializers.CharField(source="seen_by.username", allow_null=True, default=None)

    class Meta:
        model = ExecutionFlag
        fields = [
            "id",
            "code",
            "sentence",
            "what_to_do",
            "raised_at",
            "raised_by",
            "resolved_at",
            "resolved_how",
            "seen_at",
            "seen_by",
        ]
        read_only_fields = fields


class SeenInput(StrictInput):
    """Which reasons were seen."""

    through = StrictInteger(
        required=False,
        min_value=1,
        max_value=2**63 - 1,
        help_text="The id of the newest flag that was read: what was raised since stays. Without it all are seen.",
    )


class ExecutionSummary(serializers.ModelSerializer[Execution]):
    """An execution as lists show it: all but its checks and events."""

    reference = serializers.CharField(help_text='"IB-<entry>:<stop>" of the first bracket; "" until ids are reserved.')
    status = serializers.ChoiceField(choices=[status.value for status in ExecutionStatus])
    attention = serializers.CharField(help_text='Why a person must look; "" where nobody must.')
    account = serializers.CharField(source="account.account_id")
    requested_by = serializers.CharField(source="requested_by.username")
    quantity = Quantity()
    open_quantity = Quantity()
    brackets = BracketOutput(many=True)
    fills = serializers.SerializerMethodField()

    class Meta:
        model = Execution
        fields = [
            "id",
            "setup",
            "status",
            "reference",
            "attention",
            "account",
            "requested_by",
            "symbol",
            "side",
            "quantity",
            "open_quantity",
            "reason_code",
            "reason",
            "exit_reason",
            "requested_at",
            "claimed_at",
            "deadline_at",
            "cancel_requested_at",
            "flatten_requested_at",
            "close_requested_at",
            "cancel_reason",
            "finished_at",
            "brackets",
            "fills",
        ]
        read_only_fields = fields

    @extend_schema_field(FillOutput(many=True))
    def get_fills(self, execution: Execution) -> list[Any]:
        """Return the deals of all legs, oldest first."""
        return list(FillOutput(selectors.deals_of(execution), many=True).data)


class ExecutionOutput(ExecutionSummary):
    """One execution with everything known of it."""

    preflight = CheckOutput(many=True)
    flags = serializers.SerializerMethodField()
    commands = serializers.SerializerMethodField()
    events = serializers.SerializerMethodField()

    class Meta(ExecutionSummary.Meta):
        fields = [*ExecutionSummary.Meta.fields, "flags", "commands", "preflight", "events"]
        read_only_fields = fields

    @extend_schema_field(FlagOutput(many=True))
    def get_flags(self, execution: Execution) -> list[Any]:
        """Return why a person had to look, oldest first; what is seen stays here."""
        return list(FlagOutput(selectors.flags_of(execution), many=True).data)

    @extend_schema_field(CommandOutput(many=True))
    def get_commands(self, execution: Execution) -> list[Any]:
        """Return what was to be sent, oldest first; the newest 100 where there is more."""
        return list(CommandOutput(selectors.commands_of(execution, newest_max=COMMANDS_MAX), many=True).data)

    @extend_schema_field(EventOutput(many=True))
    def get_events(self, execution: Execution) -> list[Any]:
        """Return what the broker told, oldest first; the newest 500 where there is more."""
        return list(EventOutput(selectors.events_of(execution, newest_max=EVENTS_MAX), many=True).data)


def execution_json(execution_id: int) -> Mapping[str, Any]:
    """Return the execution as it stands now."""
    execution = selectors.with_fills(Execution.objects.filter(pk=execution_id)).get()
    return ExecutionOutput(execution).data
