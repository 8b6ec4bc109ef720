"""
The two databases: "default" is the writer, so that code that names no database is correct; "replica" represents all
readers, and only form.pages uses it.
"""

import copy

from django.db import connections


# Each volume that a master loses adds a server to the set. A response carries it twice, and nginx takes 8 kB for all headers.
LONGEST_POSITION = 800


def position():
    """The GTID set that the writer has executed so far."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.gtid_executed")
        return cursor.fetchone()[0].replace("\n", "")


def short(gtid_set):
    """
    A set that is no longer than that, and that a slave has only if it has this one; an empty one if there is none. A slave
    executes transactions in the order of the master's binary logs: whoever has what is still in them has what came before.
    """
    if len(gtid_set) <= LONGEST_POSITION:
        return gtid_set
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT GTID_SUBTRACT(%s, @@GLOBAL.gtid_purged)", [gtid_set])
        recent = cursor.fetchone()[0].replace("\n", "")
    return recent if len(recent) <= LONGEST_POSITION else ""


def reader_has(gtid_set):
    """Whether the slave that this thread is connected to has executed the GTID set; true for an empty one."""
    if not gtid_set:
        return True
    with connections["replica"].cursor() as cursor:
        cursor.execute("SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", [gtid_set])
        return cursor.fetchone()[0] == 1


def separate_connection(alias, seconds):
    """A separate connection with this timeout for every step; the caller closes it."""
    settings = copy.deepcopy(connections.settings[alias])
    settings["OPTIONS"] |= dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), seconds)
    return type(connections[alias])(settings, alias)
