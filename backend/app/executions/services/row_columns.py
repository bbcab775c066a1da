"""Save of a row what has changed since it was read."""

from collections.abc import Mapping
from typing import Any

from app.executions.models import Execution, Order


def columns_of(row: Order | Execution) -> dict[str, Any]:
    """Return the row's values by the names of its columns."""
    return {name: value for name, value in vars(row).items() if not name.startswith("_")}


def row_save(row: Order | Execution, *, as_read: Mapping[str, Any]) -> None:
    """Save the columns that differ from what `columns_of` said when the row was read; nothing where none does."""
    changed = [name for name, value in columns_of(row).items() if value != as_read[name]]
    if changed:
        row.save(update_fields=changed)
