"""Admin pages that only show: what was traded is history, and nobody edits history."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyTabularInline = admin.TabularInline[Any, Any]
    AnyPaginator = Paginator[Any]
else:
    AnyModelAdmin, AnyTabularInline, AnyPaginator = admin.ModelAdmin, admin.TabularInline, Paginator

ROWS_COUNTED_MAX = 10_000


class CappedPaginator(AnyPaginator):
    """Counts ten thousand rows at most: a list over millions opens as fast as a short one; filters reach the rest."""

    @cached_property
    def count(self) -> int:
        """Return how many rows can be paged through."""
        rows: QuerySet[Any] = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:ROWS_COUNTED_MAX].count()


class ShowOnly:
    """Takes away adding, changing and deleting; who may view is the permissions' business."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


class ReadOnlyAdmin(ShowOnly, AnyModelAdmin):
    """A list and its pages, to read."""

    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    paginator = CappedPaginator


class ReadOnlyInline(ShowOnly, AnyTabularInline):
    """Rows below the row they belong to, to read."""

    extra = 0
    can_delete = False
