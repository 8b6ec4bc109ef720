"""The connection pool for Redis."""

import time

from django.conf import settings
from redis.connection import ConnectionPool


class AgeingPool(ConnectionPool):
    """
    Closes a connection at the same maximum age as one to MySQL. A Service balances per connection, so permanent
    connections would leave a slave idle that was added or came back later, and would stay on one that is not ready.
    """

    def release(self, connection):
        """Returns a connection to the pool; its next user reopens an old one."""
        now = time.monotonic()
        if now - connection.__dict__.setdefault("first_used", now) > settings.CONNECTION_MAX_AGE:
            connection.disconnect()
            del connection.first_used
        super().release(connection)
