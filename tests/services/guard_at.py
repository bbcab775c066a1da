"""The guard of one connection, at moments that a test chooses."""

from datetime import timedelta

from app.core import clock
from app.executions.services.guard import GuardLook, guard_look
from app.executions.services.guard_watch import Watch
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker


class Guard:
    """The guard of one connection, at moments the test chooses."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker, self.now = broker, clock.now()
        self.watch = Watch(monotonic=self._moment)

    def _moment(self) -> float:
        return self.now.timestamp()

    def look(self, *books: Book, after: float = 0) -> int:
        """Look at the books' executions, so many seconds after the last look; return how many repairs were made."""
        return self.found(*books, after=after).repaired

    def found(self, *books: Book, after: float = 0) -> GuardLook:
        """Look at the books' executions, so many seconds after the last look."""
        self.now += timedelta(seconds=after)
        ids = [book.execution_id for book in books]
        return guard_look(execution_ids=ids, broker=self.broker, watch=self.watch, now=self.now)
