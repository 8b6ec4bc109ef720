"""
Addresses of the servers by name. A timeout for connecting does not cover the name server: one that hangs would hold each
thread for as long as the C library asks, and a server whose address is known would be out of reach.
"""

import logging
import os
import socket
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

# Seconds: so long, an address is used without asking again, as long as a connection lives.
FRESH_SECONDS = 30
# The longest wait for the name server.
PATIENCE_SECONDS = 1
# After a question without an answer, the last address is used without a wait.
PAUSE_SECONDS = 10

log = logging.getLogger(__name__)


def absolute(name, resolv_conf):
    """
    <service>.<namespace>.svc with the cluster's domain and a final dot, if the search list tells the domain; other names as
    they are. Two dots are fewer than the cluster's `ndots`: such a name would be asked for with each entry of the list.
    """
    if name.endswith(".svc") and name.count(".") == 2:
        words = (line.split() for line in resolv_conf.splitlines())
        for domain in (domain for kind, *domains in filter(None, words) if kind == "search" for domain in domains):
            if domain.startswith("svc."):
                return f"{name.removesuffix('svc')}{domain.rstrip('.')}."
    return name


def _look_up(name):
    with suppress(OSError):
        name = absolute(name, Path("/etc/resolv.conf").read_text())
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0]


class _Question:
    """One question to the name server, for all threads that wait for its answer."""

    def __init__(self):
        self.begun, self.over, self.error = time.monotonic(), threading.Event(), None


class Host:
    """The address of one name: a Service keeps its address, so the last one is good while no name server answers."""

    def __init__(self, name, look_up=_look_up, folder=tempfile.gettempdir()):
        self.name, self._look_up = name, look_up
        self._lock = threading.Lock()
        self._question, self._until = None, float("-inf")
        # For the pod's other workers and their successors, which would know no address while no name server answers.
        self._file = Path(folder, f"address of {name}")
        self._known = None
        with suppress(OSError):
            self._known = self._file.read_text()

    def address(self):
        """The address; OSError if it is not known and the name server does not tell it in time."""
        with self._lock:
            if self._known and time.monotonic() < self._until:
                return self._known
            if not (question := self._question):
                question = _Question()
                threading.Thread(target=self._ask, args=(question,), daemon=True).start()
                self._question = question
        question.over.wait(max(0, question.begun + PATIENCE_SECONDS - time.monotonic()))
        with self._lock:
            why = question.error or f"the name server has not answered for {time.monotonic() - question.begun:.0f} s"
            if not self._known:
                raise OSError(f"the address of {self.name} is not known: {why}")
            if self._until <= time.monotonic():
                log.warning("using the last address of %s, %s: %s", self.name, self._known, why)
                self._until = time.monotonic() + PAUSE_SECONDS
            return self._known

    def doubt(self):
        """A connection failed: the address is asked for again, but not for each of many connections that fail."""
        with self._lock:
            self._until = min(self._until, time.monotonic() + PATIENCE_SECONDS)

    def _ask(self, question):
        try:
            found, error = self._look_up(self.name), None
        # UnicodeError: a label that is empty or longer than 63 characters.
        except (OSError, UnicodeError) as reason:
            found, error = None, reason
        with self._lock:
            self._question, question.error = None, error
            if found:
                self._until = time.monotonic() + FRESH_SECONDS
                self._remember(found)
            elif isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
                # There is no such name any more, and its address may soon be another's.
                self._remember(None)
        question.over.set()

    def _remember(self, address):
        before, self._known = self._known, address
        # Without the file (the disk is full), this worker still knows.
        with suppress(OSError):
            if address is None:
                self._file.unlink()
            elif address != before or not self._file.exists():
                new = self._file.with_suffix(f".{os.getpid()}")
                new.write_text(address)
                new.replace(self._file)


def learn(names):
    """Learns the addresses before they are needed, in a thread of its own."""

    def ask():
        for name in names:
            # Said when it is needed.
            with suppress(OSError):
                host(name).address()

    threading.Thread(target=ask, daemon=True).start()


host = cache(Host)
