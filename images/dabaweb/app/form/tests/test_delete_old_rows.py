"""The command that the CronJob runs."""

from datetime import timedelta
from io import StringIO
from unittest import mock

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User as Account
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

COMMAND = "form.management.commands.delete_old_rows"


def run():
    """What the command prints."""
    output = StringIO()
    # Signals can be set in the main thread only, and the test runner has its own.
    with mock.patch(f"{COMMAND}.signal.signal"):
        call_command("delete_old_rows", "--keep-log-days", "30", stdout=output)
    return output.getvalue()


class OldRows(TestCase):
    """Sessions by their expiry, log entries by their age."""

    def setUp(self):
        self.now = timezone.now()
        self.account = Account.objects.create_user("someone")

    def log(self, *days):
        """Adds an entry for each age, in this order."""
        for each in days:
            LogEntry.objects.create(
                user=self.account, action_flag=2, object_repr=f"{each} days", action_time=self.now - timedelta(days=each)
            )

    def logged(self):
        """The ages of the entries that are there."""
        return list(LogEntry.objects.order_by("pk").values_list("object_repr", flat=True))

    def test_deletes_expired_sessions_and_keeps_the_others(self):
        for key, hours in {"expired": -1, "alive": 1}.items():
            Session.objects.create(session_key=key, session_data="", expire_date=self.now + timedelta(hours=hours))
        self.assertEqual(run(), "Deleted: 1 expired sessions, 0 log entries older than 30 days.\n")
        self.assertEqual([session.session_key for session in Session.objects.all()], ["alive"])

    def test_deletes_old_log_entries_in_batches_and_nothing_when_it_runs_again(self):
        self.log(90, 80, 29, 31, 0, 60, 70)
        with (
            mock.patch(f"{COMMAND}.BATCH", 3),
            CaptureQueriesContext(connection) as queries,
        ):
            self.assertEqual(run(), "Deleted: 0 expired sessions, 5 log entries older than 30 days.\n")
        self.assertEqual(sum(query["sql"].startswith("DELETE FROM `django_admin_log`") for query in queries), 3)
        self.assertEqual(self.logged(), ["29 days", "0 days"])
        self.assertEqual(run(), "Deleted: 0 expired sessions, 0 log entries older than 30 days.\n")

    def test_says_in_one_sentence_what_mysql_refused(self):
        refused = OperationalError(1290, "The server is running with --super-read-only")
        with (
            mock.patch(f"{COMMAND}.call_command", side_effect=refused),
            self.assertRaisesMessage(CommandError, "did not delete the old rows: 1290 The server is running with"),
        ):
            run()
