"""
Rows of the public pages, kept in Redis for an hour.

Why no fill can put a stale row back:
- One key holds the version, a random word. A page is kept together with the version that its filler saw **before** it
  read the database, and is shown only while that is still the version; all is read by one MGET, from one server.
- After a commit the version is replaced. A filler that began earlier, however slow, stores its rows under a word that
  nobody looks for any more. A word never comes back, so a lagging Redis slave, too, can only name an older one.
- A filler that began later must not read a MySQL slave that lacks the commit. So the one who sets a version then reads
  the writer's GTID set and leaves it beside, as that version's position. As it is read after the version was set, it
  contains every commit whose version was replaced by this one. A filler uses a slave only if that slave has applied the
  position, else the writer.
- If the writer is away, a page from a slave that is behind is shown, but not kept.

What remains is bounded by the hour: rows written past Django (`django-admin clear_page_cache` does away with that), a
process killed between commit and invalidation, a Redis master lost together with its newest keys.
"""

import logging
import threading
import time
import uuid

from django.core.cache import cache
from django.db import Error, connections
from django_redis.exceptions import ConnectionInterrupted

from form import database

log = logging.getLogger(__name__)

VERSION = "pages:version"
POSITION = "pages:position"
# Longer than a page lives: a version that ends takes its pages with it, which costs one fill each.
VERSION_SECONDS = 24 * 3600
# After a failure Redis is left alone so long, so that a page does not wait for it again and again.
PAUSE_SECONDS = 2

_away_until = 0.0
_owed = threading.Event()


def read(name, load):
    """Rows for the page, and where they come from ("cache", "replica", "default"); `load` reads them by one query."""
    settle()
    # Whoever changes the form of the rows changes the number: during a rollout old and new pods share the cache.
    key = f"pages:1:{name}"
    kept = _get(VERSION, POSITION, key)
    if kept is None:
        # Without Redis nobody knows what a slave must have; nothing is kept either.
        return _load(load, "")[:2]
    page = kept.get(key)
    if page and page["version"] == kept.get(VERSION):
        return page["rows"], "cache"
    if VERSION not in kept:
        # A slave of Redis that is only behind must not be a reason to throw every page away.
        kept = _get(VERSION, POSITION, from_writer=True) or {}
    version = kept.get(VERSION) or invalidate()
    rows, origin, current = _load(load, _position(version, kept.get(POSITION)) if version else None)
    if version and current:
        _set(key, {"version": version, "rows": rows})
    return rows, origin


def invalidate(any_lag=False):
    """
    Makes every kept page invisible; returns the new version, or None where Redis is away (it is then owed, see
    settle). With `any_lag` the next pages show what the slaves have, however far behind they are.
    """
    version = uuid.uuid4().hex
    # Cleared first: what another thread owes from now on stays owed.
    _owed.clear()
    try:
        cache.client.set(VERSION, version, timeout=VERSION_SECONDS)
    except ConnectionInterrupted as error:
        _owed.set()
        log.warning("the pages could not be invalidated, it will be tried again: %s", _reason(error))
        return None
    if any_lag:
        _set(POSITION, {"version": version, "gtids": ""}, VERSION_SECONDS)
    else:
        _find_position(version)
    return version


def settle():
    """Makes up for an invalidation that this process owes. Asked by every page and by every readiness probe."""
    if _owed.is_set() and time.monotonic() >= _away_until:
        invalidate()


def _load(load, needed):
    """Rows, the alias they were read from, and whether they are as new as `needed` (None: as the writer's)."""
    behind = False
    if "replica" in connections:
        try:
            if needed is not None and (needed == "" or database.reader_has(needed)):
                return _from_readers(load), "replica", True
            behind = True
        except Error as error:
            log.warning("the readers cannot be read, the writer is: %s", error)
            connections["replica"].close()
    try:
        return _rows(load), "default", True
    except Error as error:
        if not behind:
            raise
        log.warning("the writer cannot be read, a page from a slave that is behind is shown: %s", error)
        connections["default"].close()
        return _from_readers(load), "replica", False


def _from_readers(load):
    with database.from_readers():
        return _rows(load)


def _rows(load):
    # As they come back from Redis.
    return [list(row) for row in load()]


def _position(version, kept):
    """What a slave must have applied to fill pages of this version; None where that cannot be known now."""
    # It may be read at any time after the version was set; later only asks more of the slaves.
    return kept["gtids"] if kept and kept["version"] == version else _find_position(version)


def _find_position(version):
    try:
        gtids = database.position()
    except Error as error:
        log.warning("the writer does not say its position: %s", error)
        connections["default"].close()
        return None
    _set(POSITION, {"version": version, "gtids": gtids}, VERSION_SECONDS)
    return gtids


def _get(*keys, from_writer=False):
    """What Redis has of these keys, read by one command from one server; None where no Redis answers."""
    global _away_until
    if time.monotonic() < _away_until:
        return None
    for write in (True,) if from_writer else (False, True):
        try:
            return cache.client.get_many(keys, client=cache.client.get_client(write=write))
        except ConnectionInterrupted as error:
            log.warning("Redis %s: %s", "writer" if write else "readers", _reason(error))
    if not from_writer:
        _away_until = time.monotonic() + PAUSE_SECONDS
    return None


def _set(key, value, *timeout):
    try:
        cache.client.set(key, value, *timeout)
    except ConnectionInterrupted as error:
        log.warning("Redis writer: %s", _reason(error))


def _reason(error):
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"
