"""How connections to Redis are kept."""

import time

from redis.connection import ConnectionPool


class AgeingPool(ConnectionPool):
    """
    Closes a connection once it is `max_age` seconds old. A Service balances per connection, so connections that live
    for ever would leave a slave idle that was added or came back later, and stay on one that is no longer ready.
    """

    def __init__(self, *args, max_age, **kwargs):
        super().__init__(*args, **kwargs)
        self.max_age = max_age

    def release(self, connection):
        """Gives a connection back; an old one is opened again by whoever needs it next."""
        now = time.monotonic()
        if now - connection.__dict__.setdefault("first_used", now) > self.max_age:
            connection.disconnect()
            del connection.first_used
        super().release(connection)
