"""/livez and /readyz, answered before the Host header is checked: the kubelet uses the pod's address."""

import logging
from functools import cache

from django.db import Error, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse

from form import pages
from form.database import separate_connection

log = logging.getLogger(__name__)


class Health:
    """Middleware that runs before everything that needs sessions, hosts or a database."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path == "/livez":
            return HttpResponse("alive\n", "text/plain")
        if request.path == "/readyz":
            pages.settle()
            obstacle = not_ready()
            return HttpResponse(obstacle or "ready\n", "text/plain", 503 if obstacle else 200)
        return self.get_response(request)


def not_ready():
    """
    Why neither the slave nor the master can be read or has all migrations of this image; None if one of them is usable.
    Redis does not count: without it, the pages are slower but available.
    """
    problems = []
    for alias in filter(connections.settings.get, ("replica", "default")):
        # A separate connection with a short timeout: a hung server must not block the probe, and an existing connection
        # would not show whether new ones succeed.
        connection = separate_connection(alias, seconds=1)
        try:
            missing = migrations() - MigrationRecorder(connection).applied_migrations().keys()
            if not missing:
                return None
            problems.append(f"{alias} lacks {len(missing)} migrations, such as {'.'.join(min(missing))}")
        except Error as error:
            problems.append(f"{alias}: error {error.args[0]}")
        finally:
            connection.close()
    log.warning("not ready: %s", "; ".join(problems))
    return f"not ready: {'; '.join(problems)}\n"


@cache
def migrations():
    """The migrations in this image, as (application, name). A database may have more, from a newer image."""
    return frozenset(MigrationLoader(None).disk_migrations)
