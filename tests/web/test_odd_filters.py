"""Filters that nobody can carry out: the list is shown without them, and nothing of it is a failure of ours."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from tests.api.desk import Filled

pytestmark = pytest.mark.django_db
# What Django's own list cannot judge: moments that no calendar has, half a range, broken patterns, numbers too large.
ODD = [
    *("{moment}__year=0", "{moment}__year=99999", "{moment}__year=-5", "{moment}__year=2026&{moment}__month=99"),
    *("{moment}__year=2026&{moment}__month=2&{moment}__day=31", "{moment}__week_day=99999999999999999999"),
    *("id__range=1", "id__range=", "id__regex=(", "id__iregex=((", "id__in=1,x", "id=1e400", "id__gt=x"),
    *("o=99.99", "o=x", "p=99999999999999999999", "p=x", "all=1", "q=%00", "_to_field=x", "e=1"),
]


@pytest.fixture
def root(analyst: User, filled: Filled) -> Client:
    filled(analyst)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


def moment_of(model_admin: Any) -> str:
    shown = [field.name for field in model_admin.model._meta.fields if field.get_internal_type() == "DateTimeField"]
    return str(model_admin.date_hierarchy or (shown[0] if shown else "id"))


@pytest.mark.case("S78")
@pytest.mark.parametrize("query", ODD)
def test_an_odd_filter_of_the_admin_is_no_failure(root: Client, query: str) -> None:
    answers: dict[str, int] = {}
    for model, model_admin in admin.site._registry.items():
        folder = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        asked = query.format(moment=moment_of(model_admin))
        answers[f"{folder}?{asked}"] = root.get(f"{folder}?{asked}").status_code
        if hasattr(model_admin, "export"):
            answers[f"{folder}export/?{asked}"] = root.get(f"{folder}export/?{asked}").status_code
    assert {address: status for address, status in answers.items() if status not in (200, 302, 400)} == {}


@pytest.mark.case("S78")
@pytest.mark.parametrize("address", ["/admin/executions/execution/", "/admin/executions/execution/export/"])
def test_a_filter_that_cannot_be_carried_out_leads_to_the_list_that_says_so(root: Client, address: str) -> None:
    answer = root.get(f"{address}?id__range=1")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/executions/execution/?e=1")
    assert root.get(answer.headers["Location"]).status_code == 200


@pytest.mark.case("S77")
@pytest.mark.parametrize("page", ["/setups/", "/executions/"])
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_the_first_and_the_last_day_of_all_can_be_chosen(root: Client, page: str, day: str) -> None:
    both = root.get(page, {"day_from": "0001-01-01", "day_to": "9999-12-31"})
    assert "AAPL" in both.content.decode()
    assert root.get(page, {"day_from": day, "day_to": day}).status_code == 200
