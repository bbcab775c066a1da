"""A desk on which everything has happened at least once, so that no table and no column is empty."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from app.accounts.models import Account, BrokerConnection
from app.accounts.services import account_worth_record
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise, alert_resolve
from app.brokers.base import AccountSummary
from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.models import Execution
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from app.executions.services.submit import execution_submit
from app.setups.services import setup_archive
from tests.api.desk import Filled, MakeSetup
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import commission, fill, message, told

TARGETS = [{"price": Decimal(195), "fraction": Decimal("0.5")}, {"price": Decimal("200.5"), "fraction": Decimal("0.3")}]
REFUSED_TEXT = "Order rejected - reason: the = sign, <b>brackets</b> and, commas"


@pytest.fixture
def rich_desk(
    analyst: User,
    account: Account,
    connection: BrokerConnection,
    broker: FakeBroker,
    requested: Callable[..., Execution],
    filled: Filled,
    make_setup: MakeSetup,
) -> Book:
    """Three tranches (one filled with its target reached), a refused order, a plain execution, plans, alerts, stops.

    Returns the book of the three tranches.
    """
    now = clock.now()
    Account.objects.create(account_id="DU7654321")
    summary = AccountSummary(
        account=account.account_id,
        currency="USD",
        net_liquidation=Decimal("1000123.5"),
        available_funds=Decimal(900_000),
        buying_power=Decimal(3_600_000),
    )
    account_worth_record(summary=summary, now=now)
    filled(analyst)
    execution = requested(analyst, quantity=Decimal(20), take_profits=TARGETS, entry_type="LIMIT", entry_price="190.34")
    execution_submit(execution_id=execution.pk, broker=broker, now=now)
    book = Book(execution.pk)
    first = fill(book.entry, "10", "190.34")
    book.hear(told(book.entry, ToldStatus.SUBMITTED), first, commission(first.exec_id, "1.0"))
    book.hear(told(book.stop, ToldStatus.PRE_SUBMITTED, why_held="trigger"))
    out = fill(book.target, "4", "195.02")
    book.hear(told(book.target, ToldStatus.SUBMITTED), out, commission(out.exec_id, "0.41", realized_pnl="17.31"))
    refused = book.orders[3]
    book.hear(message(refused, 201, REFUSED_TEXT, MessageMeaning.REFUSAL))
    make_setup(analyst, notes="=1+1", tags=["gap", "@open"], risk_percent=Decimal(1), quantity=None)
    setup_archive(setup_id=make_setup(analyst, entry_type="LIMIT", entry_price="189.5").pk, now=now)
    alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU1/1", text="No answer of the Gateway for 12 s.", now=now)
    alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU2/1", text="No answer of the Gateway for 13 s.", now=now)
    alert_resolve(kind=AlertKind.GATEWAY_SILENT, subject="DU2/1", now=now + timedelta(seconds=4))
    kill_switch_engage(account=account, user=analyst, reason="wrong prices", now=now)
    kill_switch_release(account=account, user=analyst, reason="they are right", now=now + timedelta(seconds=5))
    return book
