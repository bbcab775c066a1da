"""The journal's records: one JSON object per thing that changed, the last one of a kind and key wins.

    {"kind": "order", "sequence": 3, ...}       {"kind": "execution", "exec_id": ..., ...}
    {"kind": "position", "account": ..., ...}   {"kind": "client", "client_id": 1, "last_id": 4}
    {"kind": "counters", ...}                   {"kind": "value", "account": ..., "key": ..., "value": ...}
    {"kind": "market", "steps": 12, "pinned": {...}, "bent": {...}, ...}
    {"kind": "clock", "moment": ..., "speed": 60.0, "led": false}

Drafts (transmit=False) are not written: a real gateway loses them at a restart as well.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ib_simulator.clock import SimulatedClock
from ib_simulator.desk.orders import Order, Stage, Status
from ib_simulator.errors import JournalError
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.money.ledger import Execution, Position

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

Record = dict[str, Any]

_DECIMALS = frozenset(
    {
        *("quantity", "limit_price", "stop_price", "filled", "cost", "commission", "last_fill_price"),
        *("trail_amount", "trail_percent", "limit_offset"),
        *("price", "cumulative", "average_price", "average_cost", "realized_pnl"),
    }
)
_TIMES = frozenset({"completed_at", "time", "good_after", "good_till", "wakes_at", "due_at", "closes_at", "expires_at"})


def changed_records(gateway: "Gateway") -> list[Record]:
    """Return records of everything that changed since `forget_changes`; empty when nothing did."""
    book, ledger = gateway.book, gateway.ledger
    records: list[Record] = [_to_record("order", order) for order in book.touched.values()]
    records += [_to_record("execution", execution) for execution in ledger.new_executions]
    records += [_to_record("position", position) for position in ledger.touched_positions.values()]
    records += [
        {"kind": "client", "client_id": client_id, "last_id": book.last_ids[client_id]}
        for client_id in sorted(book.touched_clients)
    ]
    records += [
        {"kind": "value", "account": account, "key": key, "value": ledger.values[account, key]}
        for account, key in sorted(ledger.touched_values)
    ]
    if records or gateway.market.touched or clock_touched(gateway):
        records.append({"kind": "market", **gateway.market.state()})
        records += clock_records(gateway)
        records.append(
            {
                "kind": "counters",
                "sequence": book.last_sequence,
                "perm_id": book.last_perm_id,
                "bound_id": book.last_bound_id,
            }
        )
    return records


def forget_changes(gateway: "Gateway") -> None:
    """Say that everything that changed is written (or that there is no journal to write it to)."""
    book, ledger = gateway.book, gateway.ledger
    for waiting in (book.touched, ledger.touched_positions, book.touched_clients, ledger.touched_values):
        waiting.clear()
    ledger.new_executions.clear()
    gateway.market.touched = False
    if isinstance(gateway.clock, SimulatedClock):
        gateway.clock.touched = False


def clock_touched(gateway: "Gateway") -> bool:
    """Say whether the clock was led since its record was written."""
    return isinstance(gateway.clock, SimulatedClock) and gateway.clock.touched


def clock_records(gateway: "Gateway") -> list[Record]:
    """Return where a simulated clock is; nothing for the machine's."""
    clock = gateway.clock
    if not isinstance(clock, SimulatedClock) or not clock.is_simulated:
        return []
    return [{"kind": "clock", "moment": clock.now().isoformat(), "speed": clock.speed, "led": clock.led}]


def restore_clock(record: Record, gateway: "Gateway") -> None:
    """Let the clock go on from where it was: simulated time never goes back, also not by a restart."""
    clock = gateway.clock
    if isinstance(clock, SimulatedClock):
        clock.resume(datetime.fromisoformat(record["moment"]), speed=record["speed"] if record["led"] else None)


def restore(records: Iterable[Record], *, gateway: "Gateway") -> None:
    """Bring a new gateway to where the journal ends. Raises JournalError for a record it cannot understand."""
    latest: dict[tuple[Any, ...], Record] = {}
    for record in records:
        latest[record_key(record)] = record
    try:
        for record in sorted(latest.values(), key=_restore_rank):
            _restore_one(record, gateway)
    except (KeyError, ValueError, TypeError) as error:
        raise JournalError(f"the journal has a record that cannot be read: {error!r}") from error


def record_key(record: Record) -> tuple[Any, ...]:
    """Return what a record replaces the earlier ones of."""
    names = {
        "order": ("sequence",),
        "execution": ("exec_id",),
        "position": ("account", "instrument"),
        "client": ("client_id",),
        "value": ("account", "key"),
    }.get(str(record.get("kind")), ())
    return (record.get("kind"), *(record.get(name) for name in names))


def _restore_rank(record: Record) -> int:
    return int(record["sequence"]) if record["kind"] == "order" else 0


def _restore_one(record: Record, gateway: "Gateway") -> None:
    book, ledger, instruments = gateway.book, gateway.ledger, gateway.instruments
    match record["kind"]:
        case "order":
            values = _from_record(Order, record, instruments)
            values["stage"] = Stage(values["stage"])
            values["final_status"] = Status(values["final_status"]) if values["final_status"] else None
            values["groups"] = {name: [tuple(row) for row in rows] for name, rows in values["groups"].items()}
            book.add(Order(**values))
        case "execution":
            ledger.restore_execution(Execution(**_from_record(Execution, record, instruments)))
        case "position":
            ledger.restore_position(Position(**_from_record(Position, record, instruments)))
        case "client":
            book.last_ids[record["client_id"]] = record["last_id"]
        case "value":
            ledger.values[record["account"], record["key"]] = record["value"]
        case "market":
            gateway.market.restore(record)
        case "clock":
            restore_clock(record, gateway)
        case "counters":
            book.last_sequence = max(book.last_sequence, record["sequence"])
            book.last_perm_id = max(book.last_perm_id, record["perm_id"])
            book.last_bound_id = record["bound_id"]
        case _:
            raise ValueError(f"unknown kind {record['kind']!r}")


def _to_record(kind: str, thing: Order | Execution | Position) -> Record:
    record: Record = {"kind": kind}
    for item in fields(thing):
        record[item.name] = _plain(getattr(thing, item.name))
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Instrument):
        return value.key
    if isinstance(value, MappingProxyType):
        return dict(value)
    return value


def _from_record(kind: type[Order | Execution | Position], record: Record, instruments: InstrumentList) -> Record:
    # A journal of an earlier version lacks the fields that came later; what has no default is then missed by `kind`.
    return {
        item.name: _typed(item.name, record[item.name], instruments) for item in fields(kind) if item.name in record
    }


def _typed(name: str, value: Any, instruments: InstrumentList) -> Any:
    if value is None:
        return None
    if name == "instrument":
        found = instruments.by_key(value)
        if found is None:
            raise ValueError(f"unknown symbol {value!r}")
        return found
    if name in _DECIMALS:
        return Decimal(value)
    if name in _TIMES:
        return datetime.fromisoformat(value)
    return value
