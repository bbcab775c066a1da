"""A setup's revision: which plan somebody looked at before they asked for something.

    read: revision 3 ──> (somebody else changes the stop: 4) ──> execute what was seen at 3 ──> refused, nothing is sent

The database counts: triggers of migration 0002 raise `revision` whenever the plan, its targets, its notes or its place
in the archive change, whoever writes (a service, the admin, a command, `update()`, SQL by hand). An execution changes
nothing of the plan and is not counted, so a plan that was looked at can be executed twice.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import connection

from app.core.errors import Conflict
from app.setups.models import Setup

# The revisions somebody has seen, any of which will do; None asks for no comparison.
Seen = Collection[int] | None


def require_seen(setup: Setup, *, seen: Seen) -> None:
    """Raise Conflict `revision_changed`, with the current revision, where the setup is at none of those `seen`.

    Whoever writes afterwards calls it with the row locked in the same transaction: what was compared is then what is
    changed or executed.
    """
    if seen is not None and setup.revision not in seen:
        raise Conflict(
            f"The setup was changed since you looked at it: it is at revision {setup.revision} now.",
            code="revision_changed",
            details={"setup": setup.pk, "revision": setup.revision, "seen": sorted(seen)},
        )


@contextmanager
def one_revision(setup: Setup, *, is_counted: bool = False) -> Iterator[None]:
    """Have everything that is written to the setup inside count as one change, and read its revision afterwards.

    The triggers count rows: without this, a plan with two new targets would be three revisions further. `is_counted`
    says that the change has its number already (a new setup is revision 1 with its targets). Only in a transaction.
    """
    _say(f"{setup.pk}:{'counted' if is_counted else 'begun'}")
    yield
    _say("")
    setup.refresh_from_db(fields=["revision"])


def _say(what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.setup_revision', %s, true)", [what])
