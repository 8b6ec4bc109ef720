"""Writes while others hang."""

import threading
from unittest import mock

from django.db import OperationalError
from django.test import SimpleTestCase, TransactionTestCase

from dabaweb import writes
from form.models import CodeData


class Turns(SimpleTestCase):
    """At most so many writes at once."""

    def test_a_write_behind_hung_ones_is_refused(self):
        turns = writes.Turns(2)
        with turns.one(), turns.one(), mock.patch.object(writes, "PATIENCE_SECONDS", 0):
            with self.assertRaisesMessage(OperationalError, "2 writes hang; nothing was written"), turns.one():
                self.fail("it got a turn")
        with turns.one(), turns.one():
            pass

    def test_a_write_behind_a_quick_one_waits_for_it(self):
        turns, order, begun = writes.Turns(1), [], threading.Event()

        def second():
            begun.set()
            with turns.one():
                order.append("second")

        thread = threading.Thread(target=second)
        with mock.patch.object(writes, "PATIENCE_SECONDS", 30):
            with turns.one():
                thread.start()
                begun.wait(30)
                order.append("first")
            thread.join(30)
        self.assertEqual(order, ["first", "second"])

    def test_what_counts(self):
        for sql, counts in (
            ("SELECT 1", False),
            ("SELECT 1 FOR UPDATE", True),
            ("INSERT INTO t VALUES (1)", True),
            ("  UPDATE t SET a = 1", True),
            ("DELETE FROM t", True),
            ("SAVEPOINT s", False),
        ):
            turns = mock.MagicMock()
            with mock.patch.object(writes, "turns", turns):
                writes.bounded(lambda *_: None, sql, (), False, {})
            self.assertEqual(turns.one.called, counts, sql)


class Refused(TransactionTestCase):
    """Statements on real connections, when as many writes hang as may."""

    databases = {"default", "replica"}

    def test_nothing_is_written_and_rows_can_be_read(self):
        turns = writes.Turns(1)
        with mock.patch.object(writes, "turns", turns), mock.patch.object(writes, "PATIENCE_SECONDS", 0):
            with turns.one():
                with self.assertRaises(OperationalError):
                    CodeData.objects.create(code=7, group="seven")
                self.assertFalse(CodeData.objects.filter(code=7).exists())
            CodeData.objects.create(code=7, group="seven")
        self.assertTrue(CodeData.objects.filter(code=7).exists())
