"""How long connections wait for a name server, and what they do without one."""

import socket
import threading
from tempfile import TemporaryDirectory
from unittest import mock

from django.test import SimpleTestCase

from dabaweb import addresses

POD = "nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


class Names(SimpleTestCase):
    """The name that is asked for."""

    def test_absolute(self):
        for name, resolv_conf, asked in (
            ("mysql-slave.shop.svc", POD, "mysql-slave.shop.svc.cluster.local."),
            ("mysql-slave.shop.svc", POD.replace("cluster.local", "k8s.example"), "mysql-slave.shop.svc.k8s.example."),
            ("mysql-slave.shop.svc", "nameserver 127.0.0.11\n\nsearch\nsearch corp.example\n", "mysql-slave.shop.svc"),
            ("mysql-slave.shop.svc", "", "mysql-slave.shop.svc"),
            ("mysql-slave", POD, "mysql-slave"),
            ("db.example.org", POD, "db.example.org"),
            ("a.b.c.svc", POD, "a.b.c.svc"),
        ):
            self.assertEqual(addresses.absolute(name, resolv_conf), asked)


class Answers(SimpleTestCase):
    """A name server that answers, refuses, or says nothing."""

    def setUp(self):
        self.now = 1000.0
        for name, value in (("time.monotonic", lambda: self.now), ("dabaweb.addresses.PATIENCE_SECONDS", 0.2)):
            patch = mock.patch(name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.asked, self.answer, self.silent = 0, "10.0.0.1", threading.Event()
        self.silent.set()
        self.addCleanup(self.silent.set)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.host = self.worker()

    def worker(self):
        """What a worker of this pod knows."""
        return addresses.Host("db", self.look_up, self.folder)

    def look_up(self, name):
        """Stands in for the name server."""
        self.asked += 1
        answer = self.answer
        self.silent.wait(30)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def last(self, address):
        """Checks that the last address is used, and that the log says so."""
        with self.assertLogs("dabaweb.addresses", "WARNING"):
            self.assertEqual(self.host.address(), address)

    def test_one_question_serves_the_connections_of_half_a_minute(self):
        self.assertEqual([self.host.address() for _ in range(9)], ["10.0.0.1"] * 9)
        self.assertEqual(self.asked, 1)
        self.answer = "10.0.0.2"
        self.now += addresses.FRESH_SECONDS
        self.assertEqual(self.host.address(), "10.0.0.2")

    def test_a_hanging_server_costs_one_short_wait_in_each_pause(self):
        self.host.address()
        self.now += addresses.FRESH_SECONDS
        self.silent.clear()
        self.last("10.0.0.1")
        self.assertEqual([self.host.address() for _ in range(9)], ["10.0.0.1"] * 9)
        self.now += addresses.PAUSE_SECONDS
        self.last("10.0.0.1")
        # The first question is still under way.
        self.assertEqual(self.asked, 2)

    def test_an_unknown_address_is_waited_for_once(self):
        self.silent.clear()
        for _ in range(3):
            with self.assertRaisesRegex(OSError, "the address of db is not known: the name server has not answered"):
                self.host.address()
            self.now += 1
        self.assertEqual(self.asked, 1)

    def test_a_failure_keeps_the_address_and_a_name_that_is_gone_does_not(self):
        self.host.address()
        self.now += addresses.FRESH_SECONDS
        self.answer = socket.gaierror(socket.EAI_AGAIN, "try again")
        self.last("10.0.0.1")
        self.now += addresses.PAUSE_SECONDS
        self.answer = socket.gaierror(socket.EAI_NONAME, "no such name")
        for host in (self.host, self.worker()):
            with self.assertRaisesRegex(OSError, "the address of db is not known: .*no such name"):
                host.address()

    def test_a_new_worker_knows_what_another_one_was_told(self):
        self.host.address()
        self.silent.clear()
        self.host = self.worker()
        self.last("10.0.0.1")

    def test_after_a_failed_connection_it_asks_again(self):
        self.host.address()
        self.answer = "10.0.0.2"
        self.host.doubt()
        self.now += 1
        self.assertEqual(self.host.address(), "10.0.0.2")
