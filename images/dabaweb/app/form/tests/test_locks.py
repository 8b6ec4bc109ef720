"""Migrations that wait for a lock."""

from unittest import mock

from django.db import OperationalError, connection
from django.test import TransactionTestCase

from form import locks
from form.database import separate_connection


class Migrations(TransactionTestCase):
    """A statement that changes a table, behind a transaction of another connection that has read it."""

    databases = {"default", "replica"}

    def test_it_says_who_is_in_the_way_and_goes_on_when_they_have_let_go(self):
        reader, other = (separate_connection("default", 10) for _ in range(2))
        said = []

        def pause(_):
            # Between two tries, nobody queues behind the change.
            with other.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM form_code_data")
            if len(said) == 2:
                reader.rollback()

        try:
            reader.set_autocommit(False)
            with reader.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM form_code_data")
            with (
                connection.execute_wrapper(locks.Patient(said.append)),
                connection.cursor() as cursor,
                mock.patch("time.sleep", pause),
                mock.patch.object(locks, "TRY_SECONDS", 1),
            ):
                cursor.execute("SET lock_wait_timeout = 1")
                cursor.execute("ALTER TABLE form_code_data ADD COLUMN probe INT NULL")
                cursor.execute("SET lock_wait_timeout = DEFAULT")
            holder = f"connection {reader.connection.thread_id()} of {reader.settings_dict['USER']}@[^ ]+ \\(idle\\) has held form_code_data for \\d+ s"
            self.assertRegex(said[1], f"^\\nALTER TABLE form_code_data ... waits for a lock: {holder}; trying again$")
            self.assertEqual(len(said), 2)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE form_code_data DROP COLUMN probe")
            reader.close()
            other.close()

    def test_what_may_be_repeated(self):
        for number, in_transaction, repeated in (
            (1205, False, True),
            (1205, True, True),
            (1213, False, True),
            (1213, True, False),
            (1060, False, False),
            (2013, False, False),
        ):
            execute = mock.Mock(side_effect=[OperationalError(number, "no"), "done"])
            context = {"connection": mock.Mock(in_atomic_block=in_transaction)}
            with mock.patch.object(locks, "holders", lambda *_: "x"), mock.patch("time.sleep"):
                try:
                    result = locks.Patient(lambda _: None)(execute, "ALTER TABLE t", (), False, context)
                except OperationalError:
                    result = None
            self.assertEqual(result == "done", repeated, (number, in_transaction))

    def test_the_tables_of_a_statement(self):
        tables, links = ["a", "a_b", "b", "c"], [("a", "c"), ("b", "b")]
        for sql, touched in (
            ("ALTER TABLE `a_b` ADD x INT", ["a_b"]),
            ("ALTER TABLE a ADD x INT", ["a", "c"]),
            ("DROP TABLE `c`", ["a", "c"]),
            ("ALTER TABLE `b` ADD FOREIGN KEY (`x`) REFERENCES `a_b` (`id`)", ["a_b", "b"]),
            ("SELECT 1", []),
        ):
            self.assertEqual(locks.touched(sql, tables, links), touched, sql)
