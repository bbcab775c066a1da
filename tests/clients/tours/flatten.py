"""What a decoder told, as a flat table: where a value came out, and the value.

`openOrder(orderId, contract, order, orderState)` becomes `orderId`, `contract.conId`, `order.tif`, ... A path that is
told several times (one bar after the other) has all its values, in order.
"""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

Table = dict[str, list[Any]]
_LEAVES = (str, int, float, Decimal, bool, type(None))


class Listener:
    """Takes the place of a library's wrapper; the wrapper's class says what the arguments are called."""

    def __init__(self, wrapper: type) -> None:
        self._wrapper = wrapper
        self.table: Table = defaultdict(list)
        self.callbacks: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__") or not hasattr(self._wrapper, name):
            raise AttributeError(name)
        return lambda *arguments, **named: self._note(name, arguments, named)

    def _note(self, callback: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if callback.endswith("ProtoBuf"):
            raise AssertionError(f"{callback} belongs to versions above 200")
        self.callbacks.append(callback)
        bound = inspect.signature(getattr(self._wrapper, callback)).bind(None, *arguments, **named)
        for name, value in list(bound.arguments.items())[1:]:
            for path, leaf in leaves(value, name):
                self.table[path].append(leaf)


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Walk through objects by attribute, through lists and sets by element, through dicts by key."""
    if isinstance(value, Enum):
        yield path, value.name
    elif isinstance(value, _LEAVES):
        yield path, plain(value)
    elif isinstance(value, set | list) or type(value) is tuple:
        for item in sorted(value) if isinstance(value, set) else value:
            yield from leaves(item, path)
    else:
        for name, item in _named(value).items():
            yield from leaves(item, f"{path}.{name}")


def _named(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    if hasattr(value, "__dict__"):
        return vars(value)
    slots = getattr(value, "__slots__", ())
    return {name: getattr(value, name) for name in slots} or {"text": str(value)}


def plain(value: Any) -> Any:
    """Return a value JSON can hold without loss."""
    return str(value) if isinstance(value, Decimal) else value
