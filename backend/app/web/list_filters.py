"""What the lists on the pages are narrowed and sorted by. What cannot be understood is said, and nothing is listed."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from app.domain.execution_status import ExecutionStatus
from app.executions.models import Execution
from app.setups.models import Setup
from app.web.execution_words import STATUS_WORDS
from app.web.paging import BY_SYMBOL, NEWEST, OLDEST, Sort

SORTS = {"newest": NEWEST, "oldest": OLDEST, "symbol": BY_SYMBOL}
_SORT_CHOICES = [(name, sort.label) for name, sort in SORTS.items()]
_STATES = {
    "DRAFT": Q(archived_at__isnull=True, executed_at__isnull=True),
    "EXECUTED": Q(archived_at__isnull=True, executed_at__isnull=False),
    "ARCHIVED": Q(archived_at__isnull=False),
}


def _day(label: str) -> forms.DateField:
    return forms.DateField(
        required=False,
        label=label,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Write the day like 2026-11-27."},
    )


class ListForm(forms.Form):
    """What all lists share. Days are those of UTC, and the last one is included."""

    symbol = forms.CharField(required=False, max_length=32, widget=forms.TextInput(attrs={"size": 8}))
    day_from = _day("From (UTC day)")
    day_to = _day("To (UTC day)")
    sort = forms.ChoiceField(required=False, choices=_SORT_CHOICES, label="Order")

    def __init__(self, given: Any) -> None:
        super().__init__(given, label_suffix="", auto_id="filter_%s")
        self.is_valid()

    @property
    def sort_asked(self) -> Sort:
        """Return the order, newest first where none was chosen."""
        return SORTS[self.asked("sort") or "newest"]

    def asked(self, name: str) -> Any:
        """Return what was chosen, or None."""
        return self.cleaned_data.get(name) or None

    def narrowed(self, rows: QuerySet[Any], *, moment: str) -> QuerySet[Any]:
        """Return the rows of the symbol and of the days, by the column `moment`; none where something is wrong."""
        if self.errors:
            return rows.none()
        if symbol := self.asked("symbol"):
            rows = rows.filter(symbol=symbol.strip().upper())
        if day := self.asked("day_from"):
            rows = rows.filter(**{f"{moment}__gte": datetime.combine(day, time(), tzinfo=UTC)})
        if day := self.asked("day_to"):
            rows = rows.filter(**{f"{moment}__lte": datetime.combine(day, time.max, tzinfo=UTC)})
        return rows


class SetupListForm(ListForm):
    """Archived setups are listed only when asked for."""

    state = forms.ChoiceField(
        required=False,
        choices=[("", "Current"), ("DRAFT", "Drafts"), ("EXECUTED", "Executed"), ("ARCHIVED", "Archived")],
    )
    field_order = ["symbol", "state"]


class ExecutionListForm(ListForm):
    """By where they stand, and whether a person must look."""

    status = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((status.value, STATUS_WORDS[status]) for status in ExecutionStatus)]
    )
    attention = forms.BooleanField(required=False, label="Needs a person")
    field_order = ["symbol", "status"]


def setups_narrowed(setups: QuerySet[Setup], form: SetupListForm) -> QuerySet[Setup]:
    """Return the setups that the form leaves."""
    state = _STATES[form.asked("state")] if form.asked("state") else ~_STATES["ARCHIVED"]
    return form.narrowed(setups, moment="created_at").filter(state)


def executions_narrowed(executions: QuerySet[Execution], form: ExecutionListForm) -> QuerySet[Execution]:
    """Return the executions that the form leaves."""
    executions = form.narrowed(executions, moment="requested_at")
    if form.asked("status"):
        executions = executions.filter(status=form.asked("status"))
    return executions.exclude(attention="") if form.asked("attention") else executions
