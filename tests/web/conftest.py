"""The fixtures of the edges, and a browser without scripts that is logged in."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.desk import (  # noqa: F401 - Fixtures are found by their names.
    MakeUser,
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
    served_account,
)
from tests.web.rich_desk import rich_desk  # noqa: F401


@pytest.fixture
def visit(analyst: User) -> Client:  # noqa: F811
    """A visit of the analyst."""
    return visit_of(analyst)


@pytest.fixture
def root(make_user: MakeUser) -> Client:  # noqa: F811
    """A visit of somebody who may do and see everything."""
    return visit_of(make_user("root", is_superuser=True, is_staff=True))


def visit_of(user: User, **options: bool) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client
