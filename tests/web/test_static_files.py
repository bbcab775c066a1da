"""Static files: named after their content, compressed, kept by browsers for ever; and collected by themselves."""

import gzip
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import connection
from django.http import FileResponse
from django.test import Client
from pytest_django import Settings

from app.web import static_files
from tests.eventually import eventually

# Closing an answer looks after the connection that an earlier request may have left.
pytestmark = pytest.mark.django_db

CSS = "web/desk.css"
VISITORS = 8
PAGE_BYTES_MAX = (
    30_000  # All that a page without a session asks for, as it travels. It was 60,000, and again each minute.
)


def asked_by(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/static/[^"]+)"', page)


@pytest.mark.case("A19")
def test_what_a_page_asks_for_is_small_and_asked_for_once() -> None:
    addresses = asked_by(Client().get("/login/").content.decode())
    assert len(addresses) >= 4
    size = 0
    for address in addresses:
        assert re.search(r"\.[0-9a-f]{12}\.(css|js)$", address), address
        answer = Client().get(address, headers={"Accept-Encoding": "gzip"})
        assert not isinstance(answer, FileResponse)
        assert answer["Content-Encoding"] == "gzip"
        assert answer["Cache-Control"] == "max-age=315360000, public, immutable"
        assert answer["Vary"] == "Accept-Encoding"
        assert len(answer.content) == int(answer["Content-Length"]) > 0
        assert gzip.decompress(answer.content) == Client().get(address).content
        size += len(answer.content)
    assert size < PAGE_BYTES_MAX


@pytest.mark.case("A19")
@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs/"])
def test_the_admin_and_the_api_page_ask_for_what_is_there(path: str) -> None:
    for address in asked_by(Client().get(path).content.decode()):
        answer = Client().get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, address
        assert "immutable" in answer["Cache-Control"], address


@pytest.mark.case("A19")
def test_it_is_collected_by_itself_where_something_has_changed(tmp_path: Path, settings: Settings) -> None:
    collected: list[object] = []
    static_files.static_files_collect(Path(settings.STATIC_ROOT))  # Nothing changed since the page above.
    original = static_files.call_command
    try:
        static_files.call_command = lambda _, *words, **__: collected.append(words)
        static_files.static_files_collect(Path(settings.STATIC_ROOT))
        assert collected == []
        static_files.static_files_collect(tmp_path / "new")
        static_files.static_files_collect(tmp_path / "new")
        assert collected == [("--no-input",)]
        (tmp_path / "new" / static_files.MARK).write_text("of what was installed before")
        static_files.static_files_collect(tmp_path / "new")
        assert len(collected) == 2
    finally:
        static_files.call_command = original


@pytest.mark.case("A19")
def test_where_nothing_was_collected_the_first_visitors_at_once_get_whole_pages(
    tmp_path: Path, settings: Settings
) -> None:
    settings.STATIC_ROOT = tmp_path / "new"
    ready = Barrier(VISITORS)

    def visit(number: int) -> tuple[int, list[str]]:
        ready.wait(60)
        if number % 2:  # Half of them come while the others' files are being collected.
            eventually((tmp_path / "new" / "web").exists)
        try:
            answer = Client().get("/login/")
            return answer.status_code, asked_by(answer.content.decode())
        finally:
            connection.close()

    with ThreadPoolExecutor(VISITORS) as pool:
        statuses, asked = zip(*pool.map(visit, range(VISITORS)), strict=True)
    assert set(statuses) == {200}
    assert asked == (asked[0],) * VISITORS
    for address in asked[0]:
        file = tmp_path / "new" / address.removeprefix("/static/")
        assert gzip.decompress(file.with_name(f"{file.name}.gz").read_bytes()) == file.read_bytes()


@pytest.mark.case("A19")
@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_scripts_are_not_handed_out_of_a_folder_of_somebody_else(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(PermissionError):
        static_files.static_files_collect(tmp_path)


@pytest.mark.case("A19")
def test_with_debug_files_are_served_as_they_lie(settings: Settings) -> None:
    settings.DEBUG = True
    assert staticfiles_storage.url(CSS) == f"/static/{CSS}"


def test_a_browser_that_has_it_gets_it_not_again() -> None:
    css = staticfiles_storage.url(CSS)
    answer = Client().get(css, headers={"If-None-Match": Client().get(css)["ETag"]})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_part_is_a_part() -> None:
    answer = Client().get(staticfiles_storage.url(CSS), headers={"Range": "bytes=0-9"})
    assert (answer.status_code, len(answer.content)) == (206, 10)


def test_what_is_not_there_is_not_found() -> None:
    assert Client().get("/static/web/none.css").status_code == 404
