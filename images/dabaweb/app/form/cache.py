"""The connections to Redis."""

import time

from django.conf import settings
from redis.connection import Connection, ConnectionPool

from dabaweb import addresses


class ByAddress(Connection):
    """A connection that waits for the name server no longer than dabaweb.addresses does."""

    def _connect(self):
        name = self.host
        host = addresses.host(name)
        # An OSError counts as a failed connection.
        self.host = host.address()
        try:
            return super()._connect()
        except OSError:
            host.doubt()
            raise
        finally:
            self.host = name


class AgeingPool(ConnectionPool):
    """
    Closes a connection at the same maximum age as one to MySQL. A Service balances per connection, so permanent
    connections would leave a slave idle that was added or came back later, and would stay on one that is not ready.
    """

    def __init__(self, **options):
        super().__init__(connection_class=ByAddress, **options)

    def release(self, connection):
        """Returns a connection to the pool; its next user reopens an old one."""
        now = time.monotonic()
        if now - connection.__dict__.setdefault("first_used", now) > settings.CONNECTION_MAX_AGE:
            connection.disconnect()
            del connection.first_used
        super().release(connection)
