"""What the analyst does, through the services as the web process does."""

import contextlib
import random
from decimal import Decimal
from typing import Any

from django.db import OperationalError

from tests.simulation.acts.step import Act, later
from tests.simulation.world import ACCOUNT, SYMBOL, World


def execute(world: World, chance: random.Random, number: int) -> None:
    """A setup is written and executed."""
    from app.accounts.models import Account
    from app.core import clock
    from app.core.errors import TradingError
    from app.executions.services.request import execution_request
    from app.setups.services import setup_create

    side = chance.choice(("LONG", "SHORT"))
    sign = 1 if side == "LONG" else -1
    is_market = chance.random() < 0.65
    price_known(world)
    entry = world.price - sign * Decimal(chance.randrange(1, 60)) / 100
    stop = (world.price if is_market else entry) - sign * Decimal(chance.randrange(30, 300)) / 100
    target = world.price + sign * Decimal(chance.randrange(30, 300)) / 100
    values: dict[str, Any] = {
        "symbol": SYMBOL,
        "side": side,
        "entry_type": "MARKET" if is_market else "LIMIT",
        "entry_price": None if is_market else entry,
        "stop_price": stop,
        "quantity": Decimal(chance.choice((1, 10, 100))),
        "on_timeout": "CANCEL",
    }
    if chance.random() < 0.5:
        values["take_profits"] = [{"price": target}]
    try:
        setup = setup_create(
            owner=world.analyst,
            account=Account.objects.get(account_id=ACCOUNT),
            values=values,
            increments=None,
            last_price=world.price,
        )
        execution_request(setup=setup, user=world.analyst, idempotency_key=f"step-{number}", body={}, now=clock.now())
    except (TradingError, OperationalError):  # The last: a stopped worker holds the row; answered with 503.
        return


def cancel(world: World, chance: random.Random, _number: int) -> None:
    """The analyst cancels an execution."""
    from app.core import clock
    from app.core.errors import TradingError
    from app.executions.services.cancel import execution_cancel_request

    execution_id = _any_execution(chance)
    if execution_id is not None:
        try:
            execution_cancel_request(execution_id=execution_id, reason="requested", now=clock.now())
        except (TradingError, OperationalError):
            return


def kill_switch(world: World, chance: random.Random, number: int) -> None:
    """A person stops all trading, closes what is held or not, and lets it go on some steps later."""
    from app.core import clock
    from app.executions.services import kill_switch as service

    service.kill_switch_engage(account=None, user=None, reason="a run", now=clock.now(), flatten=chance.random() < 0.4)
    later(world, number + chance.randrange(2, 12), release_kill_switch)


def release_kill_switch() -> None:
    """Let trading go on where it was stopped."""
    from app.core import clock
    from app.core.errors import Conflict
    from app.executions.services import kill_switch as service

    with contextlib.suppress(Conflict):
        service.kill_switch_release(account=None, user=None, reason="a run", now=clock.now())


def redeliver(world: World, chance: random.Random, _number: int) -> None:
    """Tasks are delivered again."""
    from app.executions import dispatch

    execution_id = _any_execution(chance)
    if execution_id is not None:
        for _ in range(chance.randrange(1, 4)):
            chance.choice((dispatch.submit, dispatch.cancel))(execution_id)


def price_known(world: World) -> None:
    """Have the price of now known, as the data worker does."""
    from app.core import clock
    from app.domain.contract import Contract, SymbolInfo
    from app.market.services import instrument_record

    info = SymbolInfo(contract=Contract(symbol=SYMBOL), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")
    instrument_record(info=info, last_price=world.price, now=clock.now())


def _any_execution(chance: random.Random) -> int | None:
    from app.executions.models import Execution

    ids = list(Execution.objects.order_by("id").values_list("id", flat=True))
    return chance.choice(ids) if ids else None


ACTS: dict[str, tuple[int, Act]] = {
    "execute": (26, execute),
    "cancel": (6, cancel),
    "kill_switch": (1, kill_switch),
    "redeliver": (6, redeliver),
}
