"""The form a new setup is planned with. It reads text into values; what they must be is for the services to say."""

from decimal import Decimal
from typing import Any

from django import forms

from app.core.errors import FixRequest
from app.domain.terms import EntryType, OnTimeout, Side, TimeInForce

TARGETS = (1, 2, 3)
ENTRY_TIMEOUT_SECONDS_MAX = 30 * 24 * 3600


def _words(vocabulary: type[Side] | type[EntryType] | type[OnTimeout] | type[TimeInForce]) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ").capitalize()) for word in vocabulary]


def _price(label: str, *, required: bool = False, help_text: str = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label, required=required, max_digits=20, decimal_places=8, help_text=help_text, widget=_number()
    )


def _number() -> forms.TextInput:
    return forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})


class SetupForm(forms.Form):
    """One setup, with up to three targets."""

    symbol = forms.RegexField(
        r"^\s*[A-Za-z0-9][A-Za-z0-9 .\-]{0,31}\s*$",
        widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "characters"}),
        error_messages={"invalid": "A symbol has letters, digits, dots, dashes and spaces."},
    )
    side = forms.ChoiceField(choices=_words(Side))
    entry_type = forms.ChoiceField(label="Entry", choices=_words(EntryType))
    entry_price = _price("Entry price", help_text="The limit, or the trigger of a stop entry.")
    entry_limit_price = _price("Limit once triggered", help_text="Stop limit entries only.")
    stop_price = _price("Protective stop", required=True)
    quantity = forms.DecimalField(required=False, max_digits=20, decimal_places=4, widget=_number())
    risk_amount = forms.DecimalField(
        label="or risk amount", required=False, max_digits=20, decimal_places=4, widget=_number()
    )
    risk_percent = forms.DecimalField(
        label="or risk % of equity", required=False, max_digits=7, decimal_places=4, widget=_number()
    )
    time_in_force = forms.ChoiceField(label="Entry in force", choices=_words(TimeInForce))
    outside_rth = forms.BooleanField(label="Outside regular hours", required=False)
    entry_timeout_seconds = forms.IntegerField(
        label="Entry time limit, seconds",
        required=False,
        min_value=1,
        max_value=ENTRY_TIMEOUT_SECONDS_MAX,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )
    on_timeout = forms.ChoiceField(label="After the time limit", choices=_words(OnTimeout))
    notes = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}))
    tags = forms.CharField(required=False, max_length=400, help_text="Separated by commas.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for number in TARGETS:
            self.fields[f"target_{number}_price"] = _price(f"Target {number}")
            self.fields[f"target_{number}_percent"] = forms.DecimalField(
                label=f"% of position at target {number}",
                required=False,
                min_value=0,
                max_value=100,
                max_digits=7,
                decimal_places=4,
                widget=_number(),
            )
        plan = ("symbol", "side", "entry_type", "entry_price", "entry_limit_price", "stop_price")
        size = ("quantity", "risk_amount", "risk_percent")
        targets = [f"target_{number}_{part}" for number in TARGETS for part in ("price", "percent")]
        self.order_fields([*plan, *size, *targets])

    def clean_tags(self) -> list[str]:
        """Return the tags as a list."""
        tags = [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]
        if any(len(tag) > 40 for tag in tags):
            raise forms.ValidationError("A tag has at most 40 characters.")
        return tags

    def values(self) -> dict[str, Any]:
        """Return the setup as the services take it."""
        values = {name: value for name, value in self.cleaned_data.items() if not name.startswith("target_")}
        values["symbol"] = values["symbol"].strip().upper()
        values["take_profits"] = [
            {"price": price, "fraction": Decimal(1) if percent is None else percent / 100}
            for number in TARGETS
            if (price := self.cleaned_data.get(f"target_{number}_price")) is not None
            for percent in [self.cleaned_data.get(f"target_{number}_percent")]
        ]
        return values

    def refuse(self, error: FixRequest) -> None:
        """Show what the services refuse beside the fields it is about."""
        problems = error.details.get("problems") or [{"code": error.code, "field": "", "message": error.message}]
        for problem in problems:
            field = problem["field"] if problem["field"] in self.fields else None
            self.add_error(field, forms.ValidationError(f"{problem['message']} ({problem['code']})"))
