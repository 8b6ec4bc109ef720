"""Which row a page shows, whatever is behind, down or happening at the same time."""

from unittest import mock

from django.db import OperationalError
from django.test import SimpleTestCase
from redis.exceptions import InvalidResponse

from form import database, pages
from form.tests.fakes import FakeRedis


class Pages(SimpleTestCase):
    """A master and a slave with one number each; a position is that number as text."""

    def setUp(self):
        self.redis = FakeRedis().use(self)
        self.master = self.slave = 1
        self.away = set()
        self.loads = []
        self.during_load = lambda: None
        self.connections = {"default": mock.Mock(in_atomic_block=False), "replica": mock.Mock()}
        self.enterContext(mock.patch.object(pages, "connections", self.connections))
        self.enterContext(mock.patch.object(pages.log, "warning"))
        self.enterContext(mock.patch.multiple(database, position=self._position, reader_has=self._reader_has))

    def _answer(self, alias):
        if alias in self.away:
            raise OperationalError(2002, f"{alias} is away")
        return self.master if alias == "default" else self.slave

    def _position(self):
        return str(self._answer("default"))

    def _reader_has(self, position):
        return position == "" or self._answer("replica") >= int(position)

    def load(self, alias):
        """The query of a page: the rows do not change, even if something happens before they are stored."""
        rows = [(self._answer(alias),)]
        self.loads.append(alias)
        self.during_load()
        return rows

    def show(self, after=None):
        """The number that the page shows, and where it comes from."""
        rows, origin = pages.read("page", self.load, after)
        return rows[0][0], origin

    def write(self, replicated=True):
        """A write through Django."""
        self.master += 1
        if replicated:
            self.slave = self.master
        pages.invalidate()

    def test_a_second_request_reads_no_database(self):
        self.assertEqual(self.show(), (1, "replica"))
        self.assertEqual(self.show(), (1, "cache"))
        self.assertEqual(self.loads, ["replica"])

    def test_a_write_shows_at_once(self):
        self.show()
        self.write()
        self.assertEqual(self.show(), (2, "replica"))

    def test_a_fill_that_began_before_a_write_is_not_seen_after_it(self):
        self.show()
        self.write()

        def once():
            self.during_load = lambda: None
            self.write()

        self.during_load = once
        self.assertEqual(self.show()[0], 2)
        self.assertEqual(self.show(), (3, "replica"))
        self.assertEqual(self.show(), (3, "cache"))

    def test_a_slave_that_lacks_the_write_is_not_read(self):
        self.show()
        self.write(replicated=False)
        self.assertEqual(self.show(), (2, "default"))
        self.assertEqual(self.show(), (2, "cache"))

    def test_with_the_writer_away_an_old_page_is_shown_but_not_kept(self):
        self.write(replicated=False)
        self.away = {"default"}
        self.assertEqual(self.show(), (1, "replica"))
        self.away = set()
        self.assertEqual(self.show(), (2, "default"))

    def test_readers_away(self):
        self.away = {"replica"}
        self.assertEqual(self.show(), (1, "default"))

    def test_both_databases_away_is_an_error_until_one_is_back(self):
        self.away = {"default", "replica"}
        with self.assertRaises(OperationalError):
            self.show()
        self.away = {"default"}
        self.assertEqual(self.show(), (1, "replica"))

    def test_a_transaction_sees_its_own_writes(self):
        self.connections["default"].in_atomic_block = True
        self.assertEqual(self.show(), (1, "default"))

    def test_no_readers_configured(self):
        del self.connections["replica"]
        self.assertEqual(self.show(), (1, "default"))
        self.assertEqual(self.show(), (1, "cache"))

    def test_what_the_slave_must_have_is_asked_after_the_version_is_known(self):
        asked = []

        def position():
            asked.append(self.redis.writer.get(pages.VERSION))
            return str(self.master)

        with mock.patch.object(database, "position", position):
            self.show()
        self.assertEqual(asked, [self.redis.writer[pages.VERSION]])

    def test_a_write_between_version_and_rows_is_not_missed(self):
        # The filler has seen a version; before it asks for the position, a writer commits and invalidates.
        def overtaken():
            with mock.patch.object(database, "position", self._position):
                self.write(replicated=False)
            return str(self.master)

        with mock.patch.object(database, "position", overtaken):
            self.assertEqual(self.show(), (2, "default"))
        self.assertEqual(self.show(), (2, "default"))
        self.assertEqual(self.show(), (2, "cache"))

    def test_one_fills_and_the_others_wait_for_it(self):
        self.show()
        self.write()

        def another():
            self.redis.while_waiting = lambda: None
            self.show()

        self.redis.while_waiting = another
        self.loads.clear()
        self.assertEqual(self.show(), (2, "cache"))
        self.assertEqual(self.loads, ["replica"])

    def test_who_has_waited_too_long_reads_for_himself_and_keeps_nothing(self):
        self.redis.lock_is_free = False
        self.assertEqual([self.show(), self.show()], [(1, "replica")] * 2)
        self.redis.lock_is_free = True
        self.show()
        self.write()
        self.redis.lock_is_free = False
        self.assertEqual([self.show(), self.show()], [(2, "replica")] * 2)

    def test_whoever_wrote_reads_it_from_a_slave_that_has_it(self):
        self.show()
        self.write()
        self.assertEqual(self.show(after=pages.written.get()), (2, "replica"))

    def test_whoever_wrote_reads_it_from_the_master_while_slaves_lack_it(self):
        self.write(replicated=False)
        self.assertEqual(self.show(after=pages.written.get()), (2, "default"))

    def test_whoever_wrote_reads_it_whatever_the_cache_says(self):
        self.show()
        self.redis.lagging = self.redis.writer_away = True
        self.write(replicated=False)
        self.assertEqual(self.show(after=pages.written.get()), (2, "default"))
        self.redis.writer_away = False
        self.assertEqual(self.show(after=pages.written.get()), (2, "default"))

    def test_whoever_wrote_gets_an_error_rather_than_an_older_page(self):
        self.write(replicated=False)
        self.away = {"default"}
        with self.assertRaises(OperationalError):
            self.show(after=pages.written.get())
        self.slave = 2
        self.assertEqual(self.show(after=pages.written.get()), (2, "replica"))

    def test_a_write_whose_position_is_not_known_is_read_from_the_master(self):
        self.show()
        self.master = 2
        self.away = {"default"}
        pages.invalidate()
        self.assertEqual(pages.written.get(), "")
        with self.assertRaises(OperationalError):
            self.show(after="")
        self.away = set()
        self.assertEqual(self.show(after=""), (2, "default"))

    def test_what_a_reader_makes_up_for_is_not_his_write(self):
        self.redis.writer_away = True
        self.write()
        self.redis.writer_away = False
        pages.written.set(None)
        self.show()
        self.assertIsNone(pages.written.get())

    def test_an_invalidation_that_another_thread_owes_stays_owed(self):
        def set_version(key, *_, **__):
            if key == pages.VERSION:
                pages._owed.set()
            return True

        with mock.patch.object(self.redis.client, "set", set_version):
            pages.invalidate()
        self.assertTrue(pages._owed.is_set())

    def test_redis_readers_away(self):
        self.redis.readers_away = True
        self.show()
        self.assertEqual(self.show(), (1, "cache"))

    def test_redis_writer_away(self):
        self.show()
        self.redis.writer_away = True
        self.assertEqual(self.show(), (1, "cache"))

    def test_redis_away(self):
        self.redis.readers_away = self.redis.writer_away = True
        self.assertEqual([self.show(), self.show()], [(1, "replica")] * 2)

    def test_somebody_else_at_the_address_of_redis_is_no_redis(self):
        for name in ("get_many", "set"):
            error = InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'")
            with mock.patch.object(self.redis.client, name, side_effect=error):
                self.assertEqual(self.show(), (1, "replica"), name)

    def test_a_write_while_redis_is_away_is_made_up_for(self):
        self.show()
        self.redis.readers_away = self.redis.writer_away = True
        self.write()
        self.redis.readers_away = self.redis.writer_away = False
        self.assertEqual(self.show(), (2, "replica"))

    def test_redis_is_left_alone_for_a_moment_after_a_failure(self):
        self.redis.readers_away = self.redis.writer_away = True
        with mock.patch.object(pages, "PAUSE_SECONDS", 60):
            self.show()
            self.redis.catch_up()
            self.redis.readers_away = self.redis.writer_away = False
            self.assertEqual([self.show(), self.show()], [(1, "replica")] * 2)

    def test_a_lagging_redis_slave_throws_no_page_away(self):
        self.show()
        version = self.redis.writer[pages.VERSION]
        self.redis.readers, self.redis.lagging = {}, True
        self.show()
        self.assertEqual(self.redis.writer[pages.VERSION], version)
        self.redis.catch_up()
        self.assertEqual(self.show(), (1, "cache"))

    def test_a_lagging_redis_slave_cannot_bring_a_row_back(self):
        self.show()
        self.redis.lagging = True
        self.write()
        del self.redis.readers["pages:2:page"]
        self.master = self.slave = 3
        # The slave has only the old version; the page is cached under the new one.
        self.assertEqual(self.show(), (3, "replica"))
        self.assertEqual(self.redis.writer["pages:2:page"]["version"], self.redis.writer[pages.VERSION])
        self.write()
        self.redis.catch_up()
        self.assertEqual(self.show(), (4, "replica"))
