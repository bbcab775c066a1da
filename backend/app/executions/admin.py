"""The order history: executions with their orders, fills, commissions and what the broker reported; and their lists.

Only to read. Lists take a fixed number of queries, and as long over a million rows as over ten.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from app.accounts.admin_columns import decimal_shown, table
from app.accounts.admin_export import ExportingAdmin
from app.accounts.read_only_admin import ReadOnlyAdmin
from app.executions import selectors
from app.executions.admin_tables import (
    COMMAND_COLUMNS,
    EVENT_COLUMNS,
    EXECUTIONS_FILE,
    FACT_COLUMNS,
    FILL_COLUMNS,
    FILLS_FILE,
    ORDER_COLUMNS,
    ORDERS_FILE,
    cost,
    execution_link,
    facts_of,
    last_message,
    link_to,
    order_line,
    preflight_columns,
    realised,
)
from app.executions.event_text import event_line
from app.executions.models import BrokerEvent, Execution, Fill, Order
from app.executions.order_search import executions_found, orders_found
from app.market.models import Instrument

EVENTS_SHOWN_MAX = 300
REPORTED_LENGTH_MAX = 90


class SymbolFilter(admin.SimpleListFilter):
    """By symbol; the choices are the symbols ever looked up, not a count over all rows."""

    title = "symbol"
    parameter_name = "symbol"
    column = "symbol"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the symbols to choose from."""
        return [(symbol, symbol) for symbol in Instrument.objects.values_list("symbol", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen symbol's rows."""
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class OrderSymbolFilter(SymbolFilter):
    """By the symbol of the order's execution."""

    column = "bracket__execution__symbol"


@admin.register(Execution)
class ExecutionAdmin(ExportingAdmin):
    """What was done about setups."""

    list_display = (
        "id",
        "symbol",
        "side",
        "shares",
        "status",
        "requested_at",
        "needs_a_person",
        "reference",
        "reason_code",
        "exit_reason",
        "account",
        "requested_by",
    )
    list_filter = (SymbolFilter, "status", "account", "requested_at", "requested_by")
    search_fields = ("key",)  # Shows the box; `get_search_results` reads it.
    search_help_text = "order_ref, perm id, IB-<entry>:<stop>, exec id, symbol, or the execution's number"
    fieldsets = (
        (None, {"fields": (("symbol", "side", "shares", "held"), ("status", "reference", "account"), "attention")}),
        ("Orders", {"fields": ("orders",), "classes": ("records",)}),
        ("Fills and commissions", {"fields": ("deals",), "classes": ("records",)}),
        ("Checks before sending", {"fields": ("checks",), "classes": ("records", "collapse")}),
        ("What we sent, and why", {"fields": ("commands",), "classes": ("records", "collapse")}),
        ("What the broker reported", {"fields": ("events",), "classes": ("records", "collapse")}),
        (
            "Request and course",
            {
                "classes": ("collapse",),
                "fields": (
                    ("setup", "requested_by", "requested_at"),
                    "idempotency_key",
                    ("claimed_at", "deadline_at", "on_timeout"),
                    ("cancel_requested_at", "cancel_reason"),
                    ("finished_at", "exit_reason", "reason_code"),
                    "reason",
                ),
            },
        ),
    )
    readonly_fields = ("shares", "held", "reference", "orders", "deals", "checks", "commands", "events")
    export_columns = EXECUTIONS_FILE
    shares = decimal_shown("quantity", "shares")
    held = decimal_shown("open_quantity", "open now")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return executions with what the list and the page show of them."""
        return selectors.with_fills(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the executions a name of the broker's or of ours leads to."""
        return executions_found(queryset, search_term), False

    @admin.display(description="attention", ordering="attention")
    def needs_a_person(self, execution: Execution) -> str:
        """Return a word where a person must look, else nothing: an icon for "not known" would alarm for nothing."""
        return "needed" if execution.attention else ""

    @admin.display(description="Orders")
    def orders(self, execution: Execution) -> SafeString:
        """Return the orders of all brackets."""
        return table(ORDER_COLUMNS, selectors.orders_of(execution), caption="Orders")

    @admin.display(description="Fills")
    def deals(self, execution: Execution) -> SafeString:
        """Return the fills of all orders with what they cost."""
        return table(FILL_COLUMNS, selectors.deals_of(execution), caption="Fills and commissions")

    @admin.display(description="Checks")
    def checks(self, execution: Execution) -> SafeString:
        """Return what the checks before sending measured."""
        return table(preflight_columns(execution.preflight), execution.preflight, caption="Checks before sending")

    @admin.display(description="Commands")
    def commands(self, execution: Execution) -> SafeString:
        """Return what was to be sent about the orders: who wanted it and why, and what settled it."""
        commands = selectors.commands_of(execution, newest_max=EVENTS_SHOWN_MAX)
        return table(COMMAND_COLUMNS, commands, caption="What we sent, and why")

    @admin.display(description="Events")
    def events(self, execution: Execution) -> SafeString:
        """Return what the broker reported, as stored."""
        events = selectors.events_of(execution, newest_max=EVENTS_SHOWN_MAX)
        return table(EVENT_COLUMNS, events, caption="What the broker reported")


@admin.register(Order)
class OrderAdmin(ExportingAdmin):
    """Every order ever sent."""

    list_display = (
        "order_ref",
        "execution",
        "symbol",
        "leg",
        "display_status",
        "sent_at",
        "asked_for",
        "limit",
        "stop",
        "filled",
        "average",
        "order_id",
        "perm_id",
        "account",
    )
    list_filter = (OrderSymbolFilter, "status", "leg", "account", "sent_at")
    list_select_related = ("account", "bracket__execution")
    search_fields = ("order_ref",)
    search_help_text = "order_ref, perm id, IB-<entry>:<stop>, exec id, or symbol"
    fieldsets = (
        (None, {"fields": (("execution", "symbol", "leg"), "order_ref", ("display_status", "asked_for"))}),
        ("Prices", {"fields": (("limit", "stop", "filled", "average"),)}),
        ("At the broker", {"fields": (("order_id", "client_id", "perm_id"), ("account", "outside_rth"), "why_held")}),
        ("Course", {"fields": (("sent_at", "acknowledged_at", "finished_at"), "message")}),
    )
    readonly_fields = (
        *("execution", "symbol", "display_status", "asked_for", "limit", "stop", "filled", "average", "message"),
    )
    export_columns = ORDERS_FILE
    limit = decimal_shown("limit_price", "limit", places_min=2)
    stop = decimal_shown("stop_price", "stop", places_min=2)
    filled = decimal_shown("filled_quantity", "filled")
    average = decimal_shown("average_price", "average", places_min=2)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the orders a name of the broker's or of ours leads to."""
        return orders_found(queryset, search_term), False

    @admin.display(description="execution", ordering="bracket__execution_id")
    def execution(self, order: Order) -> SafeString:
        """Return a link to the execution."""
        return execution_link(order.bracket.execution)

    @admin.display(description="symbol")
    def symbol(self, order: Order) -> str:
        """Return the execution's symbol."""
        return order.bracket.execution.symbol

    @admin.display(description="order", ordering="quantity")
    def asked_for(self, order: Order) -> str:
        """Return what the order asks for."""
        return order_line(order)

    @admin.display(description="last message")
    def message(self, order: Order) -> str:
        """Return the last code and text about the order."""
        return last_message(order)


@admin.register(Fill)
class FillAdmin(ExportingAdmin):
    """Every fill."""

    list_display = (
        "exec_id",
        "symbol",
        "execution",
        "leg",
        "shares",
        "price_paid",
        "executed_at",
        "commission_paid",
        "realised",
        "superseded",
        "order",
    )
    list_filter = ("order__account", "executed_at", "superseded")
    list_select_related = ("order__account", "order__bracket__execution", "commission")
    search_fields = ("exec_id", "order__order_ref", "order__bracket__execution__symbol")
    fields = (
        *("exec_id", ("symbol", "execution", "order_link", "leg"), ("shares", "price_paid", "executed_at")),
        *(("commission_paid", "realised"), "superseded"),
    )
    readonly_fields = (
        *("symbol", "execution", "order_link", "leg", "shares", "price_paid", "commission_paid", "realised"),
    )
    export_columns = FILLS_FILE
    shares = decimal_shown("quantity", "shares")
    price_paid = decimal_shown("price", "price", places_min=2)

    @admin.display(description="symbol", ordering="order__bracket__execution__symbol")
    def symbol(self, fill: Fill) -> str:
        """Return the execution's symbol."""
        return fill.order.bracket.execution.symbol

    @admin.display(description="execution", ordering="order__bracket__execution_id")
    def execution(self, fill: Fill) -> SafeString:
        """Return a link to the execution."""
        return execution_link(fill.order.bracket.execution)

    @admin.display(description="order")
    def order_link(self, fill: Fill) -> SafeString:
        """Return a link to the order."""
        return link_to(fill.order, fill.order.order_ref)

    @admin.display(description="role", ordering="order__leg")
    def leg(self, fill: Fill) -> str:
        """Return what the order is for."""
        return fill.order.leg

    @admin.display(description="commission", ordering="commission__amount")
    def commission_paid(self, fill: Fill) -> str:
        """Return the cost, where it is known."""
        return cost(fill)

    @admin.display(description="realised", ordering="commission__realized_pnl")
    def realised(self, fill: Fill) -> str:
        """Return the realised result, where the fill closed something."""
        return realised(fill)


@admin.register(BrokerEvent)
class BrokerEventAdmin(ReadOnlyAdmin):
    """Everything the broker reported, also about orders that are not ours."""

    list_display = ("id", "received", "kind", "reported", "order", "account")
    list_filter = ("kind", "received_at")
    list_select_related = ("order",)
    search_fields = ("dedupe_key", "order__order_ref")
    fields = (("received_at", "recorded_at"), ("kind", "account"), ("order", "execution"), "dedupe_key", "facts")
    readonly_fields = ("facts",)

    @admin.display(description="received", ordering="id")
    def received(self, event: BrokerEvent) -> Any:
        """Return when it came. Sorted by id: the order of recording, also among what came within one second."""
        return event.received_at

    @admin.display(description="reported")
    def reported(self, event: BrokerEvent) -> str:
        """Return the event in a short line."""
        line = event_line(event.payload)
        return line if len(line) <= REPORTED_LENGTH_MAX else f"{line[: REPORTED_LENGTH_MAX - 1]}…"

    @admin.display(description="everything reported")
    def facts(self, event: BrokerEvent) -> SafeString:
        """Return what was stored, fact by fact."""
        return table(FACT_COLUMNS, facts_of(event), caption="Everything reported")
