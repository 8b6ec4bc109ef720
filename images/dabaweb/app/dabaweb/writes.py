"""
A bound on the threads that wait in writes. While no slave acknowledges (`onNoReplica: wait`), every write hangs until its
time is up; as many of them as there are threads would take the pages, which can still be read, with them.
"""

import time
from contextlib import contextmanager
from threading import Condition

from django.conf import settings
from django.db import OperationalError

# Beyond the bound, a write waits for its turn as long as others get theirs. If none has begun or ended for so many seconds, it is refused.
PATIENCE_SECONDS = 1
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Turns:
    """At most so many writes at once."""

    def __init__(self, most):
        self.most, self._running, self._moved = most, 0, 0.0
        self._changed = Condition()

    @contextmanager
    def one(self):
        """Waits for a turn; OperationalError if the writes under way hang."""
        with self._changed:
            while self._running >= self.most:
                left = self._moved + PATIENCE_SECONDS - time.monotonic()
                if left <= 0:
                    raise OperationalError(f"{self._running} writes hang; nothing was written")
                self._changed.wait(left)
            self._move(1)
        try:
            yield
        finally:
            with self._changed:
                self._move(-1)
                self._changed.notify()

    def _move(self, by):
        self._running, self._moved = self._running + by, time.monotonic()


# Half of a worker's threads; the others serve reads.
turns = Turns(max(1, settings.WEB_THREADS // 2))


def bounded(execute, sql, params, many, context):
    """Wraps each statement: one that writes, or locks what is written next, takes a turn."""
    if sql.lstrip().upper().startswith(WRITES) or sql.rstrip().endswith("FOR UPDATE"):
        with turns.one():
            return execute(sql, params, many, context)
    return execute(sql, params, many, context)
