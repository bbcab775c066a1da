"""Accounts over REST."""

import pytest
from rest_framework.test import APIClient

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_state_record
from app.brokers.base import ConnectionState
from app.core import clock
from tests.api.desk import PAPER

pytestmark = pytest.mark.django_db


def test_accounts_tell_what_they_are_worth_and_whether_they_are_connected(
    api: APIClient, connection: BrokerConnection
) -> None:
    now = clock.now()
    connection_state_record(
        connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now, server_version=178
    )
    account = api.get(f"/api/v1/accounts/{PAPER}/").json()
    assert (account["account"], account["mode"], account["net_liquidation"]) == (PAPER, "paper", "100000.00")
    (told,) = account["connections"]
    assert (told["client_id"], told["state"], told["ready"], told["server_version"]) == (1, "READY", True, 178)
    assert 0 <= told["heartbeat_age_seconds"] < 10
    (listed,) = api.get("/api/v1/accounts/").json()["results"]
    assert listed["account"] == PAPER
    assert api.get("/api/v1/accounts/DU0/").json()["code"] == "not_found"
    assert "order_id_floor" not in told
