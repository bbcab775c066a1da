"""Setups: every plan is checked before it is stored, and fixed once it was executed."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User

from app.accounts.models import Account
from app.accounts.services import account_ensure
from app.brokers.errors import UnknownSymbol
from app.core.errors import Conflict, FixRequest, Forbidden
from app.domain.bracket import Target
from app.domain.contract import PriceIncrement
from app.executions.models import Execution
from app.executions.selectors import executions_visible_to, fills_of
from app.executions.services.plan import plan_change, plan_create
from app.market.models import Instrument
from app.setups.models import Setup
from app.setups.selectors import require_may_act_on, setups_visible_to
from app.setups.services import setup_archive, setup_create, setup_update, targets_of
from tests.services.book import Book
from tests.services.data_worker import DataWorker
from tests.services.heard import at, fill

pytestmark = pytest.mark.django_db

MakeSetup = Callable[..., Setup]
PLAN: dict[str, Any] = {
    "symbol": "AAPL",
    "side": "LONG",
    "entry_type": "MARKET",
    "stop_price": Decimal(185),
    "quantity": Decimal(10),
}
CENTS = (PriceIncrement(low_edge=Decimal(0), increment=Decimal("0.01")),)


def test_a_setup_is_stored_with_its_targets(make_setup: MakeSetup) -> None:
    targets = [{"price": Decimal(200), "fraction": Decimal("0.5")}, {"price": Decimal(210), "fraction": Decimal("0.5")}]
    setup = make_setup(take_profits=targets, notes="gap", tags=["earnings"])
    stored = Setup.objects.get(pk=setup.pk)
    assert (stored.symbol, stored.side, stored.quantity, stored.tags) == ("AAPL", "LONG", 10, ["earnings"])
    assert targets_of(stored) == [
        Target(price=Decimal(200), fraction=Decimal("0.5")),
        Target(price=Decimal(210), fraction=Decimal("0.5")),
    ]
    assert stored.state == "DRAFT"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quantity": None}, "size_ambiguous"),
        ({"risk_amount": Decimal(5)}, "size_ambiguous"),
        ({"quantity": Decimal(0)}, "size_not_positive"),
        ({"quantity": Decimal("NaN")}, "size_not_positive"),
        ({"quantity": Decimal("1.5")}, "size_not_whole"),
        ({"quantity": None, "risk_percent": Decimal(101)}, "risk_percent_too_large"),
        ({"stop_price": Decimal(191)}, "stop_wrong_side"),
        ({"stop_price": Decimal(0)}, "price_not_positive"),
        ({"stop_price": Decimal("185.001")}, "price_off_tick"),
        ({"entry_type": "LIMIT"}, "price_missing"),
        ({"take_profits": [{"price": Decimal(180)}]}, "target_wrong_side"),
        ({"take_profits": [{"price": Decimal(200), "fraction": Decimal(2)}]}, "target_fractions"),
    ],
)
def test_a_plan_that_cannot_be_executed_is_refused_with_its_code(
    analyst: User, account: Account, changed: dict[str, Any], code: str
) -> None:
    with pytest.raises(FixRequest) as refused:
        setup_create(owner=analyst, account=account, values=PLAN | changed, increments=CENTS, last_price=Decimal(190))
    assert refused.value.code == code
    assert not Setup.objects.exists()


def test_a_setup_is_changed_until_it_is_executed(make_setup: MakeSetup) -> None:
    setup = make_setup(take_profits=[{"price": Decimal(200)}])
    changed = setup_update(
        setup_id=setup.pk, values={"stop_price": Decimal(186)}, increments=CENTS, last_price=Decimal(190)
    )
    assert (changed.stop_price, len(targets_of(changed))) == (186, 1)
    changed = setup_update(setup_id=setup.pk, values={"take_profits": []}, increments=CENTS, last_price=Decimal(190))
    assert targets_of(Setup.objects.get(pk=setup.pk)) == []


def test_a_change_is_checked_like_a_new_plan(make_setup: MakeSetup) -> None:
    setup = make_setup(take_profits=[{"price": Decimal(200)}])
    with pytest.raises(FixRequest) as refused:
        setup_update(setup_id=setup.pk, values={"side": "SHORT"}, increments=None, last_price=Decimal(190))
    assert refused.value.code == "stop_wrong_side"
    assert Setup.objects.get(pk=setup.pk).side == "LONG"


def test_an_archived_setup_stays_as_it_is(make_setup: MakeSetup) -> None:
    setup = make_setup()
    assert setup_archive(setup_id=setup.pk, now=at(0)).state == "ARCHIVED"
    assert setup_archive(setup_id=setup.pk, now=at(5)).archived_at == at(0)
    with pytest.raises(Conflict) as refused:
        setup_update(setup_id=setup.pk, values={"notes": "x"}, increments=None, last_price=None)
    assert refused.value.code == "setup_archived"


def test_an_executed_setup_says_so(requested: Callable[..., Execution]) -> None:
    assert Setup.objects.get(pk=requested().setup_id).state == "EXECUTED"


def test_an_analyst_sees_what_is_theirs_and_a_reviewer_everything(
    requested: Callable[..., Execution], analyst: User
) -> None:
    execution = requested()
    stranger, reviewer = User.objects.create_user("bob"), User.objects.create_user("eve")
    reviewer.groups.add(Group.objects.get(name="reviewer"))
    seen = {user: (list(setups_visible_to(user)), list(executions_visible_to(user))) for user in (analyst, reviewer)}
    assert seen[analyst] == seen[reviewer] == ([execution.setup], [execution])
    for nobody in (stranger, AnonymousUser()):
        assert (list(setups_visible_to(nobody)), list(executions_visible_to(nobody))) == ([], [])


def test_the_deals_of_an_execution_leave_out_what_was_corrected(submitted: Callable[..., Book]) -> None:
    book = submitted()
    book.hear(
        fill(book.entry, "4", "190", exec_id="0000e0d5.65543f2a.01.01"),
        fill(book.entry, "4", "189", exec_id="0000e0d5.65543f2a.01.02"),
    )
    assert [deal.price for deal in fills_of(book.execution)] == [189]


@pytest.mark.parametrize(
    ("role", "owns", "code"),
    [
        ("analyst", True, None),
        ("trader", True, None),
        ("analyst", False, "not_owner"),
        ("reviewer", False, "role_missing"),
        ("", True, "role_missing"),
        ("admin", False, None),
    ],
)
def test_only_its_owner_acts_on_a_setup(make_setup: MakeSetup, role: str, owns: bool, code: str | None) -> None:
    setup, user = make_setup(), User.objects.create_user("bob", is_superuser=role == "admin")
    if role in ("analyst", "trader", "reviewer"):
        user.groups.add(Group.objects.get(name=role))
    if owns:
        Setup.objects.update(owner=user)
    setup.refresh_from_db()
    if code is None:
        assert require_may_act_on(setup, user=user) == user
        return
    with pytest.raises(Forbidden) as refused:
        require_may_act_on(setup, user=user)
    assert refused.value.code == code


# With what is known of the symbol


def test_a_plan_is_checked_against_the_symbol(analyst: User, account: Account, apple: Instrument) -> None:
    setup = plan_create(owner=analyst, values=PLAN)
    assert (setup.account, setup.state) == (account, "DRAFT")
    for wrong, code in (({"stop_price": Decimal("185.001")}, "price_off_tick"), ({"side": "SHORT"}, "stop_wrong_side")):
        with pytest.raises(FixRequest) as refused:
            plan_create(owner=analyst, values=PLAN | wrong)
        assert refused.value.code == code
        with pytest.raises(FixRequest) as refused:
            plan_change(setup=setup, values=wrong)
        assert refused.value.code == code


def test_a_plan_moves_to_the_account_that_is_named(analyst: User, account: Account, apple: Instrument) -> None:
    other = account_ensure("DU7654321")
    setup = plan_create(owner=analyst, values=PLAN, account_id=account.account_id)
    assert plan_change(setup=setup, values={}, account_id=other.account_id).account == other


def test_a_plan_for_a_symbol_that_cannot_be_asked_about_is_kept(
    analyst: User, account: Account, data_worker: DataWorker
) -> None:
    data_worker.answers({"error": {"code": "broker_not_connected", "message": "No connection."}})
    setup = plan_create(owner=analyst, values=PLAN | {"stop_price": Decimal("185.001")})
    assert Setup.objects.get() == setup
    data_worker.answers({"error": {"code": "unknown_symbol", "message": "No such contract."}})
    with pytest.raises(UnknownSymbol):
        plan_create(owner=analyst, values=PLAN | {"symbol": "NOPE"})
