"""The commands that make things go wrong, as methods of the control port's client."""

from abc import abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

Seconds = int | float | Decimal


class FaultCommands:
    """Mixed into `SimulatorControl`. `docs/simulator.md` says what each command does."""

    @abstractmethod
    def send(self, cmd: str, **arguments: Any) -> dict[str, Any]: ...

    def set_line(self, *, client_id: int | None = None, **properties: int) -> dict[str, int]:
        """Change `delay_ms`, `jitter_ms`, `merge_ms`, `merge_bytes`, `piece_min`, `piece_max`, `gap_ms`,
        `bytes_per_second` (0 turns one off) of a client's line or of all; returns all of them.
        """
        line: dict[str, int] = self.send("set_line", client_id=client_id, **properties)["line"]
        return line

    def lose(self, messages: Sequence[str], *, client_id: int | None = None, count: int | None = None) -> None:
        """Lose messages of these names, all from now on or the next `count`."""
        self.send("lose", messages=list(messages), client_id=client_id, count=count)

    def duplicate(self, messages: Sequence[str], *, client_id: int | None = None, count: int | None = None) -> None:
        self.send("duplicate", messages=list(messages), client_id=client_id, count=count)

    def delay_messages(
        self, messages: Sequence[str], *, ms: int, client_id: int | None = None, count: int | None = None
    ) -> None:
        """Send messages of these names `ms` late, overtaken by others."""
        self.send("delay_messages", messages=list(messages), ms=ms, client_id=client_id, count=count)

    def reorder(
        self, messages: Sequence[str], *, after: str, client_id: int | None = None, count: int | None = None
    ) -> None:
        """Send messages of these names only after one called `after`."""
        self.send("reorder", messages=list(messages), after=after, client_id=client_id, count=count)

    def garble(
        self,
        messages: Sequence[str],
        *,
        field: str,
        text: str | None = None,
        client_id: int | None = None,
        count: int | None = None,
    ) -> None:
        """Send messages of these names with `text` in the place of a field, given by its name or its place."""
        self.send("garble", messages=list(messages), field=field, text=text, client_id=client_id, count=count)

    def clear_faults(self) -> None:
        self.send("clear_faults")

    def faults(self) -> dict[str, Any]:
        """Return what is in force."""
        found: dict[str, Any] = self.send("faults")["faults"]
        return found

    def drop_on(
        self, message: str, *, when: str | None = None, client_id: int | None = None, count: int | None = None
    ) -> None:
        """Break a connection `before`, `after` or after `unanswered` the next (or `count`th) message of this name."""
        self.send("drop_on", message=message, when=when, client_id=client_id, count=count)

    def freeze(self, *, client_id: int | None = None) -> None:
        self.send("freeze", client_id=client_id)

    def thaw(self, *, client_id: int | None = None) -> None:
        self.send("thaw", client_id=client_id)

    def fail_connect(self, kind: str, *, client_id: int | None = None, count: int | None = None) -> None:
        """`close_at_once`, `no_handshake`, `close_after_start` or `empty_accounts`."""
        self.send("fail_connect", kind=kind, client_id=client_id, count=count)

    def hold_client_id(self, client_id: int, *, seconds: Seconds | None = None) -> None:
        self.send("hold_client_id", client_id=client_id, seconds=seconds)

    def restart_gateway(self, *, seconds: Seconds | None = None, roll_back_ids_by: int | None = None) -> int:
        """Returns how many connections were dropped."""
        dropped: int = self.send("restart_gateway", seconds=seconds, roll_back_ids_by=roll_back_ids_by)["dropped"]
        return dropped

    def reset_port(self, port: int) -> int:
        """Returns how many connections were dropped."""
        dropped: int = self.send("reset_port", port=port)["dropped"]
        return dropped

    def daily_restart(self, at: str | None = None) -> None:
        """`at`: hh:mm, US/Eastern; None: never."""
        self.send("daily_restart", at=at)

    def set_limit(self, name: str, value: int) -> None:
        self.send("set_limit", name=name, value=value)

    def outage(self, *, seconds: Seconds | None = None, restored: int | None = None) -> None:
        """Without `seconds` it lasts until `end_outage`; `restored` is 1101 or 1102."""
        self.send("outage", seconds=seconds, restored=restored)

    def end_outage(self, *, restored: int | None = None) -> None:
        self.send("end_outage", restored=restored)

    def farm(self, state: str, *, kind: str | None = None, name: str | None = None) -> None:
        """`state`: `ok`, `broken`, `inactive`, `connecting`; `kind`: `market`, `history`, `definitions`, `server`."""
        self.send("farm", state=state, kind=kind, name=name)

    def nightly_reset(self, *, seconds: Seconds | None = None) -> None:
        self.send("nightly_reset", seconds=seconds)

    def end_reset(self) -> None:
        self.send("end_reset")

    def competing_session(self, *, seconds: Seconds | None = None) -> None:
        self.send("competing_session", seconds=seconds)

    def end_competing_session(self) -> None:
        self.send("end_competing_session")
