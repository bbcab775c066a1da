"""A permit to send that a test can see into: what is noted, and what is asked about it afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class PermitOf:
    """A `SendPermit` that calls `note` with the reserved ids, and `still_ours` where it is asked again."""

    note: Callable[[Mapping[str, int]], object] = _nothing
    still_ours: Callable[[], object] = _nothing

    def note_ids(self, order_ids: Mapping[str, int]) -> None:
        self.note(order_ids)

    def require_still_ours(self) -> None:
        self.still_ours()
