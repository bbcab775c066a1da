"""The order life cycle as a page: the diagram and the table of the docs, drawn from the table that decides.

    PYTHONPATH=backend .venv/bin/python -m app.domain.order_diagram > docs/order_lifecycle.md

A picture drawn by hand would be believed after the table has changed; a test compares the page with this output.
"""

import sys

from app.domain.order_status import LIVE, TERMINAL, TRANSITIONS, OrderEvent, OrderStatus, Transition

# What the broker holds, in one box of the diagram. INACTIVE is parked there, and may come back.
_AT_BROKER = [status for status in OrderStatus if status in LIVE | {OrderStatus.INACTIVE}]
_AT_BROKER_BOX = "AT_BROKER"

_PAGE = """\
# The life of an order

One table decides what each piece of news does to an order: `backend/app/domain/order_status.py`. Nothing else changes
an order's status. This page is drawn from it; a test fails while they differ. To draw it again, from the repository's
root:

```
PYTHONPATH=backend .venv/bin/python -m app.domain.order_diagram > docs/order_lifecycle.md
```

## The ordinary ways

A line from the box `AT_BROKER` holds for every order in it. Moves that flag the execution for a person are left out
here; the table below has them all.

```mermaid
{diagram}
```

## What each status means

| Status | Meaning |
|---|---|
{meanings}

## The whole table

Where an order stands, from top to bottom; what is heard of it, from left to right. **→ X** moves it. *stay* is a
lawful message that changes nothing, *late* one from the past: stored and ignored, because the broker repeats and
reorders its callbacks. **⚑** flags the execution: a person must look.

{table}

Three things to read in it:

- **A fill is never lost.** It counts wherever the order stands, after a cancel too: the exchange may fill what a cancel
  was on its way to. Only fills make an order FILLED; the broker's word alone (`FILLED_TOLD`) does not.
- **REJECTED and NOT_PLACED are conclusions of ours.** News of an order at work under their name corrects them, loudly.
- **Silence is not an answer.** Only `PROVED_ABSENT`, drawn from complete answers of the broker, ends an order of which
  nothing was heard.
"""

_MEANINGS = {
    OrderStatus.CREATED: "A row; nothing on the wire.",
    OrderStatus.SENT: "Written ahead with its order id; on the wire or about to be, no answer yet.",
    OrderStatus.PENDING_SUBMIT: "The Gateway has it, the broker has not answered.",
    OrderStatus.HELD: "The broker has it; it waits for its trigger, its entry or the open.",
    OrderStatus.WORKING: "At its destination.",
    OrderStatus.PENDING_CANCEL: "A cancel is on its way; it can still fill.",
    OrderStatus.INACTIVE: "Neither working nor finished: refused for now, or parked by the broker.",
    OrderStatus.FILLED: "Its fills make up its quantity.",
    OrderStatus.CANCELLED: "The broker cancelled it. A late fill is still lawful.",
    OrderStatus.REJECTED: "The broker refused the order itself.",
    OrderStatus.NOT_PLACED: "Proved by complete answers of the broker never to have arrived.",
}


def order_diagram() -> str:
    """Return a mermaid state diagram of every move that needs no person, parallel moves on one line."""
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {OrderStatus.CREATED}"]
    lines += [f"    state {_AT_BROKER_BOX} {{"]
    lines += [f"        {line}" for line in _edges(inside=True)]
    lines += ["    }"]
    lines += [f"    {line}" for line in _edges(inside=False)]
    lines += [f"    {status} --> [*]" for status in OrderStatus if status in TERMINAL]
    return "\n".join(lines)


def order_table() -> str:
    """Return the whole table as Markdown: a row for each status, a column for each event."""
    rows = [
        "| | " + " | ".join(f"`{event}`" for event in OrderEvent) + " |",
        "|---" * (len(OrderEvent) + 1) + "|",
    ]
    rows += [
        f"| **{status}** | " + " | ".join(_cell(status, TRANSITIONS[status, event]) for event in OrderEvent) + " |"
        for status in OrderStatus
    ]
    return "\n".join(rows)


_CLOSING = """
## Closing

How a position is closed, or a part of it, is decided by `backend/app/domain/close.py`, for each bracket and after each
word of the broker. `CLOSE_ROAD` ([Configuration](configuration.md)) is `auto`, or one of these for all:

- `target`: the target becomes a market order, under its own id; the broker ends the stop when it fills. Never without a
  stop. Proved on paper accounts (the change is echoed; a target that is made marketable fills and takes its stop with
  it), not recorded on live ones.
- `join`: a CLOSE names the OCA group that the broker echoed for all exits; whichever fills first ends the others. Never
  without a stop. Proved on paper accounts for groups that a client named, not known for those that the Gateway names
  itself, as it does for a bracket's children.
- `cancel_first`: the exits are cancelled; when the broker has said so, a CLOSE for exactly what is held. Without a stop
  for one round trip. Proved everywhere.

A part of a bracket: the exits are cut to what is kept; when the broker has echoed that, a CLOSE for the rest, which
has no stop for one round trip. `auto` takes the first that the *echoed* orders allow: `target` where one target at
work covers what is held and stands in one group with the bracket's own stop; `join` only for a group that a client
named, and never on a live account; else `cancel_first`. What the broker refuses on one road goes on with
`cancel_first`. A lone stop belongs to no group, as far as is known, so it is cancelled first.

Never twice: before anything is sent the account is asked whether it holds the shares; a CLOSE is sent only where no
exit can fill beside it, or the broker ends one with the other; and with the recorded closing fill the cancels of all
exits that are left leave at once. `OCA group is already filled` means that an exit was faster: its deals are waited
for.

Never many at once: closing is done one step after the other, and at most four executions lose their stop by it at a
time. The next gives up its own when an earlier one is closed, and who is without one goes first, whoever took it. One
that cannot be closed, because the account may not hold it or the market is shut, keeps the others waiting for ten
seconds.

Never for nothing: where the last three orders that close, each alone, were refused in a contract, or the last of two
contracts of an account, the next positions keep their stops and say so (`closes_refused`). Half a minute later one is
tried, with one order, and the others follow when it was accepted.

For how long shares had no stop while they were closed is written down with the closing deal, as a decision
`CLOSED_BARE` in the order history: since when, until when, and which stops had ended.
"""


def order_lifecycle_page() -> str:
    """Return the text of docs/order_lifecycle.md."""
    meanings = "\n".join(f"| **{status}** | {_MEANINGS[status]} |" for status in OrderStatus)
    return _PAGE.format(diagram=order_diagram(), meanings=meanings, table=order_table()) + _CLOSING


def _cell(status: OrderStatus, result: Transition) -> str:
    if result.status is not status:
        word = f"→ {result.status}"
    else:
        word = "late" if result.late else "" if result.flag else "stay"
    return f"⚑ {word}".strip() if result.flag else word


def _edges(*, inside: bool) -> list[str]:
    """Return the lines between the statuses in the box, or all others."""
    causes: dict[tuple[str, OrderStatus], list[OrderEvent]] = {}
    for event in OrderEvent:
        for start, end in _moves(event):
            if (start in _AT_BROKER and end in _AT_BROKER) is inside:
                causes.setdefault((start, end), []).append(event)
    return [f"{start} --> {end} : {', '.join(events)}" for (start, end), events in causes.items()]


def _moves(event: OrderEvent) -> list[tuple[str, OrderStatus]]:
    """Return where the event moves orders unflagged; one move from the box where all in it go the same way out."""
    results = {status: TRANSITIONS[status, event] for status in OrderStatus}
    moves: list[tuple[str, OrderStatus]] = [
        (status, result.status) for status, result in results.items() if result.status is not status and not result.flag
    ]
    ends = {results[status].status for status in _AT_BROKER}
    if len(ends) == 1 and not ends & set(_AT_BROKER):
        moves = [(start, end) for start, end in moves if start not in _AT_BROKER]
        moves.append((_AT_BROKER_BOX, ends.pop()))
    return moves


if __name__ == "__main__":
    sys.stdout.write(order_lifecycle_page())
