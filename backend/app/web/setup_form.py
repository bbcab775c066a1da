"""The form a setup is planned and changed with: it reads text into values; what they must be, the services say."""

from decimal import Decimal
from typing import Any

from django import forms

from app.core.decimal_text import plain
from app.core.errors import FixRequest
from app.domain.terms import EntryType, OnTimeout, Side, TimeInForce
from app.setups.models import Setup
from app.setups.services import SIZE_FIELDS
from app.web.number_field import NumberField
from app.web.setup_problems import problem_told

TARGETS_SHOWN = 3
TAGS_MAX, TAG_LENGTH_MAX = 20, 40
TAGS_TEXT_MAX = TAGS_MAX * (TAG_LENGTH_MAX + len(", "))
ENTRY_TIMEOUT_SECONDS_MAX = 30 * 24 * 3600
_PRICES = ("entry_price", "entry_limit_price", "stop_price")
_AS_STORED = (
    *("symbol", "side", "entry_type", "time_in_force", "outside_rth"),
    *("entry_timeout_seconds", "on_timeout", "notes"),
)


_WORDS = {"DAY": "Day", "GTC": "Good till cancelled"}


def _words(vocabulary: type[Side] | type[EntryType] | type[OnTimeout] | type[TimeInForce]) -> list[tuple[str, str]]:
    return [(word.value, _WORDS.get(word.value, word.value.replace("_", " ").capitalize())) for word in vocabulary]


def _price(label: str, *, required: bool = False, help_text: str = "") -> NumberField:
    return NumberField(label=label, required=required, max_digits=20, decimal_places=8, help_text=help_text)


class SetupForm(forms.Form):
    """One setup with its targets."""

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
    quantity = NumberField(required=False, max_digits=20, decimal_places=4, is_amount=True)
    risk_amount = NumberField(label="or risk amount", required=False, max_digits=20, decimal_places=4, is_amount=True)
    risk_percent = NumberField(label="or risk % of equity", required=False, max_digits=7, decimal_places=4)
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
    tags = forms.CharField(required=False, max_length=TAGS_TEXT_MAX, help_text="Separated by commas.")

    def __init__(self, *args: Any, targets: int = TARGETS_SHOWN, **kwargs: Any) -> None:
        """`targets` is how many can be given: a plan that came over the API may have more than the usual three."""
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.target_numbers = range(1, targets + 1)
        self.wrong_with: set[str] = set()
        for number in self.target_numbers:
            self.fields[f"target_{number}_price"] = _price(f"Target {number}")
            self.fields[f"target_{number}_percent"] = NumberField(
                label=f"% of position at target {number}", required=False, max_digits=7, decimal_places=4
            )
        plan = ("symbol", "side", "entry_type", "entry_price", "entry_limit_price", "stop_price")
        names = [f"target_{number}_{part}" for number in self.target_numbers for part in ("price", "percent")]
        self.order_fields([*plan, *SIZE_FIELDS, *names])

    def clean(self) -> dict[str, Any]:
        """Refuse a percentage without its target: it would be dropped."""
        cleaned = super().clean() or self.cleaned_data
        for number in self.target_numbers:
            name = f"target_{number}_price"
            is_alone = cleaned.get(f"target_{number}_percent") is not None and cleaned.get(name) is None
            if is_alone and name not in self.errors:
                self.add_error(name, "This target has a percentage but no price.")
        return cleaned

    def clean_tags(self) -> list[str]:
        """Return the tags as a list."""
        tags = [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]
        if any(len(tag) > TAG_LENGTH_MAX for tag in tags):
            raise forms.ValidationError(f"A tag has at most {TAG_LENGTH_MAX} characters.")
        if len(tags) > TAGS_MAX:
            raise forms.ValidationError(f"A setup has at most {TAGS_MAX} tags.")
        return tags

    def clean_notes(self) -> str:
        """Return the notes with plain line ends: a browser sends two characters for each, and that is no change."""
        return str(self.cleaned_data["notes"]).replace("\r\n", "\n").replace("\r", "\n")

    def values(self) -> dict[str, Any]:
        """Return the setup as the services take it."""
        values = {name: value for name, value in self.cleaned_data.items() if not name.startswith("target_")}
        values["symbol"] = values["symbol"].strip().upper()
        values["take_profits"] = [
            {"price": price, "fraction": Decimal(1) if percent is None else percent / 100}
            for number in self.target_numbers
            if (price := self.cleaned_data.get(f"target_{number}_price")) is not None
            for percent in [self.cleaned_data.get(f"target_{number}_percent")]
        ]
        return values

    def refuse(self, error: FixRequest) -> None:
        """Show what the services refuse beside the fields it is about, in the words of the form."""
        problems = error.details.get("problems") or [{"code": error.code, "field": "", "message": error.message}]
        for problem in problems:
            told = problem_told(problem, values=self.cleaned_data)
            named = [name for name in told.fields if name in self.fields]
            self.add_error(named[0] if named else None, forms.ValidationError(told.sentence, code=problem["code"]))
            for name in named[1:]:
                self._is_wrong_with(name, named[0])

    def mark(self) -> None:
        """Put the focus on the first wrong field, and not on the first of all."""
        if self.errors:
            self.fields["symbol"].widget.attrs.pop("autofocus", None)
            wrong = next((field for field in self if field.errors or field.name in self.wrong_with), None)
            if wrong is not None:
                wrong.field.widget.attrs["autofocus"] = True

    def _is_wrong_with(self, name: str, first: str) -> None:
        """Mark a field whose error stands beside another one, and have it described by that."""
        self.wrong_with.add(name)
        described = f"{self[first].auto_id}_error"
        if self.fields[name].help_text:
            described = f"{self[name].auto_id}_helptext {described}"
        self.fields[name].widget.attrs |= {"aria-invalid": "true", "aria-describedby": described}


def typed_of(setup: Setup) -> dict[str, Any]:
    """Return a stored plan as it would be typed into the form, for editing and copying."""
    typed: dict[str, Any] = {name: getattr(setup, name) for name in _AS_STORED}
    typed |= {name: _figure(getattr(setup, name), places_min=2) for name in _PRICES}
    typed |= {name: _figure(getattr(setup, name)) for name in SIZE_FIELDS}
    typed["tags"] = ", ".join(setup.tags)
    for number, target in enumerate(setup.take_profits.all(), start=1):
        typed[f"target_{number}_price"] = _figure(target.price, places_min=2)
        typed[f"target_{number}_percent"] = _figure(target.fraction * 100)
    return typed


def _figure(value: Decimal | None, *, places_min: int = 0) -> str:
    return "" if value is None else plain(value, places_min=places_min)
