"""Which database the router names."""

from types import SimpleNamespace
from unittest import mock

from django.contrib.auth.models import User as Account
from django.contrib.sessions.models import Session
from django.test import SimpleTestCase

from form import database
from form.models import CodeData


class RouterDecisions(SimpleTestCase):
    """(asked for readers, in a transaction, readers configured) -> alias of a read."""

    CASES = {
        (False, False, True): "default",
        (False, True, True): "default",
        (True, False, True): "replica",
        (True, True, True): "default",
        (True, False, False): "default",
        (False, False, False): "default",
    }

    def test_reads(self):
        for (asked, atomic, configured), alias in self.CASES.items():
            aliases = {"default": SimpleNamespace(in_atomic_block=atomic)} | ({"replica": None} if configured else {})
            with self.subTest(asked=asked, atomic=atomic, configured=configured):
                with mock.patch.object(database, "connections", aliases):
                    if asked:
                        with database.from_readers():
                            self.assertEqual(database.Router().db_for_read(CodeData), alias)
                    else:
                        self.assertEqual(database.Router().db_for_read(CodeData), alias)

    def test_the_block_ends(self):
        with mock.patch.object(
            database, "connections", {"default": SimpleNamespace(in_atomic_block=False), "replica": None}
        ):
            with self.assertRaises(ValueError), database.from_readers():
                raise ValueError
            self.assertEqual(database.Router().db_for_read(CodeData), "default")

    def test_writes(self):
        for model in (CodeData, Account, Session):
            with database.from_readers():
                self.assertEqual(database.Router().db_for_write(model), "default")

    def test_migrations(self):
        self.assertTrue(database.Router().allow_migrate("default", "form"))
        self.assertFalse(database.Router().allow_migrate("replica", "form"))
