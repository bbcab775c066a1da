"""What a person decides about what runs: close it or a part of it, move a stop or a target, settle what is in doubt.

Through the services as the web process calls them. Who settles something has looked at the account first, as a person
in TWS does: what is said of shares that are missing is true.
"""

import contextlib
import random
from decimal import Decimal
from typing import Any

from django.db import OperationalError

from tests.simulation.acts.analyst import price_known
from tests.simulation.acts.step import Act
from tests.simulation.world import World

HELD_SECONDS_MAX = 1.5


def close(world: World, chance: random.Random, number: int) -> None:
    """Somebody closes an execution, wholly or a part of it, at the market or at a limit."""
    from app.core import clock
    from app.domain.terms import OrderType
    from app.executions.services.close_request import CloseAsked, execution_close_request

    # On a slow machine nothing is held yet: whoever closes something has waited until it was.
    world.wait_at_most(lambda: _any_held(chance) is not None, seconds=HELD_SECONDS_MAX)
    execution = _any_held(chance)
    if execution is None:
        return
    how_much: dict[str, Decimal] = chance.choice(
        (
            {"fraction": Decimal(1)},
            {"fraction": Decimal("0.5")},
            {"fraction": Decimal("0.33")},
            {"quantity": Decimal(chance.randint(1, 10))},
        )
    )
    more: dict[str, Any] = {}
    if chance.random() < 0.3:
        sign = 1 if execution.side == "LONG" else -1
        limit = world.price + sign * Decimal(chance.randrange(-20, 60)) / 100
        more = {"order_type": OrderType.LIMIT, "limit_price": limit}
    with _refusals():
        execution_close_request(
            execution_id=execution.pk,
            asked=CloseAsked(**how_much, **more),
            user=world.analyst,
            idempotency_key=f"close-{number}",
            now=clock.now(),
        )


def move(world: World, chance: random.Random, number: int) -> None:
    """Somebody moves a stop or a target, seldom to where it would trigger at once."""
    from app.core import clock
    from app.executions.models import Order
    from app.executions.services.move import Move, Moved, order_move_request

    what = chance.choice((Moved.STOP, Moved.TARGET))
    orders = Order.objects.filter(leg__in=what.legs, status__in=("HELD", "WORKING"), order_id__isnull=False)
    found = list(orders.select_related("bracket__execution").order_by("id"))
    if not found:
        return
    order = chance.choice(found)
    price_known(world)
    before = getattr(order, what.column)
    moved = Move(
        what=what,
        price=before + Decimal(chance.randrange(-80, 80)) / 100,
        expected_price=before,
        tranche=order.bracket.tranche,
    )
    with _refusals():
        order_move_request(
            execution_id=order.bracket.execution_id,
            move=moved,
            user=world.analyst,
            idempotency_key=f"move-{number}",
            now=clock.now(),
        )


def answer(world: World, chance: random.Random, _number: int) -> None:
    """Somebody looks at an execution that needs attention, and settles it or not."""
    from app.executions.models import Execution

    flagged = list(Execution.objects.exclude(attention="").order_by("id"))
    if flagged:
        answer_execution(world, chance, chance.choice(flagged))


def answer_all(world: World, chance: random.Random) -> None:
    """Settle whatever can be settled by a person, once round."""
    from app.executions.models import Execution

    for execution in Execution.objects.exclude(attention="").order_by("id"):
        answer_execution(world, chance, execution)


def answer_execution(world: World, chance: random.Random, execution: Any) -> None:
    """Settle an execution by the act that fits what the account holds; look at what the act would do first."""
    from app.core import clock
    from app.executions.services.resolve import execution_resolve
    from app.executions.services.resolve_facts import Asked

    price_known(world)
    asked = Asked(**_fitting(world, chance, execution))
    about: dict[str, Any] = {"execution_id": execution.pk, "asked": asked, "user": world.analyst}
    with _refusals():
        preview = execution_resolve(**about, now=clock.now(), dry_run=True)
        execution_resolve(**about, now=clock.now(), facts=preview.facts)


def _fitting(world: World, chance: random.Random, execution: Any) -> dict[str, Any]:
    """Return the act, and what is said with it."""
    from app.accounts.models import Position
    from app.executions.services.resolve_facts import Act

    row = Position.objects.filter(con_id=execution.con_id, disputed_since__isnull=False).first()
    sign = 1 if execution.side == "LONG" else -1
    held = world.held_in_book(world.peer.state())
    stop = world.price - sign * Decimal(chance.randrange(50, 300)) / 100
    if execution.open_quantity < 0:
        return {"act": Act.CLOSE_SURPLUS}
    if row is not None and row.quantity == held:
        missing = -row.disputed * sign
        acts: list[dict[str, Any]] = [{"act": Act.NOT_OURS}]
        if missing > 0:
            acts.append({"act": Act.CLOSED_ELSEWHERE})
            left = max(execution.open_quantity - missing, Decimal(0))
            acts.append({"act": Act.TAKE_OVER, "quantity": left, "stop_price": stop})
        else:
            more = execution.open_quantity + abs(missing)
            acts.append({"act": Act.TAKE_OVER, "quantity": more, "stop_price": stop})
        return chance.choice(acts)
    if execution.open_quantity > 0 and chance.random() < 0.5:
        return {"act": Act.PROTECT, "stop_price": stop}
    return {"act": Act.DISMISS, "note": "seen"}


@contextlib.contextmanager
def _refusals() -> Any:
    """Let pass what the services refuse, and a row that a stopped worker holds (answered with 503)."""
    from app.core.errors import TradingError

    with contextlib.suppress(TradingError, OperationalError):
        yield


def _any_held(chance: random.Random) -> Any:
    from app.executions.models import Execution

    held = list(Execution.objects.filter(open_quantity__gt=0).order_by("id"))
    return chance.choice(held) if held else None


ACTS: dict[str, tuple[int, Act]] = {
    "close": (12, close),
    "move": (5, move),
    "answer": (3, answer),
}
