"""What was looked at is what is executed: the revision, counted by the database and compared under the lock."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from app.accounts.models import Account
from app.core import clock
from app.core.errors import Conflict
from app.executions.models import Execution
from app.executions.services.plan import plan_change
from app.executions.services.request import execution_request
from app.setups.models import Setup, TakeProfit
from app.setups.services import setup_archive, setup_restore
from tests.eventually import eventually
from tests.services.heard import at

pytestmark = [pytest.mark.django_db, pytest.mark.case("S2")]

MakeSetup = Callable[..., Setup]
TARGETS = [{"price": Decimal(200), "fraction": Decimal("0.5")}, {"price": Decimal(210), "fraction": Decimal("0.5")}]


def revision_of(setup: Setup) -> int:
    return Setup.objects.get(pk=setup.pk).revision


def execute(setup: Setup, user: User, *, seen: set[int] | None, key: str = "k1") -> tuple[Execution, bool]:
    return execution_request(setup=setup, user=user, idempotency_key=key, body={}, now=at(0), seen=seen)


# Counting


def test_a_new_plan_is_revision_1_with_all_its_targets(make_setup: MakeSetup) -> None:
    setup = make_setup(take_profits=TARGETS)
    assert (setup.revision, revision_of(setup)) == (1, 1)


@pytest.mark.parametrize(
    "values",
    [
        {"stop_price": Decimal(184)},
        {"take_profits": TARGETS},
        {"stop_price": Decimal(184), "take_profits": TARGETS, "notes": "both"},
        {"notes": "earnings tomorrow"},
        {"tags": ["gap"]},
    ],
    ids="+".join,
)
def test_whatever_changes_at_once_is_one_revision(make_setup: MakeSetup, values: dict[str, Any]) -> None:
    setup = make_setup(take_profits=[{"price": Decimal(205)}])
    changed = plan_change(setup=setup, values=values)
    assert (changed.revision, revision_of(setup)) == (2, 2)
    again = plan_change(setup=Setup.objects.get(pk=setup.pk), values=values)
    assert (again.revision, revision_of(setup)) == (2, 2), "what is the same afterwards has not changed"


def _change_with_update(setup: Setup) -> None:
    Setup.objects.filter(pk=setup.pk).update(quantity=Decimal(5000))


def _change_in_bulk(setup: Setup) -> None:
    setup.stop_price = Decimal(10)
    Setup.objects.bulk_update([setup], ["stop_price"])


def _change_by_hand(setup: Setup) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE setups_setup SET side = 'SHORT', stop_price = 300 WHERE id = %s", [setup.pk])


def _change_with_an_old_row(setup: Setup) -> None:
    """Save a row that was read before somebody else's change."""
    old = Setup.objects.get(pk=setup.pk)
    Setup.objects.filter(pk=setup.pk).update(quantity=Decimal(5000))
    assert revision_of(setup) == 2
    old.notes = "mine"
    old.save()
    assert revision_of(setup) == 3


def _change_a_target(setup: Setup) -> None:
    TakeProfit.objects.filter(setup=setup).update(price=Decimal(191))


def _lose_a_target(setup: Setup) -> None:
    TakeProfit.objects.filter(setup=setup).delete()


def _gain_a_target(setup: Setup) -> None:
    TakeProfit.objects.create(setup=setup, position=2, price=Decimal(220), fraction=Decimal("0.1"))


def _rename_the_account(setup: Setup) -> None:
    """Paper becomes live by the account's id alone."""
    Account.objects.filter(pk=setup.account_id).update(account_id="U7654321")


@pytest.mark.parametrize(
    "change",
    [
        _change_with_update,
        _change_in_bulk,
        _change_by_hand,
        _change_with_an_old_row,
        _change_a_target,
        _lose_a_target,
        _gain_a_target,
        _rename_the_account,
    ],
    ids=lambda change: change.__name__,
)
def test_a_change_behind_the_services_is_counted_as_well(
    make_setup: MakeSetup, analyst: User, change: Callable[[Setup], None]
) -> None:
    setup = make_setup(take_profits=[{"price": Decimal(200), "fraction": Decimal("0.5")}])
    change(setup)
    assert revision_of(setup) > 1
    with pytest.raises(Conflict, match="changed since you looked"):
        execute(Setup.objects.get(pk=setup.pk), analyst, seen={1})
    assert not Execution.objects.exists()


def test_an_execution_is_no_change_of_the_plan(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    execute(setup, analyst, seen={1})
    assert Setup.objects.get(pk=setup.pk).executed_at is not None
    assert revision_of(setup) == 1


def test_the_archive_counts_and_gives_back_what_it_was_given(make_setup: MakeSetup) -> None:
    setup = make_setup(notes="as it was")
    assert setup_archive(setup_id=setup.pk, now=at(0)).revision == 2
    assert setup_archive(setup_id=setup.pk, now=at(1), seen={1}).revision == 2, "safe to repeat with what was seen then"
    restored = setup_restore(setup_id=setup.pk, seen={2})
    assert (restored.revision, restored.state, restored.notes) == (3, "DRAFT", "as it was")
    assert setup_restore(setup_id=setup.pk, seen={2}).revision == 3
    setup_archive(setup_id=setup.pk, now=at(2))
    with pytest.raises(Conflict, match="changed since you looked"):
        setup_restore(setup_id=setup.pk, seen={3})
    assert Setup.objects.get(pk=setup.pk).state == "ARCHIVED"


# Comparing


def test_what_was_not_seen_is_neither_changed_nor_archived_nor_executed(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    plan_change(setup=setup, values={"quantity": Decimal(5000)})
    now_there = Setup.objects.get(pk=setup.pk)
    attempts: list[Callable[[], object]] = [
        lambda: plan_change(setup=now_there, values={"notes": "x"}, seen={1, 7}),
        lambda: setup_archive(setup_id=setup.pk, now=at(0), seen={1, 7}),
        lambda: execute(now_there, analyst, seen={1, 7}),
        lambda: execute(now_there, analyst, seen=set()),
    ]
    for attempt in attempts:
        with pytest.raises(Conflict, match="changed since you looked") as refused:
            attempt()
        assert refused.value.details["revision"] == 2
    after = Setup.objects.get(pk=setup.pk)
    assert (after.revision, after.notes, after.archived_at, Execution.objects.count()) == (2, "", None, 0)
    assert execute(now_there, analyst, seen={1, 2})[1]


def test_a_retry_is_answered_before_the_revision_is_compared(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    first, _ = execute(setup, analyst, seen={1})
    setup_archive(setup_id=setup.pk, now=at(0))
    assert execute(Setup.objects.get(pk=setup.pk), analyst, seen={1}) == (first, False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("asked", ["change", "archive", "execute"])
def test_the_comparison_is_made_under_the_lock(
    make_setup: MakeSetup,
    analyst: User,
    in_thread: Callable[[Callable[[], None]], Callable[[], None]],
    asked: str,
) -> None:
    setup = make_setup()
    own = Setup.objects.get(pk=setup.pk)
    refused: list[Conflict] = []

    def ask() -> None:
        try:
            if asked == "change":
                plan_change(setup=own, values={"notes": "mine"}, seen={1})
            elif asked == "archive":
                setup_archive(setup_id=setup.pk, now=clock.now(), seen={1})
            else:
                execute(own, analyst, seen={1})
        except Conflict as error:
            refused.append(error)

    asking = threading.Thread(target=in_thread(ask))
    # Given somebody who changes a target and has not committed
    with transaction.atomic():
        TakeProfit.objects.create(setup=setup, position=1, price=Decimal(191))
        # When another one, who still reads the old plan, asks and waits for the row
        asking.start()
        eventually(somebody_waits_for_a_row)
    asking.join(timeout=20)
    # Then it is told that the plan has moved, and nothing came of it
    assert [error.details["revision"] for error in refused] == [2]
    after = Setup.objects.get(pk=setup.pk)
    assert (after.revision, after.notes, after.archived_at, Execution.objects.count()) == (2, "", None, 0)


def somebody_waits_for_a_row() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
