"""The admin as a reviewer uses it: log in with a form, read pages."""

import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any


class AdminSite:
    """A logged-in visit of the admin of a running stack."""

    def __init__(self, up: dict[str, Any]) -> None:
        self._url: str = up["url"]
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        form = self.page("/admin/login/?next=/admin/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token is not None, form
        answers = {
            "csrfmiddlewaretoken": token[1],
            "username": up["username"],
            "password": up["password"],
            "next": "/admin/",
        }
        data = urllib.parse.urlencode(answers).encode()
        with self._browser.open(self._url + "/admin/login/", data) as response:
            assert "Log out" in response.read().decode(), "the admin refused the login"

    def page(self, path: str) -> str:
        """Return a page's HTML."""
        with self._browser.open(self._url + path) as response:
            html: str = response.read().decode()
        return html

    def execution_page(self, execution_id: int) -> str:
        """Return the page of one execution in the order history."""
        return self.page(f"/admin/executions/execution/{execution_id}/change/")
