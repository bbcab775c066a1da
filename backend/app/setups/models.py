"""A setup: the analyst's plan, with the rules the database itself keeps."""

from enum import StrEnum

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from app.accounts.models import Account
from app.core.decimal_text import plain
from app.domain.terms import EntryType, OnTimeout, Side, TimeInForce


def _choices(vocabulary: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in vocabulary]


def _only_size(given: str) -> Q:
    others = {f"{name}__isnull": True for name in ("quantity", "risk_amount", "risk_percent") if name != given}
    return Q(**{f"{given}__isnull": False, f"{given}__gt": 0}, **others)


class Setup(models.Model):
    """Symbol, side, entry, protective stop, and exactly one of quantity, risk amount and risk percent."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="setups")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="setups")
    symbol = models.CharField(max_length=32)
    security_type = models.CharField(max_length=8, default="STK")
    exchange = models.CharField(max_length=16, default="SMART")
    currency = models.CharField(max_length=8, default="USD")
    side = models.CharField(max_length=8, choices=_choices(Side))
    entry_type = models.CharField(max_length=16, choices=_choices(EntryType))
    entry_price = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    entry_limit_price = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    stop_price = models.DecimalField(max_digits=20, decimal_places=8)
    quantity = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    risk_amount = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    risk_percent = models.DecimalField(max_digits=7, decimal_places=4, null=True, blank=True)
    time_in_force = models.CharField(max_length=8, choices=_choices(TimeInForce), default=TimeInForce.DAY.value)
    outside_rth = models.BooleanField(default=False)
    entry_timeout_seconds = models.PositiveIntegerField(null=True, blank=True)
    on_timeout = models.CharField(max_length=8, choices=_choices(OnTimeout), default=OnTimeout.CANCEL.value)
    notes = models.TextField(blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    # Counted by the database (migration 0002), whoever writes: no service and no `update()` can forget it.
    revision = models.PositiveIntegerField(default=1, editable=False)
    executed_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("view_all_setups", "May see every analyst's setups and executions")]
        constraints = [
            models.CheckConstraint(condition=Q(stop_price__gt=0), name="setup_stop_price_positive"),
            # A check that is neither true nor false passes: every column that must be there is asked for by name.
            models.CheckConstraint(
                condition=_only_size("quantity") | _only_size("risk_amount") | _only_size("risk_percent"),
                name="setup_exactly_one_size",
            ),
            models.CheckConstraint(
                condition=Q(entry_type="MARKET", entry_price__isnull=True, entry_limit_price__isnull=True)
                | Q(
                    entry_type__in=["LIMIT", "STOP"],
                    entry_price__isnull=False,
                    entry_price__gt=0,
                    entry_limit_price__isnull=True,
                )
                | Q(
                    entry_type="STOP_LIMIT",
                    entry_price__isnull=False,
                    entry_price__gt=0,
                    entry_limit_price__isnull=False,
                    entry_limit_price__gt=0,
                ),
                name="setup_entry_prices_fit_type",
            ),
            models.CheckConstraint(
                condition=Q(entry_price__isnull=True)
                | Q(side="LONG", stop_price__lt=F("entry_price"))
                | Q(side="SHORT", stop_price__gt=F("entry_price")),
                name="setup_stop_on_losing_side",
            ),
            models.CheckConstraint(
                condition=Q(entry_timeout_seconds__isnull=True) | Q(entry_timeout_seconds__gte=1),
                name="setup_entry_timeout_positive",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="setup_by_owner"),
            models.Index(fields=["symbol", "-id"], name="setup_by_symbol"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} #{self.pk}"

    @property
    def state(self) -> str:
        """`ARCHIVED`, `EXECUTED` (at least one attempt was made; it can no longer be changed) or `DRAFT`."""
        if self.archived_at:
            return "ARCHIVED"
        return "EXECUTED" if self.executed_at else "DRAFT"


class TakeProfit(models.Model):
    """A target of a setup: this fraction of the position is closed at this price."""

    setup = models.ForeignKey(Setup, on_delete=models.CASCADE, related_name="take_profits")
    position = models.PositiveSmallIntegerField()
    price = models.DecimalField(max_digits=20, decimal_places=8)
    fraction = models.DecimalField(max_digits=7, decimal_places=6, default=1)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["setup", "position"], name="one_target_per_position"),
            models.CheckConstraint(condition=Q(price__gt=0), name="target_price_positive"),
            models.CheckConstraint(condition=Q(fraction__gt=0, fraction__lte=1), name="target_fraction_in_range"),
        ]

    def __str__(self) -> str:
        return f"{plain(self.fraction)} at {plain(self.price, places_min=2)}"
