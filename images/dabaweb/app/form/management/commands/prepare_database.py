"""The command that the migration Job runs."""

import signal
import sys
import time

from django.contrib.auth.models import User as Account
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import Error, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from dabaweb.settings import env
from form import locks, pages
from form.database import separate_connection

# Changing a table may take long; a step that takes longer than this has hung and fails.
STEP_SECONDS = 3600
SAY_SECONDS = 10
# Recorded beside the migrations, which no one deletes, that the first admin was made.
FIRST_ADMIN = ("form", "first_admin")
# Rows that a first installation writes before the migration that completes it: only other rows mean that a table is in use.
LEFT_BEHIND = {
    "auth_permission": "FALSE",
    "django_content_type": "FALSE",
    "django_migrations": "app = 'form' AND name = '0004_first_rows'",
}


class Command(BaseCommand):
    """Waits for the writer, then migrates it under a lock. The first rows are a migration, so they load once."""

    help = "Waits for the master, applies migrations, loads the roles and creates the first admin. Can be run repeatedly."

    def handle(self, *args, **options):
        """Returns when the database is as this image needs it; the caller sets the time limit."""
        # As process 1, Python would ignore the signal.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
        patience = f"SET max_execution_time = 0, lock_wait_timeout = {locks.TRY_SECONDS}"
        options = {"read_timeout": STEP_SECONDS, "write_timeout": STEP_SECONDS, "init_command": patience}
        connections["default"].settings_dict["OPTIONS"] |= options
        # The lock has its own connection and ends with it, so nothing that Django does to "default" can lose the lock.
        lock = separate_connection("default", STEP_SECONDS)
        lock.settings_dict["OPTIONS"]["connect_timeout"] = 2
        # Locks belong to the server, not to the database.
        name = "dabaweb migrations of {NAME}".format(**lock.settings_dict)
        try:
            self._wait("MySQL at {HOST}:{PORT}".format(**lock.settings_dict), lambda: _why_not_writable(lock))
            self._wait(f'the lock "{name}"', lambda: _who_has(lock, name))
            with connections["default"].execute_wrapper(locks.Patient(self.stdout.write)):
                if half := _cut_off(lock):
                    self.stdout.write("An earlier first installation was interrupted: starting over.")
                    with connections["default"].constraint_checks_disabled(), connections["default"].cursor() as cursor:
                        cursor.execute("DROP TABLE " + ", ".join(half))
                call_command("migrate", interactive=False, stdout=self.stdout, stderr=self.stderr)
                call_command("loaddata", "roles", verbosity=0)
                _make_first_admin()
        finally:
            lock.close()
        # The load did not trigger the signals of the models.
        pages.invalidate()

    def _wait(self, what, obstacle):
        said = float("-inf")
        while problem := obstacle():
            if time.monotonic() - said >= SAY_SECONDS:
                said = time.monotonic()
                self.stdout.write(f"waiting for {what}: {problem}")
            time.sleep(0.5)


def _make_first_admin():
    """Once: whoever deletes that account does not want it back with a password that a Secret still has."""
    recorder = MigrationRecorder(connections["default"])
    if FIRST_ADMIN in recorder.applied_migrations():
        return
    with transaction.atomic():
        # Installations from before there was this record have accounts.
        if not Account.objects.exists():
            Account.objects.create_superuser("admin", password=env.str("ADMIN_PASSWORD"))
        recorder.record_applied(*FIRST_ADMIN)


def _cut_off(connection):
    """
    The tables of a first installation that was killed: MySQL cannot roll back half a migration, so it could not continue.
    Returns an empty list if there is a row that such an installation does not leave behind, or a table that does not
    belong to this image.
    """
    tables = connection.introspection.table_names()
    foreign = set(tables) - {"django_migrations", *connection.introspection.django_table_names()}
    with connection.cursor() as cursor:
        asked = (f"SELECT 1 FROM `{table}` WHERE {LEFT_BEHIND.get(table, 'TRUE')} LIMIT 1" for table in tables)
        return [] if foreign or any(cursor.execute(question) for question in asked) else tables


def _why_not_writable(connection):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.read_only")
            return "it is read-only" if cursor.fetchone()[0] else None
    except Error as error:
        connection.close()
        return " ".join(str(part) for part in error.args)


def _who_has(connection, lock):
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0), IS_USED_LOCK(%s)", [lock, lock])
        got, holder = cursor.fetchone()
        return None if got else f"connection {holder} holds it"
