"""Rows of the directory's pages, cached in Redis. docs/web.md says why no fill can bring back a stale row."""

import logging
import threading
import time
import uuid
from contextlib import suppress
from contextvars import ContextVar

from django.core.cache import cache
from django.db import Error, connections
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from form import database

log = logging.getLogger(__name__)

# django-redis raises its own error for lost connections; an answer that is not from Redis at all raises the library's.
AWAY = (ConnectionInterrupted, RedisError)
VERSION = "pages:version"
# Longer than a page lives: a version that expires invalidates its pages, which costs one fill each.
VERSION_SECONDS = 24 * 3600
# The longest wait for another process that fills a page.
FILL_SECONDS = 5
# After a failure, Redis is not asked for this long, so that a page does not wait for it again and again.
PAUSE_SECONDS = 2

# The position of the master after the last change in this thread's request; "" if the master did not answer, or if it is
# too long to be sent: then only the master itself is certain to have the change.
written = ContextVar("written", default=None)
_away_until = 0.0
_owed = threading.Event()


def read(name, load, after=None):
    """
    Rows for the page, and where they come from ("cache", "replica", "default"); `load` reads them with one query from
    the given database. With `after`, a value of `written`, the rows are at least that recent, or an error is raised.
    """
    settle()
    if after is not None:
        return _load(load, after or None, strict=True)[:2]
    # If you change the format of the rows, change the number: during a rollout, old and new pods share the cache.
    key = f"pages:2:{name}"
    kept = _get(key)
    if kept is None:
        # Without Redis, it is unknown what a slave must have executed.
        return _load(load, "")[:2]
    return (kept[key]["rows"], "cache") if _current(kept, key) else _fill(key, load)


def invalidate():
    """Invalidates every cached page, after a commit; None if Redis is down (the invalidation is then owed, see settle)."""
    version = _replace_version()
    written.set(_position(database.short) or "")
    return version


def settle():
    """Makes up for an invalidation that this process owes. Every page and every readiness probe calls this."""
    if _owed.is_set() and time.monotonic() >= _away_until:
        _replace_version()


def _replace_version():
    # A value that is never reused: a lagging Redis slave can only have an older one.
    version = uuid.uuid4().hex
    # Cleared first: an invalidation that another thread owes from now on stays owed.
    _owed.clear()
    if _set(VERSION, version, VERSION_SECONDS):
        return version
    return _owed.set()


def _fill(key, load):
    """One process reads the database; the others wait for the rows that it caches."""
    lock = cache.client.lock(f"{key}:lock", timeout=FILL_SECONDS, blocking_timeout=FILL_SECONDS, sleep=0.05)
    try:
        locked = lock.acquire()
    except RedisError as error:
        log.warning("Redis writer: %s", error)
        locked = False
    try:
        kept = (_get(key, from_writer=True) if locked else None) or {}
        if _current(kept, key):
            return kept[key]["rows"], "cache"
        # In this order: the version, the position of the master at that time, the rows.
        version = kept.get(VERSION) or (_replace_version() if locked else None)
        rows, origin, current = _load(load, _position())
        if version and current:
            _set(key, {"version": version, "rows": rows})
        return rows, origin
    finally:
        if locked:
            with suppress(RedisError):
                lock.release()


def _current(kept, key):
    return key in kept and kept[key]["version"] == kept.get(VERSION)


def _load(load, needed, strict=False):
    """Rows, the alias they were read from, and whether they are as recent as `needed` (None: as the master's)."""
    behind = False
    # A transaction must see its own writes.
    if "replica" in connections and not connections["default"].in_atomic_block:
        try:
            if needed is not None and database.reader_has(needed):
                return load("replica"), "replica", True
            behind = not strict
        except Error as error:
            log.warning("cannot read from the readers, reading from the writer: %s", error)
            connections["replica"].close()
    try:
        return load("default"), "default", True
    except Error as error:
        if not behind:
            raise
        log.warning("cannot read from the writer, showing a page from a slave that is behind: %s", error)
        connections["default"].close()
        return load("replica"), "replica", False


def _position(shortened=str):
    try:
        return shortened(database.position())
    except Error as error:
        log.warning("cannot read the position of the writer: %s", error)
        connections["default"].close()
        return None


def _get(key, from_writer=False):
    """The version and this key, with one command from one Redis server; None if no Redis answers."""
    global _away_until
    if time.monotonic() < _away_until:
        return None
    for write in (True,) if from_writer else (False, True):
        try:
            return cache.client.get_many([VERSION, key], client=cache.client.get_client(write=write))
        except AWAY as error:
            log.warning("Redis %s: %s", "writer" if write else "readers", error)
    _away_until = time.monotonic() + PAUSE_SECONDS
    return None


def _set(key, value, *timeout):
    try:
        return cache.client.set(key, value, *timeout)
    except AWAY as error:
        log.warning("Redis writer: %s", error)
        return False
