"""What the broker says about a symbol, remembered."""

from django.db import models
from django.db.models import Q


class Instrument(models.Model):
    """A symbol as the broker describes it, and the price it was last seen at.

    `price_increments` is a list of `{"low_edge", "increment"}`, decimals as strings, sorted by `low_edge`.
    """

    symbol = models.CharField(max_length=32, unique=True)
    con_id = models.BigIntegerField()
    long_name = models.CharField(max_length=200, blank=True)
    primary_exchange = models.CharField(max_length=32, blank=True)
    currency = models.CharField(max_length=8, default="USD")
    price_increments = models.JSONField()
    last_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    last_price_at = models.DateTimeField(null=True)
    looked_up_at = models.DateTimeField()

    class Meta:
        ordering = ["symbol"]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_price__isnull=True) | Q(last_price__gt=0), name="last_price_positive"
            )
        ]

    def __str__(self) -> str:
        return self.symbol
