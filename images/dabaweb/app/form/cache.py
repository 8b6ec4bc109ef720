"""How connections to Redis are kept."""

import time

from django.conf import settings
from redis.connection import ConnectionPool


class AgeingPool(ConnectionPool):
    """
    Closes a connection once it is as old as one to MySQL may become. A Service balances per connection, so connections
    that live for ever would leave a slave idle that was added or came back later, and stay on one that is not ready.
    """

    def release(self, connection):
        """Gives a connection back; an old one is opened again by whoever needs it next."""
        now = time.monotonic()
        if now - connection.__dict__.setdefault("first_used", now) > settings.CONNECTION_MAX_AGE:
            connection.disconnect()
            del connection.first_used
        super().release(connection)
