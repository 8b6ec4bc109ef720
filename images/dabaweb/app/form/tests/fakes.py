"""An in-memory Redis master and slave, with what form.pages uses."""

from types import SimpleNamespace
from unittest import mock

from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import ConnectionError as RedisAway

from form import pages


class FakeRedis:
    """Writes go to one dictionary and, unless `lagging`, also to the other, which is read first."""

    def __init__(self):
        self.writer, self.readers = {}, {}
        self.lagging = self.writer_away = self.readers_away = False
        # What happens during the wait for the lock, and whether it is granted.
        self.while_waiting, self.lock_is_free = lambda: None, True
        self.client = SimpleNamespace(get_client=self._get_client, get_many=self._get_many, set=self._set, lock=self._lock)

    def use(self, test):
        """Stands in for Redis until the test ends."""
        pages._owed.clear()
        for name, value in (("cache", self), ("_away_until", 0.0), ("PAUSE_SECONDS", 0)):
            patch = mock.patch.object(pages, name, value)
            patch.start()
            test.addCleanup(patch.stop)
        return self

    def catch_up(self):
        """Gives the slave what it lacks."""
        self.lagging = False
        self.readers = dict(self.writer)

    def _get_client(self, write):
        return "writer" if write else "readers"

    def _get_many(self, keys, client):
        if getattr(self, f"{client}_away"):
            raise ConnectionInterrupted(connection=client)
        store = getattr(self, client)
        return {key: store[key] for key in keys if key in store}

    def _set(self, key, value, timeout=None):
        if self.writer_away:
            raise ConnectionInterrupted(connection="writer")
        self.writer[key] = value
        if not self.lagging:
            self.readers[key] = value
        return True

    def _lock(self, key, timeout, blocking_timeout, sleep):
        return SimpleNamespace(acquire=self._acquire, release=self._reach_writer)

    def _reach_writer(self):
        if self.writer_away:
            raise RedisAway("writer")

    def _acquire(self):
        self._reach_writer()
        self.while_waiting()
        return self.lock_is_free
