"""What a person decides where the system cannot settle an execution by itself."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings

from app.alerts.models import Alert
from app.core import clock
from app.core.errors import Conflict, FixRequest
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.command import CommandReason
from app.executions.models import Decision, Order, OrderCommand
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.replay import execution_replay
from app.executions.services.resolve import Resolution, execution_resolve
from app.executions.services.resolve_facts import Act, Asked
from app.executions.services.sweep import execution_sweep
from tests.services.book import Book
from tests.services.heard import at, fill, message, told
from tests.services.world import World, position

pytestmark = pytest.mark.django_db
T = ToldStatus
STATE_FILLED = "OrderId 2 that needs to be cancelled can not be cancelled, state: Filled."
STATE_CANCELLED = "OrderId 1 that needs to be cancelled can not be cancelled, state: Cancelled."


def resolve(book: Book, world: World, act: Act, *, user: User | None = None, **said: Any) -> Resolution:
    how = {name: said.pop(name) for name in ("facts", "dry_run") if name in said}
    asked = Asked(act=act, **said)
    return execution_resolve(execution_id=book.execution_id, asked=asked, user=user, now=at(world.seconds), **how)


def deal_of_the_stop(book: Book, world: World, **changed: Any) -> dict[str, Any]:
    said = {"order_ref": book.stop.order_ref, "quantity": Decimal(10), "price": Decimal("184.9")}
    return said | {"executed_at": at(world.seconds - 30)} | changed


def filled_unheard(book: Book, world: World) -> None:
    """The stop filled while nobody listened, and the day is over: the broker tells neither its deal nor its end."""
    world.broker.open_book = []
    world.holds(0)


def refuse_cancels(book: Book, world: World, order: Order, text: str) -> None:
    """Let the broker answer to every cancel of the order so far."""
    if order.order_id in world.broker.cancelled:
        book.hear(message(order, 10148, text, MessageMeaning.REQUEST_REFUSED), seconds=world.seconds)


# A stop that filled while nobody listened


@pytest.mark.case("T21")
def test_a_stop_filled_unheard_in_an_exclusive_account_is_settled_by_evidence(
    held: Book, world: World, settings: Settings
) -> None:
    settings.ACCOUNT_USE = "EXCLUSIVE"
    filled_unheard(held, world)
    # When the account shows twice that the shares are gone, the claim is reduced and the stop is cancelled
    world.reconcile(after=200)
    world.reconcile(after=10)
    world.look(held)
    world.look(held, after=1)
    assert world.broker.cancelled == [held.stop.order_id]
    # And the broker refuses that, because the stop is over, and does not know it when everything is asked
    refuse_cancels(held, world, held.stop, STATE_FILLED)
    world.reconcile(after=1)
    # Then it is over here too, and nothing is cancelled again, however long it lasts
    assert (held.stop.status, held.execution.status, held.execution.exit_reason) == ("CANCELLED", "CLOSED", "EXTERNAL")
    for _ in range(5):
        world.look(held, after=10)
    assert world.broker.cancelled == [held.stop.order_id]
    assert Decision.objects.get(action="OVER").evidence["order_ref"] == held.stop.order_ref
    assert not OrderCommand.objects.filter(settled_at__isnull=True).exists()
    assert execution_replay(held.execution_id) == []


@pytest.mark.case("T21")
def test_what_is_over_by_the_brokers_word_is_concluded_before_it_is_old(held: Book, world: World) -> None:
    # Given a young execution, whose shares were closed elsewhere and whose stop is over unheard
    world.broker.open_book = []
    world.deal_of_others(-10)
    world.holds(0)
    world.reconcile(after=1)
    world.reconcile(after=10)
    world.look(held)
    world.look(held, after=1)
    refuse_cancels(held, world, held.stop, STATE_FILLED)
    # When the broker is asked while other orders of that age could still be on their way
    execution_reconcile(broker=world.broker, now=at(world.seconds + 1), settle_seconds=900)
    assert (held.stop.status, held.execution.status) == ("CANCELLED", "CLOSED")


@pytest.mark.case("T21")
def test_a_stop_filled_unheard_in_a_shared_account_is_a_persons_to_settle(
    held: Book, world: World, analyst: User
) -> None:
    filled_unheard(held, world)
    world.reconcile(after=200)
    world.reconcile(after=10)
    for _ in range(5):
        world.look(held, after=10)
    assert (world.broker.cancelled, world.broker.singles, held.execution.status) == ([], [], "OPEN")
    assert (
        "STOP_LOSS: the broker neither holds it nor lists it as finished; enter its deal, or say that the shares were "
        "closed elsewhere"
    ) in held.execution.attention.splitlines()
    # When a person enters the deal as the statement has it
    seen = resolve(held, world, Act.ENTER_FILL, user=analyst, dry_run=True, **deal_of_the_stop(held, world))
    assert (seen.open_before, seen.open_after, seen.sends) == (10, 0, ())
    assert held.execution.status == "OPEN"
    resolve(held, world, Act.ENTER_FILL, user=analyst, facts=seen.facts, **deal_of_the_stop(held, world))
    # Then the execution is closed by its stop, at that price, and the account agrees
    execution = held.execution
    assert (execution.status, execution.open_quantity, execution.exit_reason) == ("CLOSED", 0, "STOP_LOSS")
    assert (held.stop.status, held.stop.average_price) == ("FILLED", Decimal("184.9"))
    assert world.reconcile(after=30) == []
    assert position().in_doubt is False
    decision = Decision.objects.get(action="ENTER_FILL")
    assert (decision.user, decision.order, decision.evidence["price"]) == (analyst, held.stop, "184.9")
    assert execution_replay(held.execution_id) == []


@pytest.mark.case("T21")
def test_a_cancel_that_the_broker_refuses_for_an_order_it_does_not_know_is_not_sent_for_ever(
    submitted: Any, world: World
) -> None:
    # Given an entry that works, and of which nothing is told any more
    book: Book = submitted(entry_type="LIMIT", entry_price=Decimal(189))
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    world.holds(0)
    world.seconds = 200.0
    execution_cancel_request(execution_id=book.execution_id, reason=CommandReason.REQUESTED, now=at(world.seconds))
    sent = []
    for _ in range(6):
        execution_cancel_send(execution_id=book.execution_id, broker=world.broker, now=at(world.seconds))
        refuse_cancels(book, world, book.entry, STATE_FILLED)
        world.reconcile(after=6)
        sent.append(execution_sweep(now=at(world.seconds)).cancels)
    # Then it was cancelled once, a person is asked what became of it, and the evidence is said
    assert world.broker.cancelled == [book.entry.order_id]
    assert sent[1:] == [[], [], [], [], []]
    assert OrderCommand.objects.get(kind="CANCEL").settled_how == "gone"
    assert f"refuses to cancel it (10148: {STATE_FILLED})" in book.execution.attention
    assert book.entry.status == "WORKING"
    # When the broker speaks of it again, it is cancelled again
    world.broker.holds(told(book.entry, T.SUBMITTED, dedupe_key="again"))
    world.reconcile(after=6)
    execution_cancel_send(execution_id=book.execution_id, broker=world.broker, now=at(world.seconds))
    assert world.broker.cancelled == [book.entry.order_id, book.entry.order_id]


@pytest.mark.case("T21")
def test_an_entry_that_the_broker_says_was_cancelled_is(submitted: Any, world: World) -> None:
    book: Book = submitted(entry_type="LIMIT", entry_price=Decimal(189))
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    world.holds(0)
    world.seconds = 200.0
    execution_cancel_request(execution_id=book.execution_id, reason=CommandReason.REQUESTED, now=at(world.seconds))
    execution_cancel_send(execution_id=book.execution_id, broker=world.broker, now=at(world.seconds))
    refuse_cancels(book, world, book.entry, STATE_CANCELLED)
    world.reconcile(after=2)
    assert book.entry.status == "CANCELLED"


# A deal entered by hand


@pytest.mark.parametrize(
    ("parts", "left"), [(["10"], {}), (["4"], {"entered": Decimal(6)}), (["4", "6"], {}), (["7", "3"], {})]
)
def test_the_real_deals_take_the_place_of_the_entered_one(
    held: Book, world: World, parts: list[str], left: dict[str, Decimal]
) -> None:
    filled_unheard(held, world)
    world.reconcile(after=200)
    world.reconcile(after=10)
    resolve(held, world, Act.ENTER_FILL, **deal_of_the_stop(held, world))
    # When the broker tells them after all, each in a message of its own
    for quantity in parts:
        held.hear(fill(held.stop, quantity, "184.5"), seconds=world.seconds)
        assert (held.execution.status, held.execution.open_quantity) == ("CLOSED", 0)
    # Then each share is counted once, at the real price where it is known
    counted = {
        ("entered" if deal.exec_id.startswith("entered:") else "told"): deal.quantity
        for deal in held.stop.fills.filter(superseded=False, exec_id__startswith="entered:")
    }
    assert counted == left
    assert held.stop.filled_quantity == 10
    assert "more was exited" not in held.execution.attention
    assert execution_replay(held.execution_id) == []


def test_a_deal_entered_after_the_shares_were_taken_to_be_closed_elsewhere_says_what_closed_them(
    held: Book, world: World, analyst: User, settings: Settings
) -> None:
    settings.ACCOUNT_USE = "EXCLUSIVE"
    filled_unheard(held, world)
    world.reconcile(after=200)
    world.reconcile(after=10)
    assert held.entry.closed_elsewhere == 10
    resolve(held, world, Act.ENTER_FILL, user=analyst, **deal_of_the_stop(held, world))
    execution = held.execution
    assert (execution.status, execution.open_quantity, execution.exit_reason) == ("CLOSED", 0, "STOP_LOSS")
    assert (held.entry.closed_elsewhere, held.stop.status) == (0, "FILLED")
    assert world.reconcile(after=30) == []
    assert "more was exited" not in execution.attention


def test_an_entry_that_filled_unheard_is_ours_and_guarded(submitted: Any, world: World) -> None:
    world.holds(0)
    world.reconcile()
    book: Book = submitted(entry_type="LIMIT", entry_price=Decimal(189))
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    world.holds(10)
    world.reconcile(after=200)
    assert (position().others, book.execution.open_quantity) == (10, 0)
    said = {"order_ref": book.entry.order_ref, "quantity": Decimal(10), "price": Decimal(189)}
    resolve(book, world, Act.ENTER_FILL, executed_at=at(world.seconds - 30), **said)
    assert (position().others, book.execution.open_quantity, book.execution.status) == (0, 10, "OPEN")
    assert world.reconcile(after=30) == []
    assert position().in_doubt is False


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quantity": Decimal(11)}, "quantity_too_large"),
        ({"quantity": Decimal(0)}, "quantity_too_large"),
        ({"price": Decimal(0)}, "price_not_positive"),
        ({"price": None}, "field_missing"),
        ({"order_ref": "k7m2q4x9b3c5d6f8-1-STOP_LOSS"}, "order_unknown"),
        ({"executed_at": at(0) + timedelta(days=2)}, "time_not_possible"),
        ({"executed_at": at(0) - timedelta(days=2)}, "time_not_possible"),
    ],
)
def test_a_deal_that_cannot_have_been_is_refused(held: Book, world: World, changed: dict[str, Any], code: str) -> None:
    filled_unheard(held, world)
    world.reconcile(after=200)
    said = deal_of_the_stop(held, world, **changed)
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.ENTER_FILL, **said)
    assert (refused.value.code, held.execution.open_quantity) == (code, 10)


def test_a_deal_of_an_order_that_the_broker_lists_as_open_is_refused(held: Book, world: World) -> None:
    world.seconds = 200.0
    world.reconcile()
    said = deal_of_the_stop(held, world)
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.ENTER_FILL, **said)
    assert refused.value.code == "order_is_open"


def test_a_deal_is_refused_while_the_account_holds_all_the_shares(held: Book, world: World) -> None:
    world.broker.open_book = []
    world.reconcile(after=200)
    said = deal_of_the_stop(held, world)
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.ENTER_FILL, **said)
    assert refused.value.code == "position_agrees"


# What was flagged


def test_flags_that_need_nothing_are_dismissed_with_a_note(held: Book, world: World, analyst: User) -> None:
    held.hear(message(held.stop, 99999, "Something new", MessageMeaning.UNKNOWN))
    seen = resolve(held, world, Act.DISMISS, user=analyst, note="known at the broker's", dry_run=True)
    assert held.execution.attention
    resolve(held, world, Act.DISMISS, user=analyst, note="known at the broker's", facts=seen.facts)
    assert held.execution.attention == ""
    flag = held.execution.flags.get()
    assert (flag.seen_by, flag.seen_at) == (analyst, at(world.seconds))
    assert Decision.objects.get(action="DISMISS").evidence["note"] == "known at the broker's"
    assert not Alert.objects.filter(acknowledged_at=None).exists()


@pytest.mark.parametrize(("note", "code"), [("", "note_missing"), ("  ", "note_missing"), ("why", "nothing_flagged")])
def test_nothing_is_dismissed_without_a_note_or_without_a_flag(held: Book, world: World, note: str, code: str) -> None:
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.DISMISS, note=note)
    assert refused.value.code == code


def test_a_picture_that_has_moved_since_the_preview_is_looked_at_again(held: Book, world: World) -> None:
    filled_unheard(held, world)
    world.reconcile(after=200)
    seen = resolve(held, world, Act.CLOSED_ELSEWHERE, dry_run=True)
    assert [one.order_ref for one in seen.sends] == [held.stop.order_ref]
    held.hear(fill(held.stop, "3"), seconds=world.seconds)
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.CLOSED_ELSEWHERE, facts=seen.facts)
    assert (refused.value.code, held.execution.open_quantity) == ("facts_changed", 7)


# From the command line


def test_the_command_previews_and_carries_out(held: Book, world: World) -> None:
    filled_unheard(held, world)
    world.reconcile(after=200)
    executed_at = clock.now().isoformat()
    said = [str(held.execution_id), "enter_fill", "--order-ref", held.stop.order_ref, "--quantity", "10"]
    said += ["--price", "184.9", "--executed-at", executed_at]
    shown = StringIO()
    call_command("resolve_execution", *said, "--dry-run", stdout=shown)
    preview = json.loads(shown.getvalue())
    assert (preview["act"], preview["open_after"], held.execution.status) == ("enter_fill", "0.0000", "OPEN")
    call_command("resolve_execution", *said, "--facts", preview["facts"], stdout=StringIO())
    assert held.execution.status == "CLOSED"
    with pytest.raises(CommandError, match=r"^quantity_too_large: "):
        call_command("resolve_execution", *said)


def test_a_deal_that_is_entered_twice_alike_counts_once(held: Book, world: World, analyst: User) -> None:
    # Given a request that was sent again, without what was looked at
    filled_unheard(held, world)
    world.reconcile(after=200)
    world.reconcile(after=10)
    said = deal_of_the_stop(held, world) | {"quantity": Decimal(4)}
    resolve(held, world, Act.ENTER_FILL, user=analyst, **said)
    with pytest.raises(Conflict) as refused:
        resolve(held, world, Act.ENTER_FILL, user=analyst, **said)
    assert (refused.value.code, held.stop.filled_quantity) == ("deal_entered", 4)
