"""Commands that move the market, choose what moves it, and hold it back."""

from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, find_instrument, named
from ib_simulator.errors import CommandError
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.paths import STEP_TICKS_MAX, Fixed, PricePath, Process, Replay, Tick, Walk
from ib_simulator.market.price_files import EVERYBODY, PriceFileError, prices_by_step, read_bars

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

STEPS_MAX = 100_000
TICKS_MAX = 10_000


def set_price(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Pin a symbol's last price."""
    instrument = find_instrument(gateway, arguments)
    price = _price(arguments, "price", instrument)
    _check_bands(gateway.market.path(instrument), price)
    gateway.set_price(instrument, price)
    return {"symbol": instrument.symbol, "price": format(price, "f")}


def release_price(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let a pinned price move again."""
    path = _path(gateway, arguments)
    path.release()
    return _changed(gateway, path)


def step(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Move all prices by n steps."""
    count = arguments.integer("n", default=1)
    if not 0 < count <= STEPS_MAX:
        raise CommandError(code="bad_value", message=f"n must be 1 to {STEPS_MAX}")
    for _ in range(count):
        gateway.step()
    return {"prices": {symbol: format(price, "f") for symbol, price in gateway.market.prices().items()}}


def tick(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Make one tick of a symbol at once: a last price and, where given, the quote around it."""
    path = _path(gateway, arguments)
    last = _price(arguments, "last", path.instrument)
    bid, ask = (_price(arguments, name, path.instrument) if arguments.has(name) else None for name in ("bid", "ask"))
    if bid is not None and ask is not None and bid > ask:
        raise CommandError(code="bad_value", message=f"the bid {bid} is above the ask {ask}")
    for price in (last, bid, ask):
        _check_bands(path, price)
    bid_size, ask_size = _count(arguments, "bid_size"), _count(arguments, "ask_size")
    path.tick(Tick(last, bid, ask, bid_size, ask_size, _count(arguments, "volume")))
    return _changed(gateway, path)


def set_process(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Choose what moves a symbol from now on: walk, fixed, or replay of bars given as CSV."""
    path = _path(gateway, arguments)
    path.follow(_process(arguments))
    return _changed(gateway, path) | {"process": path.process.name}


def _process(arguments: Arguments) -> Process:
    name = arguments.text("process")
    if name == Walk.name:
        return Walk(step_ticks=_ticks(arguments, "step_ticks", default=STEP_TICKS_MAX))
    if name == Fixed.name:
        return Fixed()
    if name != Replay.name:
        raise CommandError(code="bad_value", message=f"process is walk, fixed or replay, not {name!r}")
    try:
        bars = read_bars(arguments.text("csv"), name="csv")
    except PriceFileError as error:
        raise CommandError(code="bad_value", message=str(error)) from error
    if set(bars) != {EVERYBODY}:
        raise CommandError(code="bad_value", message="csv must have bars, and no symbols: the command names one")
    return Replay(prices_by_step(bars[EVERYBODY]), by_command=True)


def set_spread(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Set the distance of bid and ask."""
    path = _path(gateway, arguments)
    path.set_spread(_ticks(arguments, "ticks"))
    return _changed(gateway, path)


def set_liquidity(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Limit what can be dealt on each side per step; without a size there is no limit."""
    path = _path(gateway, arguments)
    size = _count(arguments, "size")
    path.set_liquidity(None if size is None else Decimal(size))
    return _changed(gateway, path)


def halt(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Halt trading of a symbol."""
    path = _path(gateway, arguments)
    path.halt(halted=True)
    return _changed(gateway, path)


def resume(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let a halted symbol trade again."""
    path = _path(gateway, arguments)
    path.halt(halted=False)
    return _changed(gateway, path)


def set_limits(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Set limit down and limit up of a symbol; a missing one is taken away."""
    path = _path(gateway, arguments)
    lower, upper = (
        _price(arguments, name, path.instrument) if arguments.has(name) else None for name in ("lower", "upper")
    )
    if lower is not None and upper is not None and lower >= upper:
        raise CommandError(code="bad_value", message=f"lower {lower} is not below upper {upper}")
    path.set_bands(lower, upper)
    return _changed(gateway, path)


def _changed(gateway: "Gateway", path: PricePath) -> Answer:
    gateway.market.touched = True
    gateway.prices_changed()
    quote = path.quote()
    prices = {name: format(getattr(quote, name), "f") for name in ("last", "bid", "ask")}
    return {"symbol": path.instrument.symbol, **prices}


def _path(gateway: "Gateway", arguments: Arguments) -> PricePath:
    return gateway.market.path(find_instrument(gateway, arguments))


def _price(arguments: Arguments, name: str, instrument: Instrument) -> Decimal:
    price = arguments.positive(name)
    if price % instrument.tick:
        raise CommandError(code="bad_value", message=f"{price} is not a multiple of the tick {instrument.tick}")
    return price


def _check_bands(path: PricePath, price: Decimal | None) -> None:
    lower, upper = path.bands
    if price is None:
        return
    if (lower is not None and price < lower) or (upper is not None and price > upper):
        raise CommandError(code="bad_value", message=f"{price} is beyond the limits: {lower} to {upper}")


def _count(arguments: Arguments, name: str) -> int | None:
    value = arguments.optional_integer(name)
    if value is not None and value < 0:
        raise CommandError(code="bad_value", message=f"{name} must not be negative: {value}")
    return value


def _ticks(arguments: Arguments, name: str, *, default: int | None = None) -> int:
    ticks = arguments.integer(name, default=default)
    if not 0 < ticks <= TICKS_MAX:
        raise CommandError(code="bad_value", message=f"{name} must be 1 to {TICKS_MAX}, not {ticks}")
    return ticks


COMMANDS = named(set_price, release_price, step, tick, set_process, set_spread, set_liquidity, halt, resume, set_limits)
