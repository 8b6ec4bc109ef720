"""/livez and /readyz, answered before the Host header is checked: the kubelet uses the pod's address."""

import logging
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from django.db import Error, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse

from form import pages
from form.database import separate_connection

# A server that refuses one more connection: too many in all, too many of all accounts' limit, too many of this account's.
FULL = {1040, 1203, 1226}
# How long one answer about the databases serves everybody who asks, in seconds.
SHARED_SECONDS = 1
# Written when a server had all migrations: for the other workers, and as long as the pod lives, thus its image.
COMPLETE = Path(tempfile.gettempdir()) / "dabaweb-migrations-complete"

log = logging.getLogger(__name__)


class Health:
    """Middleware that runs before everything that needs sessions, hosts or a database."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if known := answer(request.path):
            return HttpResponse(known[1], "text/plain", known[0])
        return self.get_response(request)


def answer(path):
    """Status and text for a health path; None for another one."""
    if path == "/livez":
        return 200, "alive\n"
    if path == "/readyz":
        return _readiness.answer()
    return None


class Readiness:
    """Asks the databases with one connection at a time, however many ask: visitors reach this path, too."""

    def __init__(self, obstacle):
        self._obstacle, self._lock, self._until, self._answer = obstacle, threading.Lock(), 0.0, None

    def answer(self):
        """Status and text, at most SHARED_SECONDS old."""
        with self._lock:
            if time.monotonic() >= self._until:
                pages.settle()
                obstacle = self._obstacle()
                self._answer = (503, obstacle) if obstacle else (200, "ready\n")
                self._until = time.monotonic() + SHARED_SECONDS
            return self._answer


def not_ready():
    """
    Why neither the slave nor the master can be read or has all migrations of this image; None if one of them is usable.
    Redis does not count: without it, the pages are slower but available. A server whose connections are all in use is
    there, as the pages that use them are: without this pod, the others would have one less to share them with.
    """
    problems, full = [], []
    for alias in filter(connections.settings.get, ("replica", "default")):
        # A separate connection with a short timeout: a hung server must not block the probe, and an existing connection
        # would not show whether new ones succeed.
        connection = separate_connection(alias, seconds=1)
        try:
            missing = migrations() - MigrationRecorder(connection).applied_migrations().keys()
            if not missing:
                COMPLETE.touch()
                return None
            problems.append(f"{alias} lacks {len(missing)} migrations, such as {'.'.join(min(missing))}")
        except Error as error:
            full += {error.args[0]} & FULL
            problems.append(f"{alias}: error {error.args[0]}")
        finally:
            connection.close()
    if full and COMPLETE.exists():
        log.warning("no connection is free, still ready: %s", "; ".join(problems))
        return None
    log.warning("not ready: %s", "; ".join(problems))
    return f"not ready: {'; '.join(problems)}\n"


@cache
def migrations():
    """The migrations in this image, as (application, name). A database may have more, from a newer image."""
    return frozenset(MigrationLoader(None).disk_migrations)


_readiness = Readiness(lambda: not_ready())
