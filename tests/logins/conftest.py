"""People, and a count of the passwords that are looked at."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from pytest_django import Settings

from tests.api.desk import (  # noqa: F401 - Fixtures are found by their names.
    account,
    analyst,
    connection,
    make_user,
    reviewer,
    served_account,
)


class CountingHasher(MD5PasswordHasher):
    """A quick hasher that counts its work: one for each password that is looked at, whether the name exists or not.

    While `may_end` is cleared, every look goes on.
    """

    looked = 0
    may_end = threading.Event()
    _lock = threading.Lock()

    def encode(self, password: str, salt: str) -> Any:
        with self._lock:
            CountingHasher.looked += 1
        assert self.may_end.wait(60)
        return super().encode(password, salt)


@pytest.fixture
def hasher(settings: Settings, served_account: None) -> Iterator[type[CountingHasher]]:  # noqa: F811
    settings.PASSWORD_HASHERS = [f"{CountingHasher.__module__}.{CountingHasher.__qualname__}"]
    CountingHasher.may_end.set()
    yield CountingHasher
    CountingHasher.may_end.set()
    CountingHasher.looked = 0
