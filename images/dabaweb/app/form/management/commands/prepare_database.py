"""What the migration Job runs."""

import hashlib
import signal
import sys
import time

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, ProgrammingError, connections

from dabaweb import health
from form import pages
from form.database import NO_SUCH_TABLE, separate_connection

# Changing a table may take long; what hangs longer than that is given up.
STEP_SECONDS = 3600
SAY_SECONDS = 10


class Command(BaseCommand):
    """Waits for the writer, then migrates it under a lock. The first rows are a migration, so they load once."""

    help = "Waits for the master, applies migrations (the last of which loads the first rows), as often as one likes."

    def handle(self, *args, **options):
        """Ends when the database is as this image needs it; the caller sets the limit."""
        # As process 1 Python would ignore the signal.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
        # The lock has a connection of its own, so that nothing Django does to "default" can lose it.
        lock = separate_connection("default", STEP_SECONDS)
        lock.settings_dict["OPTIONS"]["connect_timeout"] = 2
        connections["default"].settings_dict["OPTIONS"] |= {"read_timeout": STEP_SECONDS, "write_timeout": STEP_SECONDS}
        try:
            self._wait_for_writer(lock)
            self._take_lock(lock)
            mark = self._begin(lock)
            call_command("migrate", interactive=False, stdout=self.stdout, stderr=self.stderr)
            if mark:
                with lock.cursor() as cursor:
                    cursor.execute(f"DROP TABLE {mark}")
        finally:
            # Ends the lock as well.
            lock.close()
        # The load went past the signals of the models.
        pages.invalidate()

    def _wait_for_writer(self, connection):
        where = "{HOST}:{PORT}".format(**connection.settings_dict)
        said = float("-inf")
        while problem := _problem(connection):
            if time.monotonic() - said >= SAY_SECONDS:
                said = time.monotonic()
                self.stdout.write(f"waiting for MySQL at {where}: {problem}")
                self.stdout.flush()
            time.sleep(0.5)

    def _take_lock(self, connection):
        # Locks are the server's, not the database's.
        name = "dabaweb migrations of {NAME}".format(**connection.settings_dict)
        with connection.cursor() as cursor:
            while True:
                cursor.execute("SELECT GET_LOCK(%s, %s)", [name, SAY_SECONDS])
                if cursor.fetchone()[0] == 1:
                    return
                cursor.execute("SELECT IS_USED_LOCK(%s)", [name])
                holder = cursor.fetchone()[0]
                self.stdout.write(f'waiting for the lock "{name}", which connection {holder} holds')
                self.stdout.flush()

    def _begin(self, connection):
        """
        MySQL cannot undo half a migration, so a first installation that was killed could not go on. An empty database
        therefore gets a table as a mark, which goes when all is there; returns its name, if there is one. Its name says
        which migrations were meant: what another image began is left alone.
        """
        mark = "installing_" + hashlib.sha256(repr(sorted(health.migrations())).encode()).hexdigest()[:12]
        tables = connection.introspection.table_names()
        foreign = [table for table in tables if table.startswith("installing_") and table != mark]
        if foreign:
            raise CommandError(
                f"The database has the table {foreign[0]}, which says that the first installation by another image was"
                " cut off: run that image's migration again, or drop all tables if nothing in them is needed."
            )
        with connection.cursor() as cursor:
            if not tables:
                cursor.execute(f"CREATE TABLE {mark} (id INT PRIMARY KEY)")
            elif mark not in tables:
                return None
            elif _incomplete(connection) and len(tables) > 1:
                self.stdout.write("An earlier first installation was cut off: starting over.")
                cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
                cursor.execute("DROP TABLE " + ", ".join(f"`{table}`" for table in tables if table != mark))
        return mark


def _incomplete(connection):
    try:
        return health.missing_migrations(connection)
    except ProgrammingError as error:
        # There is not even a table of migrations. Any other error is not a reason to drop anything.
        if error.args[0] != NO_SUCH_TABLE:
            raise
        return True


def _problem(connection):
    """Why the writer cannot be written yet, or None."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.read_only")
            return "it is read-only" if cursor.fetchone()[0] else None
    except Error as error:
        connection.close()
        return " ".join(str(part) for part in error.args)
