"""The OpenAPI description and its page."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.api import urls as api_urls
from tests.api.desk import script

pytestmark = pytest.mark.django_db


def test_the_description_is_valid_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    described = capsys.readouterr().out
    routes = {str(entry.pattern) for entry in api_urls.urlpatterns if str(entry.pattern).startswith("v1/")}
    for route in routes:
        if route.endswith("/"):
            name = "/api/" + route.replace("<int:pk>", "{id}").replace("<slug:account_id>", "{account_id}")
            name = name.replace("<int:tranche>", "{tranche}")
            assert f"  {name}:" in described, name


def test_the_description_and_its_page_are_served_without_a_foreign_host() -> None:
    client = APIClient()
    assert client.get("/api/schema/").status_code == 200
    page = client.get("/api/docs/").content.decode()
    assert "swagger-ui" in page
    assert "https://" not in page.replace("https://trading", "")


@pytest.fixture
def described(db: None) -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(described["components"]["schemas"][name]) if name else schema


@pytest.mark.case("S36")
class TestTheDescriptionIsTrue:
    def test_each_status_is_named_and_says_how_its_error_looks(self, described: dict[str, Any]) -> None:
        for path, method, operation in operations(described):
            statuses = set(operation["responses"])
            assert all(status.isdigit() for status in statuses), (path, method, statuses)
            assert statuses >= {"400", "500", "503"}, (path, method)
            assert ("404" in statuses) == ("{" in path), (path, method)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}

    def test_options_describes_what_is_read(self, described: dict[str, Any], account: Account) -> None:
        client = script(User.objects.create_superuser("root"))
        for path, method, operation in operations(described):
            if "requestBody" not in operation:
                continue
            address = path.replace("{id}", "1").replace("{account_id}", "DU1234567").replace("{tranche}", "1")
            told = client.options(address).json()["actions"][method.upper()]
            schema = resolved(described, operation["requestBody"]["content"]["application/json"]["schema"])
            assert set(told) == set(schema.get("properties", {})), (path, method)
            assert not any(field["read_only"] for field in told.values())

    def test_bounds_are_named(self, described: dict[str, Any]) -> None:
        paths = described["paths"]
        execute = {
            found["name"]: found["schema"] for found in paths["/api/v1/setups/{id}/execute/"]["post"]["parameters"]
        }
        assert execute["Idempotency-Key"] == {"type": "string", "minLength": 1, "maxLength": 200}
        listed = {found["name"]: found["schema"] for found in paths["/api/v1/setups/"]["get"]["parameters"]}
        assert (listed["page_size"]["minimum"], listed["page_size"]["maximum"]) == (1, 200)
        token = resolved(described, {"$ref": "#/components/schemas/TokenInputRequest"})["properties"]
        assert (token["username"]["minLength"], token["username"]["maxLength"]) == (1, 150)
        assert described["servers"][0]["url"] == "/"
        assert paths["/api/v1/setups/"]["post"]["requestBody"]["content"]["application/json"]["examples"]
