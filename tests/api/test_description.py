"""The OpenAPI description and its page."""

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from app.api import urls as api_urls

pytestmark = pytest.mark.django_db


def test_the_description_is_valid_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    described = capsys.readouterr().out
    routes = {str(entry.pattern) for entry in api_urls.urlpatterns if str(entry.pattern).startswith("v1/")}
    for route in routes:
        if route.endswith("/"):
            name = "/api/" + route.replace("<int:pk>", "{id}").replace("<slug:account_id>", "{account_id}")
            assert f"  {name}:" in described, name


def test_the_description_and_its_page_are_served_without_a_foreign_host() -> None:
    client = APIClient()
    assert client.get("/api/schema/").status_code == 200
    page = client.get("/api/docs/").content.decode()
    assert "swagger-ui" in page
    assert "https://" not in page.replace("https://trading", "")
