"""Static files are handed out whole, with what lets browsers keep them."""

import pytest
from django.http import FileResponse
from django.test import Client

# Closing an answer looks after the connection that an earlier request may have left.
pytestmark = pytest.mark.django_db

CSS = "/static/web/desk.css"


@pytest.mark.parametrize(
    "path", [CSS, "/static/web/live.js", "/static/django_htmx/htmx-2.min.js", "/static/django_htmx/ext/hx-sse-2.min.js"]
)
def test_what_the_pages_ask_for_is_there(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert not isinstance(answer, FileResponse)
    assert len(answer.content) == int(answer["Content-Length"]) > 0
    assert "max-age" in answer["Cache-Control"]


def test_a_browser_that_has_it_gets_it_not_again() -> None:
    answer = Client().get(CSS, headers={"If-None-Match": Client().get(CSS)["ETag"]})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_part_is_a_part() -> None:
    answer = Client().get(CSS, headers={"Range": "bytes=0-9"})
    assert (answer.status_code, len(answer.content)) == (206, 10)


@pytest.mark.django_db
def test_what_is_not_there_is_not_found() -> None:
    assert Client().get("/static/web/none.css").status_code == 404
