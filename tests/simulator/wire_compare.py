"""Hold what a decoder told against what was sent."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class First:
    """A value that must come first; what a library tells later under the same name is its own affair."""

    value: Any


def differences(
    expected: Mapping[str, Any], told: Mapping[str, list[Any]], *, optional: Collection[str] = ()
) -> list[str]:
    """Name every path whose value is missing or another; `optional` paths may be missing, not wrong."""
    return list(_differences(expected, told, optional))


def _differences(
    expected: Mapping[str, Any], told: Mapping[str, list[Any]], optional: Collection[str]
) -> Iterator[str]:
    for names, value in expected.items():
        path = next((name for name in names.split("|") if name in told), None)
        if path is None:
            if not any(name in optional for name in names.split("|")):
                yield f"{names}: not told, expected {value!r}"
        elif isinstance(value, First):
            if not same(value.value, told[path][0]):
                yield f"{path}: {told[path]!r}, expected {value!r}"
        elif isinstance(value, list):
            seen = told[path]
            if len(seen) != len(value) or not all(same(a, b) for a, b in zip(value, seen, strict=True)):
                yield f"{path}: {seen!r}, expected {value!r}"
        elif not all(same(value, seen) for seen in told[path]):
            yield f"{path}: {told[path]!r}, expected {value!r}"


def same(sent: object, seen: object) -> bool:
    """Compare as numbers where both are, flags as 0 and 1; dates that a client has parsed as written again."""
    if str(sent) == str(seen) or str(sent).replace("-", "") == str(seen).replace("-", ""):
        return True
    if isinstance(seen, bool):
        return str(sent).lower() in ({"1", "true"} if seen else {"0", "false", ""})
    try:
        return abs(float(str(sent)) - float(str(seen))) < 1e-9
    except ValueError:
        return False
