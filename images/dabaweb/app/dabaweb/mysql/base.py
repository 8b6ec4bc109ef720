"""Django's backend for MySQL, with bounds on what it waits for: the name server (dabaweb.addresses) and writes (dabaweb.writes)."""

from django.db.backends.mysql import base

from dabaweb import addresses, writes

# Error numbers from here on are the client library's: the server was not reached, or did not answer.
CLIENT_ERRORS = 2000


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to one server."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(writes.bounded)

    def get_new_connection(self, conn_params):
        """Connects to the address, not to the name: `connect_timeout` does not count the name server's time."""
        host = addresses.host(conn_params["host"])
        try:
            address = host.address()
        except OSError as error:
            # The number that the library has for this.
            raise base.Database.OperationalError(2005, str(error)) from error
        try:
            return super().get_new_connection(conn_params | {"host": address})
        except base.Database.OperationalError as error:
            if error.args[0] >= CLIENT_ERRORS:
                host.doubt()
            raise

    def _commit(self):
        # Here, a write waits for a slave. One that gets no turn is rolled back.
        with writes.turns.one():
            super()._commit()
