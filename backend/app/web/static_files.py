"""Static files: collected by themselves, named after their content, compressed once, and handed out whole.

A browser may keep for ever what is named after its content. The names are a manifest's, and the manifest is made when
files are collected, a step that nobody has to remember: whoever needs the manifest first collects, where what is
installed has changed since the last time. An image is built with it done. With DEBUG files are served as they lie.

WhiteNoise answers with an open file. Under ASGI Django reads it whole anyway, says so in a warning for each file, and
leaves it open where the browser goes away meanwhile. Ours are small: the file is read and closed here.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.management.commands import collectstatic
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage

MARK = "collected.txt"
# Swagger's page needs none of these, and they are most of what is installed.
LEFT_OUT = ["redoc*"]
# Collecting needs a storage too, which must not collect first; whoever comes at the same time waits for the manifest.
_this_thread = threading.local()

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def whole_files(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        return _whole(response) if isinstance(response, FileResponse) else response

    return middleware


def _whole(response: FileResponse) -> HttpResponse:
    with closing(response):
        content = b"".join(cast("Iterable[bytes]", response.streaming_content))
    return HttpResponse(content, status=response.status_code, headers=dict(response.items()))


class CollectedStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Names files after their content; see this module's docstring."""

    def read_manifest(self) -> str | None:
        """Return the manifest, of what is installed now."""
        if not settings.DEBUG and not getattr(_this_thread, "collects", False):
            static_files_collect(Path(settings.STATIC_ROOT))
        manifest: str | None = super().read_manifest()
        return manifest


class CollectedFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise, which looks at the folder once: everything has been collected by then."""

    def __init__(self, get_response: GetResponse, **options: Any) -> None:
        if not settings.DEBUG:
            staticfiles_storage.url("web/desk.css")
        super().__init__(get_response, **options)


def static_files_collect(folder: Path) -> None:
    """Collect into the folder, unless what lies there is of the files that are installed now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else: scripts from there are not handed out.")
    mark, digest = folder / MARK, _digest()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Several processes, or threads of one, may start at once.
        if mark.exists() and mark.read_text() == digest:
            return
        _collect()
        mark.write_text(digest)


def _collect() -> None:
    command = collectstatic.Command()
    _this_thread.collects = True
    try:
        # It has no manifest yet, so it is not the one that all threads share: they would find no file in it.
        command.storage = CollectedStorage()
        call_command(command, "--no-input", verbosity=0, ignore_patterns=LEFT_OUT)
    finally:
        _this_thread.collects = False


def _digest() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(LEFT_OUT):
            seen = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{seen.st_size}\0{int(seen.st_mtime)}\n".encode())
    return digest.hexdigest()
