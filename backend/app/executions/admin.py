"""The order history: executions with their orders, deals, costs and what the broker told; orders; deals; events.

Only to read. Lists take a fixed number of queries, and as long over a million rows as over ten.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from app.accounts.read_only_admin import ReadOnlyAdmin
from app.core.decimal_text import plain
from app.executions import selectors
from app.executions.models import BrokerEvent, Execution, Fill, Order
from app.executions.order_search import executions_found, orders_found
from app.market.models import Instrument

EVENTS_SHOWN_MAX = 300


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
class ExecutionAdmin(ReadOnlyAdmin):
    """What was done about setups."""

    list_display = (
        "id",
        "symbol",
        "side",
        "shares",
        "status",
        "reference",
        "reason_code",
        "exit_reason",
        "account",
        "requested_by",
        "requested_at",
        "needs_a_person",
    )
    list_filter = (SymbolFilter, "status", "account", "requested_at", "requested_by")
    search_fields = ("key",)  # Shows the box; `get_search_results` reads it.
    search_help_text = "order_ref, perm id, IB-<entry>:<stop>, exec id, symbol, or the execution's number"
    fieldsets = (
        (None, {"fields": (("symbol", "side", "shares", "held"), ("status", "reference"), "attention", "orders")}),
        ("Deals", {"fields": ("deals",)}),
        ("What the broker told", {"fields": ("events",)}),
        ("Request", {"fields": ("setup", "account", "requested_by", "requested_at", "idempotency_key", "preflight")}),
        (
            "Course",
            {
                "fields": (
                    ("claimed_at", "deadline_at", "on_timeout"),
                    ("cancel_requested_at", "cancel_sent_at", "cancel_reason"),
                    ("finished_at", "exit_reason", "reason_code"),
                    "reason",
                )
            },
        ),
    )
    readonly_fields = ("shares", "held", "reference", "orders", "deals", "events")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return executions with what the list and the page show of them."""
        return selectors.with_fills(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the executions a name of the broker's or of ours leads to."""
        return executions_found(queryset, search_term), False

    @admin.display(description="shares", ordering="quantity")
    def shares(self, execution: Execution) -> str:
        """Return the size, plainly."""
        return plain(execution.quantity)

    @admin.display(description="held now")
    def held(self, execution: Execution) -> str:
        """Return the shares open now, plainly."""
        return plain(execution.open_quantity)

    @admin.display(boolean=True, description="look")
    def needs_a_person(self, execution: Execution) -> bool | None:
        """Return False (a red cross) where a person must look, else nothing."""
        return False if execution.attention else None

    @admin.display(description="Orders")
    def orders(self, execution: Execution) -> SafeString:
        """Return the legs of all brackets."""
        headings = (
            "leg",
            "order_ref",
            "id",
            "perm id",
            "order",
            "limit",
            "stop",
            "filled",
            "average",
            "status",
            "told",
        )
        return _table(headings, (_order_row(order) for order in selectors.orders_of(execution)))

    @admin.display(description="Deals and commissions")
    def deals(self, execution: Execution) -> SafeString:
        """Return the deals of all legs with what they cost."""
        headings = ("executed, UTC", "leg", "exec id", "shares", "price", "commission", "realised")
        return _table(headings, (_deal_row(deal) for deal in selectors.deals_of(execution)))

    @admin.display(description="Events")
    def events(self, execution: Execution) -> SafeString:
        """Return what the broker told, as stored."""
        rows = (
            (f"{event.received_at:%Y-%m-%d %H:%M:%S.%f}", event.kind, event.order or "", _facts(event))
            for event in selectors.events_of(execution, newest_max=EVENTS_SHOWN_MAX)
        )
        return _table(("received, UTC", "kind", "order", "told"), rows)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Every leg ever sent."""

    list_display = (
        "order_ref",
        "execution",
        "symbol",
        "leg",
        "action",
        "order_type",
        "shares",
        "filled",
        "average",
        "display_status",
        "order_id",
        "perm_id",
        "account",
        "sent_at",
    )
    list_filter = (OrderSymbolFilter, "status", "leg", "account", "sent_at")
    list_select_related = ("account", "bracket__execution")
    search_fields = ("order_ref",)
    search_help_text = "order_ref, perm id, IB-<entry>:<stop>, exec id, or symbol"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the orders a name of the broker's or of ours leads to."""
        return orders_found(queryset, search_term), False

    @admin.display(description="execution")
    def execution(self, order: Order) -> SafeString:
        """Return a link to the execution."""
        number = order.bracket.execution_id
        return format_html('<a href="{}">#{}</a>', reverse("admin:executions_execution_change", args=[number]), number)

    @admin.display(description="symbol")
    def symbol(self, order: Order) -> str:
        """Return the execution's symbol."""
        return order.bracket.execution.symbol

    @admin.display(description="shares")
    def shares(self, order: Order) -> str:
        """Return the size, plainly."""
        return plain(order.quantity)

    @admin.display(description="filled")
    def filled(self, order: Order) -> str:
        """Return the filled shares, plainly."""
        return plain(order.filled_quantity)

    @admin.display(description="average")
    def average(self, order: Order) -> str:
        """Return the average price, plainly."""
        return _price(order.average_price)


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    """Every deal."""

    list_display = ("exec_id", "order", "quantity", "price", "executed_at", "commission_paid", "superseded")
    list_filter = ("order__account", "executed_at", "superseded")
    list_select_related = ("order", "commission")
    search_fields = ("exec_id", "order__order_ref")

    @admin.display(description="commission")
    def commission_paid(self, fill: Fill) -> str:
        """Return the cost, where it is told."""
        return _cost(fill)


@admin.register(BrokerEvent)
class BrokerEventAdmin(ReadOnlyAdmin):
    """Everything the broker told, also about orders that are not ours."""

    list_display = ("id", "received_at", "kind", "order", "account", "dedupe_key")
    list_filter = ("kind", "received_at")
    list_select_related = ("order",)
    search_fields = ("dedupe_key",)


def _order_row(order: Order) -> tuple[Any, ...]:
    address = reverse("admin:executions_order_change", args=[order.pk])
    told = f" – {order.last_error_code}: {order.last_error}" if order.last_error_code is not None else ""
    average = f" at {_price(order.average_price)}" if order.average_price is not None else ""
    prices = [_price(price) for price in (order.stop_price, order.limit_price) if price is not None]
    return (
        order.leg,
        format_html('<a href="{}">{}</a>', address, order.order_ref),
        order.order_id or "–",
        order.perm_id,
        f"{order.action} {plain(order.quantity)} {order.order_type} {order.time_in_force}",
        " / ".join(prices) or "–",
        f"{plain(order.filled_quantity)}{average}",
        f"{order.display_status}{told}",
    )


def _deal_row(deal: Fill) -> tuple[Any, ...]:
    commission = getattr(deal, "commission", None)
    return (
        f"{deal.executed_at:%Y-%m-%d %H:%M:%S}",
        deal.order.leg,
        deal.exec_id,
        plain(deal.quantity),
        _price(deal.price),
        _cost(deal),
        _price(commission.realized_pnl if commission else None),
    )


def _cost(fill: Fill) -> str:
    commission = getattr(fill, "commission", None)
    return f"{_price(commission.amount)} {commission.currency}" if commission else "–"


def _price(value: Decimal | None) -> str:
    return "–" if value is None else plain(value, places_min=2)


def _facts(event: BrokerEvent) -> str:
    hidden = ("dedupe_key", "account", "received_at", "order_ref")
    return ", ".join(f"{name}={value}" for name, value in event.payload.items() if name not in hidden and value != "")


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> SafeString:
    body = format_html_join(
        "", "<tr>{}</tr>", ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows)
    )
    if not body:
        return format_html("{}", "–")
    head = format_html_join("", "<th>{}</th>", ((heading,) for heading in headings))
    return format_html(
        '<div style="overflow-x:auto"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>', head, body
    )
