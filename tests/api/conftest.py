"""The fixtures of the edges, and a script that holds the analyst's token."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from app.accounts.models import Account
from tests.api.desk import (  # noqa: F401 - Fixtures are found by their names.
    account,
    analyst,
    apple,
    broker,
    connection,
    filled,
    make_setup,
    make_user,
    requested,
    reviewer,
    script,
    served_account,
)


@pytest.fixture
def api(analyst: User, account: Account) -> APIClient:  # noqa: F811
    """A script with the analyst's token in hand."""
    return script(analyst)
