"""A setup as it comes in and goes out."""

from typing import Any

from rest_framework import serializers

from app.api.decimal_fields import Fraction, Money, Percent, Price, Quantity
from app.api.strict_fields import StrictBoolean, StrictChoice, StrictInteger, StrictPattern, StrictText
from app.api.strict_input import StrictInput
from app.domain.terms import EntryType, OnTimeout, Side, TimeInForce
from app.setups.models import Setup

TARGETS_MAX = 10
TAGS_MAX, TAG_LENGTH_MAX = 20, 40
NOTES_LENGTH_MAX = 10_000
ENTRY_TIMEOUT_SECONDS_MAX = 30 * 24 * 3600
SYMBOL_PATTERN = r"^\s*[A-Za-z0-9][A-Za-z0-9 .\-]{0,31}\s*$"


def _without_comma(tag: str) -> None:
    """Raise ValidationError for a tag that the page, which separates tags by commas, could not keep."""
    if "," in tag:
        raise serializers.ValidationError("A tag has no comma.", code="invalid")


class TargetInput(StrictInput):
    """A take-profit."""

    price = Price()
    fraction = Fraction(required=False)


class SetupInput(StrictInput):
    """What an analyst plans. Exactly one of `quantity`, `risk_amount` and `risk_percent` is given."""

    account = StrictText(
        max_length=32, required=False, help_text="The broker's id of the account; the configured one when left out."
    )
    symbol = StrictPattern(SYMBOL_PATTERN, help_text="As the broker spells it; upper-cased here.")
    side = StrictChoice(choices=[side.value for side in Side])
    entry_type = StrictChoice(choices=[kind.value for kind in EntryType])
    entry_price = Price(
        required=False, allow_null=True, help_text="The limit of LIMIT, the trigger of STOP and STOP_LIMIT."
    )
    entry_limit_price = Price(required=False, allow_null=True, help_text="The limit of a triggered STOP_LIMIT.")
    stop_price = Price(help_text="The protective stop.")
    take_profits = serializers.ListField(child=TargetInput(), required=False, max_length=TARGETS_MAX)
    quantity = Quantity(required=False, allow_null=True, help_text="Whole shares.")
    risk_amount = Money(required=False, allow_null=True, help_text="Account currency lost when the stop fills.")
    risk_percent = Percent(required=False, allow_null=True, help_text="2 risks 2 % of the net liquidation value.")
    time_in_force = StrictChoice(choices=[tif.value for tif in TimeInForce], required=False)
    outside_rth = StrictBoolean(required=False)
    entry_timeout_seconds = StrictInteger(
        min_value=1, max_value=ENTRY_TIMEOUT_SECONDS_MAX, required=False, allow_null=True
    )
    on_timeout = StrictChoice(choices=[policy.value for policy in OnTimeout], required=False)
    notes = StrictText(
        max_length=NOTES_LENGTH_MAX,
        required=False,
        allow_blank=True,
        help_text="Each line end is stored as LF.",
    )
    tags = serializers.ListField(
        child=StrictText(max_length=TAG_LENGTH_MAX, validators=[_without_comma], help_text="Without a comma."),
        max_length=TAGS_MAX,
        required=False,
    )

    def validate_notes(self, value: str) -> str:
        """Return the notes with the line ends that the page stores: an edit there that changes nothing keeps them."""
        return value.replace("\r\n", "\n").replace("\r", "\n")

    def validate_symbol(self, value: str) -> str:
        """Return the symbol as the broker spells it."""
        return value.strip().upper()


class TargetOutput(serializers.Serializer[Any]):
    """A take-profit."""

    price = Price()
    fraction = Fraction()


class SetupOutput(serializers.ModelSerializer[Setup]):
    """A setup as it is stored."""

    owner = serializers.CharField(source="owner.username")
    account = serializers.CharField(source="account.account_id")
    state = serializers.ChoiceField(choices=["DRAFT", "EXECUTED", "ARCHIVED"])
    entry_price = Price(allow_null=True)
    entry_limit_price = Price(allow_null=True)
    stop_price = Price()
    take_profits = TargetOutput(many=True)
    quantity = Quantity(allow_null=True)
    risk_amount = Money(allow_null=True)
    risk_percent = Percent(allow_null=True)

    class Meta:
        model = Setup
        fields = [
            "id",
            "revision",
            "state",
            "owner",
            "account",
            "symbol",
            "security_type",
            "exchange",
            "currency",
            "side",
            "entry_type",
            "entry_price",
            "entry_limit_price",
            "stop_price",
            "take_profits",
            "quantity",
            "risk_amount",
            "risk_percent",
            "time_in_force",
            "outside_rth",
            "entry_timeout_seconds",
            "on_timeout",
            "notes",
            "tags",
            "executed_at",
            "archived_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields
