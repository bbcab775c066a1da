"""What a long history costs: 1,000,000 finished orders loaded as from a backup, and the tables never analysed.

A bracket with a target that was stopped out is copied until there are so many orders, with what belongs to it, but of
its events only the deals. Before and after that stops are cancelled by hand while everything is asked: how long their
shares were without one, and what a reconcile took. The database is kept from analysing by itself, as it would within
minutes of a restore.
"""

import psycopg

from tests.bench import many_brackets
from tests.bench.lost_stops import Rows, asked, bare, bare_rows, held, is_over, marks, now_of, runs
from tests.bench.waiting import wait_for
from tests.running_stack import RunningStack
from tests.services.long_history import HISTORY, history_make

ORDERS, ORDERS_PER_EXECUTION = 1_000_000, 3
STOPS = 6


def measure(stack: RunningStack) -> Rows:
    """Return rows of name and figure."""
    _keep_from_analysing(stack)
    finished = _stopped_out(stack)
    rows = _lost_stops(stack, name="empty history")
    many_brackets.use_servers_of(stack)
    history_make(finished, length=ORDERS // ORDERS_PER_EXECUTION, events="kind = 'fill_told'")
    counted = stack.rows("SELECT count(*) FROM executions_order")[0][0]
    rows += _lost_stops(stack, name=f"{counted:,} orders")
    known = stack.rows("SELECT count(*) FROM pg_stats WHERE tablename = ANY(%s)", list(HISTORY))[0][0]
    return [*rows, ("columns that the planner knows of", str(known))]


def _keep_from_analysing(stack: RunningStack) -> None:
    with psycopg.connect(stack.owner_url, autocommit=True) as connection:
        for table in HISTORY:
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")


def _stopped_out(stack: RunningStack) -> int:
    """Have a bracket with a target bought and stopped out, and return its execution."""
    execution = held(stack, "AAPL", take_profits=[{"price": "900.00"}])
    query = (
        "SELECT o.order_ref FROM executions_order o JOIN executions_bracket b ON b.id = o.bracket_id "
        "WHERE b.execution_id = %s AND o.leg = 'STOP_LOSS'"
    )
    ((stop,),) = stack.rows(query, execution)
    stack.simulator().fill(order_ref=stop, price="10.00")
    closed = "SELECT 1 FROM executions_execution WHERE id = %s AND status = 'CLOSED'"
    wait_for(lambda: stack.rows(closed, execution), "the bracket was not closed")
    return execution


def _lost_stops(stack: RunningStack, *, name: str) -> Rows:
    control = stack.simulator()
    held(stack, "MSFT")  # Whose position is what is asked about.
    executions = [held(stack, "AAPL") for _ in range(STOPS)]
    begun, lost = now_of(stack), []
    for turn, execution in enumerate(executions):
        run = asked(stack, control, turn=turn)
        lost.append(bare(stack, control, execution))
        wait_for(lambda run=run: is_over(stack, run), "the reconcile did not end")
    return [
        *bare_rows(f"{name}: {len(lost)} lost stops", lost),
        (f"{name}: reconcile", marks(runs(stack, since=begun))),
    ]
