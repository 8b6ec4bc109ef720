"""/livez and /readyz, answered before anything looks at the Host header: the kubelet asks by the pod's address."""

import logging
from functools import cache

from django.db import Error, connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpResponse

from form import pages
from form.database import separate_connection

log = logging.getLogger(__name__)


class Health:
    """Middleware in front of everything that needs sessions, hosts or a database."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path == "/livez":
            return _answer(200, "alive")
        if request.path == "/readyz":
            pages.settle()
            return readiness()
        return self.get_response(request)


def readiness():
    """
    Ready as long as the slave or the master can be read and has the migrations of this image. Redis does not count:
    without it the pages are slower, but there.
    """
    problems = []
    for alias in ("replica", "default"):
        if alias in connections:
            try:
                missing = sorted(migrations() - applied(alias))
            except Error as error:
                problems.append(f"{alias}: error {error.args[0]}")
            else:
                if not missing:
                    return _answer(200, f"ready: {alias} can be read")
                problems.append(f"{alias}: migration {'.'.join(missing[0])} is missing, {len(missing)} in all")
    log.warning("not ready: %s", "; ".join(problems))
    return _answer(503, "not ready: " + "; ".join(problems))


@cache
def migrations():
    """What this image brings, as pairs of application and name. A database may have more: those of a newer image."""
    return frozenset(MigrationLoader(None).disk_migrations)


def applied(alias):
    """
    What a database has of them. Asked by a connection of its own with a short limit: a hung server must not hold the
    probe up, and one that was kept from better days would say nothing about those to come.
    """
    connection = separate_connection(alias, seconds=1)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            return set(cursor.fetchall())
    finally:
        connection.close()


def _answer(status, text):
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain", headers={"Cache-Control": "no-store"})
