"""
The listener of the kubelet's probes. gunicorn's threads belong to the visitors: if all of them wait for a database, a
restart would help nobody, so each worker answers probes in threads of its own, at a port that nginx does not lead to.

What each failure of the process leads to:
- a worker that ends or no longer schedules its threads: gunicorn's arbiter replaces it (`timeout`);
- a worker whose threads are all in requests that never end: it ends itself, see `Threads.stuck`;
- no worker, or an arbiter that does not start any: nobody accepts at this port, and the liveness probe fails.
"""

import logging
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dabaweb import health

PORT = 8001
# Longer than nginx waits for any response (2 min), plus all that a request may still do after that.
STUCK_SECONDS = 300

log = logging.getLogger(__name__)


class Threads:
    """When the requests in gunicorn's threads began."""

    def __init__(self, most):
        self._most, self._begun = most, {}

    def begin(self):
        """This thread begins a request."""
        self._begun[threading.get_ident()] = time.monotonic()

    def end(self):
        """This thread has ended its request."""
        self._begun.pop(threading.get_ident(), None)

    def stuck(self):
        """Whether every thread is in a request that is older than any can be."""
        begun = list(self._begun.values())
        return len(begun) >= self._most and time.monotonic() - max(begun) > STUCK_SECONDS


class _Handler(BaseHTTPRequestHandler):
    # For a client that sends nothing, in seconds: as long as the kubelet waits.
    timeout = 5

    def do_GET(self):
        status, text = health.answer(self.path) or (404, "only /livez and /readyz are here\n")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Says nothing: probes come every few seconds."""


class _Server(ThreadingHTTPServer):
    def __init__(self, listener, threads):
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self._requests = listener, threads

    def service_actions(self):
        if self._requests.stuck():
            log.critical("no thread has ended its request for %s s: this worker ends, and another one starts", STUCK_SECONDS)
            os._exit(1)

    def handle_error(self, request, client_address):
        log.warning("a probe of %s was not answered", client_address[0], exc_info=True)


def listen():
    """The listener, made before the workers are forked, which share it."""
    listener = socket.create_server(("0.0.0.0", PORT), backlog=64)
    # All workers wake up for a connection, and one gets it.
    listener.setblocking(False)
    return listener


def serve(listener, threads):
    """Answers in this worker from now on."""
    threading.Thread(target=_Server(listener, threads).serve_forever, name="probes", daemon=True).start()
