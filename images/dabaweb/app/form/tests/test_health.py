"""What the probes are told, in each state of the databases and of gunicorn's threads."""

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from django.db import OperationalError
from django.test import SimpleTestCase

from dabaweb import health, probes
from form.tests.site import Site


class Readiness(Site):
    """Fails only if neither server can be read, or migrations are missing."""

    def setUp(self):
        super().setUp()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, value in (("COMPLETE", Path(folder.name) / "complete"), ("SHARED_SECONDS", 0)):
            patch = mock.patch.object(health, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    @contextmanager
    def errors(self, **numbers):
        """Connections to these servers fail with that number."""
        real = health.separate_connection

        def connect(alias, seconds):
            if alias in numbers:
                return mock.Mock(cursor=mock.Mock(side_effect=OperationalError(numbers[alias], "no")))
            return real(alias, seconds)

        with mock.patch.object(health, "separate_connection", connect):
            yield

    def ready(self):
        """The answer, as the kubelet gets it."""
        return health.answer("/readyz")

    def unready(self, words):
        """Checks that the answer is no and has these words, and that the log says so."""
        with self.assertLogs("dabaweb.health", "WARNING"):
            status, text = self.ready()
        self.assertEqual(status, 503)
        self.assertIn(words, text)

    def test_one_server_that_can_be_read_is_enough(self):
        for numbers in ({}, {"replica": 2002}, {"default": 2002}, {"default": 1226}):
            with self.errors(**numbers):
                self.assertEqual(self.ready(), (200, "ready\n"), numbers)

    def test_none_is_not(self):
        self.ready()
        with self.errors(replica=2002, default=2013):
            self.unready("not ready: replica: error 2002; default: error 2013")

    def test_full_servers_are_there(self):
        for number in (1040, 1203, 1226):
            with self.errors(replica=2003, default=number):
                health.COMPLETE.unlink(missing_ok=True)
                # They may lack migrations.
                self.unready(f"default: error {number}")
            self.ready()
            with self.errors(replica=2003, default=number), self.assertLogs("dabaweb.health", "WARNING"):
                self.assertEqual(self.ready(), (200, "ready\n"), number)

    def test_missing_migrations(self):
        more = {*health.migrations(), ("form", "9999_not_yet")}
        with mock.patch.object(health, "migrations", lambda: more):
            self.unready("default lacks 1 migrations, such as form.9999_not_yet")
        with mock.patch("django.db.migrations.recorder.MigrationRecorder.has_table", lambda _: False):
            self.unready("replica lacks")

    def test_redis_does_not_count(self):
        self.redis.readers_away = self.redis.writer_away = True
        self.assertEqual(self.ready(), (200, "ready\n"))


class Many(SimpleTestCase):
    """Whoever asks at the same time gets one answer."""

    def test_one_question_serves_all(self):
        asked = mock.Mock(return_value=None)
        readiness = health.Readiness(asked)
        with mock.patch("form.pages.settle"):
            answers = [readiness.answer() for _ in range(20)]
        self.assertEqual((set(answers), asked.call_count), ({(200, "ready\n")}, 1))


class Threads(SimpleTestCase):
    """When a worker is beyond help."""

    def test_stuck(self):
        # Each row: when the requests in two threads began (None: no request), what the clock says, whether the worker is stuck.
        late = 1 + probes.STUCK_SECONDS
        for first, second, now, stuck in (
            (None, None, late, False),
            (0, None, 10 * late, False),
            (0, 0, late - 1, False),
            (0, 0, late, True),
            (0, 5, late, False),
        ):
            threads = probes.Threads(2)
            for begun in filter(lambda begun: begun is not None, (first, second)):
                with mock.patch("time.monotonic", lambda: begun), mock.patch("threading.get_ident", object):
                    threads.begin()
            with mock.patch("time.monotonic", lambda: now):
                self.assertEqual(threads.stuck(), stuck, (first, second, now))

    def test_a_request_that_ended_does_not_count(self):
        threads = probes.Threads(1)
        threads.begin()
        threads.end()
        with mock.patch("time.monotonic", lambda: float("inf")):
            self.assertFalse(threads.stuck())
