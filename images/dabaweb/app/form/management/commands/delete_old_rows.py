"""The command that the CronJob runs."""

import signal
import sys
from datetime import timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections
from django.db.models import Max, Min
from django.utils import timezone

# Log entries in one transaction: slaves apply it in an instant, and no one waits long for its locks.
BATCH = 1000
# clearsessions deletes everything with one statement, and after a long pause that is a lot.
CLEARSESSIONS_SECONDS = 600


class Command(BaseCommand):
    """
    Sessions are in MySQL: of what the settings store in both, Redis has only copies, which expire by themselves.
    Log entries are the History pages of the sign-in area. Nothing else that the site stores gets old.
    """

    help = "Deletes expired sessions, and log entries that are older than so many days. Can be run repeatedly."

    def add_arguments(self, parser):
        """The age has no default: it is in the stack file."""
        parser.add_argument("--keep-log-days", type=int, required=True)

    def handle(self, *args, keep_log_days, **options):
        """Deletes on the writer. What a failed run has deleted stays deleted, and the next run continues."""
        # As process 1, Python would ignore the signal.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
        writer = connections["default"].settings_dict
        writer["OPTIONS"] |= {"read_timeout": CLEARSESSIONS_SECONDS}
        try:
            sessions = Session.objects.filter(expire_date__lt=timezone.now()).count()
            call_command("clearsessions")
            entries = _delete_entries_before(timezone.now() - timedelta(days=keep_log_days))
        except Error as error:
            why = " ".join(str(part) for part in error.args)
            raise CommandError(
                "MySQL at {HOST}:{PORT} did not delete the old rows: {why}; ".format(**writer, why=why)
                + "when it accepts writes again, the next run deletes them."
            ) from error
        self.stdout.write(
            f"Deleted: {sessions} expired sessions, {entries} log entries older than {keep_log_days} days."
        )


def _delete_entries_before(limit):
    """Returns how many. The time has no index, so the entries are read by id, in steps that take no time each."""
    ends = LogEntry.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return 0
    steps = range(ends["first"], ends["last"] + 1, BATCH)
    return sum(
        LogEntry.objects.filter(pk__range=(start, start + BATCH - 1), action_time__lt=limit).delete()[0] for start in steps
    )
