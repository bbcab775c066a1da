"""A price path as JSON, and back: what seed and steps alone would not bring back after a restart."""

from dataclasses import astuple
from decimal import Decimal
from typing import Any

from ib_simulator.market.paths import Fixed, PricePath, Process, Replay, Tick, Walk

_DECIMALS = ("last", "open", "high", "low", "close", "official")


def path_state(path: PricePath) -> dict[str, Any]:
    """Return everything of a bent path; Decimals as texts."""
    return {
        **{name: str(getattr(path, name)) for name in _DECIMALS},
        "volume": path.volume,
        "told": [_plain(value) for value in astuple(path.told)],
        "spread_ticks": path.spread_ticks,
        "liquidity": _plain(path.liquidity),
        "left": {"buy" if is_buy else "sell": str(left) for is_buy, left in path.left.items()},
        "bands": [_plain(band) for band in path.bands],
        "halted": path.halted,
        "process": process_state(path.process),
        "seeded_at": path.seeded_at,
    }


def restore_path(path: PricePath, state: dict[str, Any], *, steps: int) -> None:
    """Bring a path back to where `path_state` was taken after `steps` steps."""
    if state["seeded_at"] is not None:
        path.seed_anew(state["seeded_at"])
    path.process = _process(state["process"], path.process)
    if isinstance(path.process, Walk):
        for _ in range(steps - (state["seeded_at"] or 0)):
            path.process.draw(path.chance)
    path.steps = steps
    told = state["told"]
    path.restore(
        told=Tick(Decimal(told[0]), _decimal(told[1]), _decimal(told[2]), *told[3:]),
        prices={name: Decimal(state[name]) for name in _DECIMALS},
        volume=state["volume"],
        spread_ticks=state["spread_ticks"],
        liquidity=_decimal(state["liquidity"]),
        left={side == "buy": Decimal(left) for side, left in state["left"].items()},
        bands=(_decimal(state["bands"][0]), _decimal(state["bands"][1])),
        halted=state["halted"],
    )


def process_state(process: Process) -> dict[str, Any]:
    """Return a process as JSON."""
    match process:
        case Walk():
            return {"name": process.name, "step_ticks": process.step_ticks}
        case Replay():
            prices = [[str(price), traded] for price, traded in process.prices] if process.by_command else None
            return {"name": process.name, "position": process.position, "prices": prices}
        case _:
            return {"name": process.name}


def _process(state: dict[str, Any], planned: Process) -> Process:
    match state["name"]:
        case Walk.name:
            return Walk(step_ticks=state["step_ticks"])
        case Fixed.name:
            return Fixed()
        case Replay.name if state["prices"] is not None:
            prices = [(Decimal(price), traded) for price, traded in state["prices"]]
            return Replay(prices, position=state["position"], by_command=True)
        case Replay.name if isinstance(planned, Replay):
            return Replay(planned.prices, position=state["position"])
        case _:
            return Fixed()


def _plain(value: Decimal | int | None) -> str | int | None:
    return str(value) if isinstance(value, Decimal) else value


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
