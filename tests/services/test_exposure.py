"""What the account holds against what our brackets claim: settled by evidence, and nothing is sent on a doubt."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pytest_django import Settings

from app.accounts.models import Position
from app.alerts.models import Alert
from app.brokers.errors import BrokerTimeout
from app.core.errors import RetryLater
from app.domain.broker_events import ToldStatus
from app.domain.close import CLOSES_MAX
from app.domain.command import CommandReason
from app.domain.terms import Leg
from app.executions.models import Actor, Decision, Order
from app.executions.services.commands_write import cancels_write
from app.executions.services.exposure import PushedLook, pushed_positions_look
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import APPLE, World, open_position, position, stop_gone

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
OTHER_PROGRAM = 77

# What agrees


def test_a_position_that_is_ours_agrees(held: Book, world: World) -> None:
    assert [world.reconcile(after=60) for _ in range(3)] == [[], [], []]
    assert (position().quantity, position().others, position().in_doubt) == (10, 0, False)


def test_shares_held_before_are_others_and_change_nothing(submitted: Submitted, world: World) -> None:
    # Given 100 shares that somebody has held for years
    world.holds(100)
    world.reconcile()
    # When ten of ours come on top
    book = submitted()
    open_position(book, world.broker)
    world.holds(110)
    assert world.reconcile(after=60) == []
    assert (position().quantity, position().others) == (110, 100)
    # Then a lost stop is replaced as ever
    stop_gone(book, world.broker)
    world.look(book)
    assert [ticket.quantity for ticket in world.broker.singles] == [10]
    assert not Alert.objects.exists()


def test_a_report_that_lags_a_fill_is_no_doubt(submitted: Submitted, world: World) -> None:
    world.holds(0)
    world.reconcile()
    book = submitted()
    open_position(book, world.broker)  # Recorded at the 20th second; the report knows nothing of it yet.
    world.seconds = 25.0
    assert world.reconcile() == []
    assert position().in_doubt is False
    world.seconds = 31.0
    world.reconcile()
    assert position().in_doubt is True


def test_what_agrees_only_as_a_report_that_lags_is_looked_at_again(submitted: Submitted, world: World) -> None:
    # Given ten shares bought and sold elsewhere within seconds: none is held, as before any of it was reported
    world.holds(0)
    world.reconcile()
    book = submitted()
    open_position(book, world.broker)  # Recorded at the 20th second.
    pushed = {APPLE: Decimal(0)}
    account_id = world.broker.account_id
    # When the position is pushed, it is not taken as agreeing: somebody has to ask when nothing can lag any more
    assert pushed_positions_look(account_id=account_id, pushed=pushed, now=at(25)) is PushedLook.LAGS
    assert pushed_positions_look(account_id=account_id, pushed=pushed, now=at(31)) is PushedLook.DIFFERS
    assert pushed_positions_look(account_id=account_id, pushed={APPLE: Decimal(10)}, now=at(25)) is PushedLook.AGREES
    # And a complete answer wants another look as well, which the deal then explains
    report = execution_reconcile(broker=world.broker, now=at(29), settle_seconds=0)
    assert (report.look_again, position().in_doubt) == (["AAPL"], False)
    world.deal_of_others(-10)
    for seconds in (40, 51):
        world.seconds = seconds
        world.reconcile()
    assert book.execution.open_quantity == 0


def test_a_sale_stored_before_anything_was_compared_keeps_the_guard_from_placing(
    submitted: Submitted, world: World
) -> None:
    book = submitted()
    open_position(book, world.broker)
    # Given shares sold elsewhere as soon as they were bought, heard of, and a stop cancelled there before the account
    # was ever asked
    world.seconds = 22.0
    world.deal_of_others(-10)
    world.holds(0)
    stop_gone(book, world.broker)
    assert not Position.objects.exists()
    assert world.look(book, after=1) is True
    assert world.broker.singles == []


# Closed elsewhere


@pytest.mark.case("T1")
def test_a_position_sold_elsewhere_gets_no_stop_and_ends_external(held: Book, world: World) -> None:
    # Given ten shares that somebody sold in TWS, and whose stop was cancelled there
    world.deal_of_others(-10)
    world.holds(0)
    stop_gone(held, world.broker)
    # When the guard looks, it asks instead of placing a stop that would open a short position
    assert world.look(held, after=1) is True
    assert world.broker.singles == []
    # And when the broker tells everything
    (judged,) = world.reconcile()
    # Then the claim is gone by the evidence of that deal, the execution is over, and a person is told
    assert judged.endswith("CLOSED_ELSEWHERE")
    execution = held.execution
    assert (execution.status, execution.open_quantity, execution.exit_reason) == ("CLOSED", 0, "EXTERNAL")
    assert "10 shares were closed elsewhere (deals that are not ours: SELL 10 at 191" in execution.attention
    world.look(held, after=5)
    assert world.broker.singles == []
    assert execution_replay(held.execution_id) == []


@pytest.mark.case("T2", "T39")
@pytest.mark.parametrize("later", [1, -0.3])
def test_a_stop_that_filled_beside_a_sale_in_tws_is_told_as_closed_twice(
    held: Book, world: World, later: float
) -> None:
    # Given ten shares that somebody sold in TWS, and whose stop was filled before it could be cut: a second later, or
    # in the same second, of which nobody knows which was first
    world.reconcile()
    world.seconds = 100.5 - at(0).microsecond / 1e6
    world.deal_of_others(-10)
    filled_at = world.seconds + later
    filled = fill(held.stop, "10", "180", executed_at=at(filled_at), received_at=at(filled_at))
    held.hear(filled, told(held.stop, T.FILLED), seconds=filled_at)
    world.broker.open_book = []
    assert (held.execution.status, held.execution.open_quantity) == ("CLOSED", 0)
    world.holds(-10)
    # When the account has said so
    (judged,) = world.reconcile(after=2)
    # Then nobody takes the short position for somebody's: both closed the same shares, and a person can buy them back
    assert judged.endswith("CLOSED_ELSEWHERE")
    assert (position().others, held.execution.open_quantity) == (0, -10)
    codes = set(held.execution.flags.filter(resolved_at=None).values_list("code", flat=True))
    assert codes == {"closed_elsewhere", "more_closed_than_opened"}
    assert execution_replay(held.execution_id) == []


def test_a_sale_after_the_stop_was_filled_is_somebodys_own(held: Book, world: World) -> None:
    world.reconcile()
    sold_at = world.seconds + 5
    filled = fill(held.stop, "10", "180", executed_at=at(sold_at - 3), received_at=at(sold_at - 3))
    held.hear(filled, told(held.stop, T.FILLED), seconds=sold_at - 3)
    world.broker.open_book = []
    world.seconds = sold_at
    world.deal_of_others(-10)
    world.holds(-10)
    world.reconcile(after=2)
    world.reconcile(after=10)
    assert (position().others, held.execution.open_quantity, held.execution.attention) == (-10, 0, "")


@pytest.mark.case("T2")
@pytest.mark.parametrize(("sold", "kept"), [(10, 0), (6, 4)])
def test_exits_are_cut_to_what_is_left_to_us(held: Book, world: World, sold: int, kept: int) -> None:
    world.deal_of_others(-sold)
    world.holds(10 - sold)
    world.reconcile()
    world.reconcile(after=10)
    world.look(held)
    world.look(held, after=1)
    resized = [ticket.quantity for _order_id, ticket, _parent in world.broker.modified]
    assert (world.broker.cancelled, resized) == (([held.stop.order_id], []) if not kept else ([], [kept]))


def test_what_others_held_enough_of_was_theirs(submitted: Submitted, world: World) -> None:
    world.holds(100)
    world.reconcile()
    book = submitted()
    open_position(book, world.broker)
    world.holds(110)
    world.reconcile(after=60)
    world.deal_of_others(-40)
    world.holds(70)
    world.reconcile(after=60)
    world.reconcile(after=10)
    assert (position().others, book.execution.open_quantity, position().in_doubt) == (60, 10, False)


def test_another_program_that_is_named_trades_for_itself(held: Book, world: World, settings: Settings) -> None:
    settings.OTHERS_CLIENT_IDS = [OTHER_PROGRAM]
    world.deal_of_others(-50, client_id=OTHER_PROGRAM)
    world.holds(-40)
    world.reconcile()
    world.reconcile(after=10)
    assert (position().others, held.execution.open_quantity) == (-50, 10)
    stop_gone(held, world.broker)
    world.look(held, after=20)
    assert [ticket.quantity for ticket in world.broker.singles] == [10]


def test_less_in_an_exclusive_account_was_closed_elsewhere_without_any_deal(
    held: Book, world: World, settings: Settings
) -> None:
    settings.ACCOUNT_USE = "EXCLUSIVE"
    world.holds(4)
    world.reconcile()
    world.reconcile(after=10)
    assert (held.execution.open_quantity, held.execution.status) == (4, "OPEN")


def test_a_difference_that_goes_away_is_forgotten(held: Book, world: World) -> None:
    world.holds(0)
    world.reconcile()
    world.holds(10)
    world.reconcile(after=5)
    world.holds(0)
    assert world.reconcile(after=5) == []
    assert position().disputed_since == at(world.seconds)


# Changed without a deal


@pytest.mark.case("T4")
def test_after_a_split_nothing_is_placed_and_nothing_cancelled(held: Book, world: World) -> None:
    # Given a split: the stop was cancelled by the exchange, 20 shares are held, and no deal says why
    world.holds(20)
    stop_gone(held, world.broker)
    assert world.look(held, after=1) is True
    world.reconcile()
    (judged,) = world.reconcile(after=10)
    # Then a person is told at once, once, and nothing is sent however long it lasts
    assert "the account holds 20, 10 were expected" in judged
    assert judged in held.execution.attention
    alert = Alert.objects.get(kind="position_drift")
    assert alert.subject == f"{world.broker.account_id}:AAPL STK USD"
    for _ in range(5):
        world.look(held, after=30)
        assert world.reconcile(after=30) == []
    assert (world.broker.singles, world.broker.cancelled, world.broker.modified) == ([], [], [])
    assert Decision.objects.filter(action="POSITION_DRIFT").count() == 1


@pytest.mark.case("T65")
@pytest.mark.parametrize(("account_holds", "cut"), [(20, []), (10, [10])])
def test_an_exit_that_was_made_larger_is_cut_if_the_account_holds_no_more(
    held: Book, world: World, account_holds: int, cut: list[int]
) -> None:
    # Given a stop of another size than its entry ever had: by a split, which the account shows too, or by hand
    world.holds(account_holds)
    held.hear(told(held.stop, T.PRE_SUBMITTED, remaining=Decimal(20)))
    assert held.stop.quantity == 20
    # Then the account is asked before it is cut
    for _ in range(3):
        world.look(held, after=1)
    assert [ticket.quantity for _id, ticket, _parent in world.broker.modified] == cut


# What cannot be asked


@pytest.mark.case("T4")
def test_a_doubt_that_was_noted_outlasts_a_lost_answer(held: Book, world: World) -> None:
    world.holds(20)
    world.reconcile()
    stop_gone(held, world.broker)
    world.broker.question_fails["positions"] = BrokerTimeout("late")
    world.look(held, after=1)
    assert world.broker.singles == []


def test_a_lost_answer_is_not_waited_for(held: Book, world: World) -> None:
    stop_gone(held, world.broker)
    world.broker.question_fails["positions"] = BrokerTimeout("late")
    world.look(held)
    assert [ticket.quantity for ticket in world.broker.singles] == [10]


@pytest.mark.case("T33")
@pytest.mark.parametrize(("held_now", "placed"), [(10, [10]), (0, [])])
def test_where_the_deals_are_not_told_in_time_the_positions_speak_for_themselves(
    held: Book, world: World, held_now: int, placed: list[int]
) -> None:
    # Given a busy account, whose deals are not told within a second, and a stop that is gone
    world.broker.question_fails["fills_since"] = BrokerTimeout("late")
    world.holds(held_now)
    stop_gone(held, world.broker)
    # Then it is replaced if the shares are there, and everything is asked if they are not
    assert world.look(held) is not bool(placed)
    assert [ticket.quantity for ticket in world.broker.singles] == placed


@pytest.mark.case("T33")
def test_only_the_deals_of_the_symbol_are_asked_for(held: Book, world: World) -> None:
    stop_gone(held, world.broker)
    world.broker.symbols_asked.clear()
    world.look(held)
    assert world.broker.symbols_asked == ["AAPL"]
    assert [ticket.quantity for ticket in world.broker.singles] == [10]


def test_a_deal_that_was_just_told_and_is_not_stored_yet_is_a_doubt(held: Book, world: World) -> None:
    world.deal_of_others(-10, recorded=False)
    stop_gone(held, world.broker)
    assert world.look(held) is True
    assert world.broker.singles == []


# Closing


def flatten(book: Book, world: World) -> int:
    return execution_flatten_send(execution_id=book.execution_id, broker=world.broker, now=at(world.seconds))


@pytest.mark.case("T3")
@pytest.mark.parametrize(("left", "closed"), [(0, []), (4, [4])])
def test_a_close_never_sells_more_than_is_left(held: Book, world: World, left: int, closed: list[int]) -> None:
    # Given a position of which most was sold elsewhere, and a kill switch that closes everything
    world.deal_of_others(left - 10)
    world.holds(left)
    execution_flatten_request(
        execution_id=held.execution_id, actor=Actor.KILL_SWITCH, user=None, reason="stop", now=at(world.seconds)
    )
    # When it is to be closed, the account is asked before its stop is touched
    with pytest.raises(RetryLater) as refused:
        flatten(held, world)
    assert (refused.value.code, world.broker.cancelled, world.broker.singles) == ("position_in_doubt", [], [])
    world.reconcile()
    world.reconcile(after=10)
    flatten(held, world)
    stop_gone(held, world.broker)
    flatten(held, world)
    assert [ticket.quantity for ticket in world.broker.singles] == closed


@pytest.mark.case("T25")
def test_after_the_last_close_failed_the_stop_of_the_guard_stays(held: Book, world: World) -> None:
    execution_flatten_request(
        execution_id=held.execution_id, actor=Actor.KILL_SWITCH, user=None, reason="stop", now=at(world.seconds)
    )
    flatten(held, world)
    stop_gone(held, world.broker)
    for _ in range(CLOSES_MAX):
        flatten(held, world)
        close = Order.objects.filter(bracket__execution_id=held.execution_id, leg=Leg.CLOSE.value).latest("id")
        held.hear(told(close, T.INACTIVE, source="completed_order"))
    # When every CLOSE was refused, the guard protects the shares again, and the close leaves its stop alone
    world.broker.cancelled.clear()
    world.look(held)
    protect = Order.objects.get(bracket__execution_id=held.execution_id, leg=Leg.PROTECT.value)
    held.hear(told(protect, T.PRE_SUBMITTED))
    world.seconds += 60
    assert flatten(held, world) == 0
    assert world.broker.cancelled == []
    assert f"{CLOSES_MAX} orders to close 10 shares failed" in held.execution.attention


@pytest.mark.case("T1")
def test_a_stop_that_somebody_cancels_again_and_again_is_replaced_twice(held: Book, world: World) -> None:
    stop_gone(held, world.broker)
    for _ in range(4):
        world.look(held, after=10)
        placed = Order.objects.filter(bracket__execution_id=held.execution_id, leg=Leg.PROTECT.value)
        for order in placed.exclude(status="CANCELLED"):
            held.hear(told(order, T.PRE_SUBMITTED), told(order, T.CANCELLED, received_at=at(world.seconds)))
    assert len(world.broker.singles) == 2
    assert "its replacements were cancelled by hand, so none is placed" in held.execution.attention
    # When ten minutes have passed, the guard tries again
    world.look(held, after=700)
    assert len(world.broker.singles) == 3


@pytest.mark.case("T1")
def test_stops_that_we_cancelled_ourselves_were_not_replaced_in_vain(held: Book, world: World) -> None:
    # Given stops of the guard's that a close of ours had cancelled, one after the other
    stop_gone(held, world.broker)
    for _ in range(3):
        world.look(held, after=10)
        placed = Order.objects.filter(bracket__execution_id=held.execution_id, leg=Leg.PROTECT.value)
        for order in placed.exclude(status="CANCELLED"):
            held.hear(told(order, T.PRE_SUBMITTED))
            closing = {"actor": Actor.PERSON, "reason": CommandReason.CLOSING}
            cancels_write(orders=[order], execution_id=held.execution_id, now=at(world.seconds), **closing)
            held.hear(told(order, T.CANCELLED, received_at=at(world.seconds)))
    # Then nobody wants the shares to have none, and the guard goes on
    assert len(world.broker.singles) == 3
    assert "cancelled by hand" not in held.execution.attention
