"""Walk over rows of any number in batches, so that neither memory nor the newest or oldest of them bound the rest."""

from collections.abc import Iterator
from typing import TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def in_batches(rows: QuerySet[M], *, length: int) -> Iterator[list[M]]:
    """Yield all of the rows, by their keys, so many at a time; each batch is read when it is asked for."""
    after = 0
    while batch := list(rows.filter(pk__gt=after).order_by("pk")[:length]):
        yield batch
        after = batch[-1].pk
