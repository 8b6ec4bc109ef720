"""Which database answers: the writer ("default") always, the readers ("replica") where a page asks for it."""

import copy
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import connections

_from_readers = ContextVar("from_readers", default=False)


@contextmanager
def from_readers():
    """Reads in this block may come from a slave and so be a little old. Everything else reads the writer."""
    token = _from_readers.set(True)
    try:
        yield
    finally:
        _from_readers.reset(token)


class Router:
    """Sessions, sign-in, the admin, what is not thought of, and what must see its own writes: all by the writer."""

    def db_for_read(self, model, **hints):
        """The readers, if asked for, if there are any, and outside transactions only."""
        wanted = _from_readers.get() and "replica" in connections
        return "replica" if wanted and not connections["default"].in_atomic_block else "default"

    def db_for_write(self, model, **hints):
        """Always the writer."""
        return "default"

    def allow_relation(self, first, second, **hints):
        """Both aliases are the same data."""
        return True

    def allow_migrate(self, db, app_label, **hints):
        """The slaves get the schema by replication."""
        return db == "default"


def position():
    """The GTID set that the writer has executed so far."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.gtid_executed")
        return cursor.fetchone()[0].replace("\n", "")


def reader_has(gtid_set):
    """Whether the slave that this thread is connected to has executed that much; of nothing it has all."""
    if not gtid_set:
        return True
    with connections["replica"].cursor() as cursor:
        cursor.execute("SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", [gtid_set])
        return cursor.fetchone()[0] == 1


def separate_connection(alias, seconds):
    """A connection of its own whose every step may take so long; the caller closes it."""
    settings = copy.deepcopy(connections.settings[alias])
    settings["OPTIONS"] |= dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), seconds)
    return type(connections[alias])(settings, alias)
