"""Accounts and their connections: which one trades, what it is worth, who may do what."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from pytest_django import Settings

from app.accounts.fencing import fence_raise
from app.accounts.models import Account, BrokerConnection
from app.accounts.roles import roles_ensure
from app.accounts.selectors import account_to_trade, is_alive, is_ready
from app.accounts.services import (
    OrderIdTooLow,
    account_ensure,
    account_worth_record,
    connection_ensure,
    connection_gateway_heard,
    connection_heartbeat,
    connection_reconciled,
    connection_state_record,
    order_id_floor_raise,
)
from app.brokers.base import AccountSummary, ConnectionState
from app.core.errors import FixRequest
from tests.services.heard import at

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("account_id", "mode"),
    [("DU1234567", "paper"), ("DUH123456", "paper"), ("DF123456", "paper"), ("U1234567", "live"), ("F1234567", "live")],
)
def test_the_id_says_whether_it_is_paper(account_id: str, mode: str) -> None:
    account = account_ensure(account_id)
    assert (account.mode, account.is_paper) == (mode, mode == "paper")


def test_accounts_and_connections_are_made_once() -> None:
    first, again = (connection_ensure(account_id="DU1", client_id=1) for _ in range(2))
    other = connection_ensure(account_id="DU1", client_id=2)
    assert (first.pk, first.account_id) == (again.pk, other.account_id)
    assert (Account.objects.count(), BrokerConnection.objects.count()) == (1, 2)


def test_the_account_that_is_meant_is_chosen(settings: Settings) -> None:
    settings.IB_ACCOUNT = ""
    only = account_ensure("DU1")
    assert account_to_trade() == only
    other = account_ensure("DU2")
    assert account_to_trade("DU2") == other
    settings.IB_ACCOUNT = "DU2"
    assert account_to_trade() == other


@pytest.mark.parametrize(
    ("known", "named", "configured", "code"),
    [
        ([], "", "", "account_missing"),
        (["DU1", "DU2"], "", "", "account_missing"),
        (["DU1"], "DU9", "", "account_unknown"),
        (["DU1"], "", "DU9", "account_unknown"),
    ],
)
def test_no_account_is_guessed(settings: Settings, known: list[str], named: str, configured: str, code: str) -> None:
    settings.IB_ACCOUNT = configured
    for account_id in known:
        account_ensure(account_id)
    with pytest.raises(FixRequest) as refused:
        account_to_trade(named)
    assert refused.value.code == code


def test_a_switched_off_account_is_not_chosen(settings: Settings) -> None:
    settings.IB_ACCOUNT = ""
    account_ensure("DU1")
    Account.objects.update(is_active=False)
    with pytest.raises(FixRequest):
        account_to_trade("DU1")


def test_the_worth_is_stored_as_told() -> None:
    account = account_ensure("DU1")
    summary = AccountSummary(
        account="DU1",
        currency="EUR",
        net_liquidation=Decimal("1000.5"),
        available_funds=Decimal(900),
        buying_power=Decimal(1800),
    )
    account_worth_record(summary=summary, now=at(0))
    account.refresh_from_db()
    assert (account.currency, account.net_liquidation, account.worth_updated_at) == ("EUR", Decimal("1000.5"), at(0))


def test_a_connection_is_ready_while_it_says_so_and_lives() -> None:
    connection = connection_ensure(account_id="DU1", client_id=1)
    assert not is_alive(connection, now=at(0))
    connection_state_record(
        connection_id=connection.pk, state=ConnectionState.READY, reason="", now=at(0), server_version=178
    )
    connection.refresh_from_db()
    assert (connection.server_version, connection.state_changed_at) == (178, at(0))
    assert is_ready(connection, now=at(10))
    assert not is_ready(connection, now=at(10.1))
    connection_heartbeat(connection_id=connection.pk, now=at(10))
    connection.refresh_from_db()
    assert is_ready(connection, now=at(20))
    connection_state_record(connection_id=connection.pk, state=ConnectionState.DEGRADED, reason="1100", now=at(20))
    connection_reconciled(connection_id=connection.pk, now=at(21))
    connection.refresh_from_db()
    assert (connection.server_version, connection.reason, connection.reconciled_at) == (178, "1100", at(21))
    assert is_alive(connection, now=at(20))
    assert not is_ready(connection, now=at(20))


def test_what_a_deposed_holder_has_still_to_note_of_the_connection_is_not_stored() -> None:
    connection = connection_ensure(account_id="DU1234567", client_id=1)
    fence_raise(connection_id=connection.pk, name="first", process="", now=at(0))
    fence_raise(connection_id=connection.pk, name="second", process="", now=at(1))
    # When the first wakes and notes what it had done before, and then the second what it does
    connection_reconciled(connection_id=connection.pk, now=at(2), fence=1)
    connection_gateway_heard(connection_id=connection.pk, now=at(2), fence=1)
    connection.refresh_from_db()
    assert (connection.reconciled_at, connection.gateway_heard_at) == (None, None)
    connection_reconciled(connection_id=connection.pk, now=at(3), fence=2)
    connection_gateway_heard(connection_id=connection.pk, now=at(4), fence=2)
    connection.refresh_from_db()
    assert (connection.reconciled_at, connection.gateway_heard_at) == (at(3), at(4))


def test_the_floor_only_rises() -> None:
    connection = connection_ensure(account_id="DU1", client_id=1)
    order_id_floor_raise(connection_id=connection.pk, order_ids=[3, 5, 4])
    for ids in ([5, 6], [1], [4, 9]):
        with pytest.raises(OrderIdTooLow) as refused:
            order_id_floor_raise(connection_id=connection.pk, order_ids=ids)
        assert refused.value.details == {"order_ids": ids, "floor": 5}
    connection.refresh_from_db()
    assert connection.order_id_floor == 5


def test_the_roles_have_their_permissions_and_nothing_more() -> None:
    roles_ensure()
    roles = {group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()}
    assert roles["analyst"] == {"add_setup"}
    assert roles["trader"] == {"add_setup", "trade_live", "engage_kill_switch", "acknowledge_alert"}
    assert "view_order" in roles["reviewer"]
    assert not [codename for codename in roles["reviewer"] if not codename.startswith("view_")]
