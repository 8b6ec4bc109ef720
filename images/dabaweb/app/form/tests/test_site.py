"""The site with a real database (the test runner's own) and Redis in memory."""

import importlib
import io
import json
import logging
import os
import re
from unittest import mock

from django.apps import apps
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.test import SimpleTestCase, TransactionTestCase, override_settings

from form import pages
from form.models import CodeData, User, UserData
from form.tests.fakes import FakeRedis
from form.tests.site import SignedIn, Site

FIRST_ROWS = importlib.import_module("form.migrations.0004_first_rows")


class Tables(Site):
    """The tables and rows that the migrations create."""

    def test_the_13_tables_of_the_source(self):
        self.assertEqual(
            sorted(connection.introspection.table_names()),
            """auth_group auth_group_permissions auth_permission auth_user auth_user_groups auth_user_user_permissions
            django_admin_log django_content_type django_migrations django_session
            form_code_data form_user form_user_data""".split(),
        )

    def test_engine_charset_and_foreign_keys(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT engine, table_collation LIKE 'utf8mb4%%' FROM information_schema.tables"
                " WHERE table_schema = DATABASE()"
            )
            self.assertEqual(cursor.fetchall(), (("InnoDB", 1),))
            cursor.execute(
                "SELECT referenced_table_name FROM information_schema.referential_constraints"
                " WHERE constraint_schema = DATABASE() AND table_name = 'form_user' ORDER BY 1"
            )
            self.assertEqual(cursor.fetchall(), (("form_code_data",), ("form_user_data",)))
            cursor.execute(
                "SELECT group_concat(column_name ORDER BY column_name) FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND table_name LIKE 'form\\_%%'"
                " GROUP BY table_name ORDER BY table_name"
            )
            self.assertEqual(
                [row[0] for row in cursor.fetchall()],
                ["code,group,id", "code_link_id,id,name_link_id,uid", "id,money,name"],
            )

    def test_models_and_migrations_agree(self):
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_first_rows(self):
        self.assertEqual(list(CodeData.objects.values_list("code", "group")), [(1, "manage"), (2, "tech")])
        self.assertEqual(list(UserData.objects.values_list("name", "money")), [("james", 20000), ("sam", 10000)])
        self.assertEqual(
            list(User.objects.values_list("uid", "code_link__code", "name_link__name")),
            [(0, 1, "sam"), (1, 2, "james")],
        )

    def test_the_load_changes_no_row_that_is_there(self):
        UserData.objects.filter(name="sam").update(money=1)
        User.objects.filter(uid=1).delete()
        FIRST_ROWS.load(apps, None)
        self.assertEqual(UserData.objects.get(name="sam").money, 1)
        self.assertEqual((CodeData.objects.count(), UserData.objects.count(), User.objects.count()), (2, 2, 2))

    def test_prepare_database_again_changes_nothing(self):
        UserData.objects.get(name="sam").delete()
        with mock.patch("signal.signal"):
            call_command("prepare_database", stdout=mock.Mock())
        self.assertEqual(list(UserData.objects.values_list("name", flat=True)), ["james"])


class CutOff(TransactionTestCase):
    """What the migration Job does with existing tables. Each test may drop the tables of its database."""

    databases = {"default", "replica"}

    def setUp(self):
        FakeRedis().use(self)
        self.enterContext(mock.patch.dict(os.environ, {"ADMIN_PASSWORD": "first of all"}))
        os.environ.pop("ADMIN_PASSWORD_FILE", None)
        self.output = io.StringIO()
        self.addCleanup(self.rebuild)

    def rebuild(self):
        """Restores what the other tests expect."""
        with connection.cursor() as cursor:
            cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            for table in connection.introspection.table_names():
                cursor.execute(f"DROP TABLE `{table}`")
            cursor.execute("SET FOREIGN_KEY_CHECKS = 1")
        call_command("migrate", verbosity=0)

    def sql(self, *statements):
        """Runs the statements."""
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def prepare(self):
        """Runs the Job's command and returns its output."""
        with mock.patch("signal.signal"):
            call_command("prepare_database", stdout=self.output)
        return self.output.getvalue()

    def test_a_first_installation_that_was_killed_starts_over(self):
        self.sql(
            "SET FOREIGN_KEY_CHECKS = 0",
            *(f"TRUNCATE {table}" for table in ("form_user", "form_user_data", "form_code_data")),
            "DROP TABLE django_session, auth_user_groups",
            "DELETE FROM django_migrations WHERE app = 'sessions' OR app = 'form' AND name >= '0004'",
            "SET FOREIGN_KEY_CHECKS = 1",
        )
        self.assertIn("starting over", self.prepare())
        self.assertEqual(UserData.objects.count(), 2)
        self.assertEqual(Account.objects.get().username, "admin")

    def test_one_row_of_anybody_is_enough_to_leave_all_alone(self):
        self.sql("DELETE FROM django_migrations WHERE app = 'form' AND name >= '0004'", "DELETE FROM form_user")
        self.sql("ALTER TABLE form_user_data DROP INDEX form_user_data_money")
        UserData.objects.create(name="ann", money=1)
        self.assertNotIn("starting over", self.prepare())
        self.assertEqual(UserData.objects.get(name="ann").money, 1)

    def test_so_is_a_table_of_somebody_else(self):
        self.sql(
            "SET FOREIGN_KEY_CHECKS = 0",
            "TRUNCATE form_user",
            "TRUNCATE form_user_data",
            "TRUNCATE form_code_data",
            "CREATE TABLE form_kept (id INT PRIMARY KEY)",
            "DELETE FROM django_migrations WHERE app = 'form' AND name >= '0004'",
            "ALTER TABLE form_user_data DROP INDEX form_user_data_money",
            "SET FOREIGN_KEY_CHECKS = 1",
        )
        self.assertNotIn("starting over", self.prepare())
        self.assertIn("form_kept", connection.introspection.table_names())

    def test_an_installation_that_is_complete_but_empty_is_left_alone(self):
        self.sql("DELETE FROM form_user", "DELETE FROM form_user_data", "DELETE FROM form_code_data")
        self.assertNotIn("starting over", self.prepare())
        self.assertEqual(UserData.objects.count(), 0)

    def test_the_first_admin_is_made_once(self):
        self.prepare()
        admin = Account.objects.get()
        self.assertTrue(admin.is_superuser and admin.is_staff and admin.check_password("first of all"))
        admin.set_password("another")
        admin.username = "boss"
        admin.save()
        self.prepare()
        self.assertEqual(Account.objects.get().username, "boss")
        self.assertTrue(Account.objects.get().check_password("another"))
        self.assertEqual(sorted(Group.objects.values_list("name", flat=True)), ["admin", "editor", "viewer"])

    def test_a_deleted_first_admin_stays_deleted(self):
        self.prepare()
        Account.objects.create_user("ann", is_staff=True)
        for who in ("admin", "ann"):
            Account.objects.get(username=who).delete()
            self.prepare()
            self.assertFalse(Account.objects.filter(username="admin").exists(), f"after {who} was deleted")

    def test_also_one_who_was_deleted_before_that_was_recorded(self):
        # As an earlier version left it; somebody else is called admin.
        Account.objects.create_user("admin", password="mine")
        for _ in range(2):
            self.prepare()
            admin = Account.objects.get()
            self.assertFalse(admin.is_superuser)
            self.assertTrue(admin.check_password("mine"))


class Migrations(SimpleTestCase):
    """MySQL cannot roll back half a migration."""

    def test_each_has_one_operation(self):
        migrations = MigrationLoader(None).disk_migrations
        own = {name: len(migration.operations) for (app, name), migration in migrations.items() if app == "form"}
        self.assertGreater(len(own), 4)
        self.assertEqual(set(own.values()), {1}, own)


@override_settings(PUBLIC_PAGES=True)
class PublicPages(Site):
    """What a visitor sees."""

    def rows(self, path, **headers):
        """The cells of its table, by row."""
        rows = re.findall(r"<tr>(.*?)</tr>", self.get(path, **headers).text)
        return [re.findall(r"<td[^>]*>(?:<bdi>)?(.*?)(?:</bdi>)?</td>", row) for row in rows if "<td" in row]

    def test_home(self):
        for path in ("/", "/home"):
            with self.assertNumQueries(0):
                self.assertContains(self.get(path), "Employee directory")

    def test_user_data(self):
        self.assertEqual(self.rows("/User_data"), [["james", "20000", "2", "tech"], ["sam", "10000", "1", "manage"]])
        UserData.objects.create(name="new", money=0)
        pages.invalidate()
        self.assertIn(["new", "0", "–", "–"], self.rows("/User_data"))

    def test_code_data(self):
        self.assertEqual(self.rows("/Code_data"), [["1", "manage"], ["2", "tech"]])

    def test_a_visitor_gets_no_cookie(self):
        for path in ("/", "/User_data", "/no-such-page"):
            response = self.get(path)
            self.assertFalse(response.cookies, path)
            self.assertNotIn("Cookie", response.headers.get("Vary", ""), path)

    def test_further_rows_are_on_further_pages(self):
        UserData.objects.bulk_create(UserData(name=f"a{n:03}", money=n) for n in range(150))
        first, second = self.rows("/User_data"), self.rows("/User_data?page=2")
        self.assertEqual((len(first), len(second)), (100, 52))
        self.assertEqual((first[0][0], second[0][0], second[-1][0]), ("a000", "a100", "sam"))
        self.assertContains(self.get("/User_data"), 'href="?page=2"')
        self.assertNotContains(self.get("/User_data"), 'rel="prev"')
        self.assertContains(self.get("/User_data?page=2"), 'href="?page=1"')
        self.assertNotContains(self.get("/User_data?page=2"), 'rel="next"')
        self.assertContains(self.get("/User_data?page=3"), "There are no employees here.")

    def test_a_page_number_that_is_none(self):
        for number in ("0", "-1", "x", "1.5", "", "9" * 5000, "٣"):
            self.assertEqual(self.get(f"/User_data?page={number}").status_code, 404, number[:9])

    def test_names_are_escaped(self):
        UserData.objects.create(name="<b>x</b>", money=0)
        self.assertContains(self.get("/User_data"), "&lt;b&gt;x&lt;/b&gt;")

    def test_addresses_are_exact(self):
        for path in ("/user_data", "/User_data/", "/code_data", "/Home", "/form"):
            self.assertEqual(self.get(path).status_code, 404, path)
        self.assertEqual(self.client.post("/User_data", headers={"Host": "localhost"}).status_code, 405)

    def test_one_query_then_none(self):
        for path in ("/User_data", "/Code_data", "/User_data?page=2"):
            self.get(path)
            pages.invalidate()
            # The position of the master, and the rows.
            with self.assertNumQueries(2):
                self.get(path)
            with self.assertNumQueries(0):
                self.assertEqual(self.get(path)["X-Page-From"], "cache")

    def test_a_change_through_a_model_shows_at_once(self):
        self.get("/User_data")
        for change, shown in (
            (lambda: UserData.objects.create(name="ann", money=7), True),
            (lambda: UserData.objects.get(name="ann").delete(), False),
        ):
            # The test's own transaction never ends, so its on-commit calls are never cleared.
            connection.run_on_commit = []
            with self.captureOnCommitCallbacks(execute=True):
                change()
            self.assertEqual("<bdi>ann</bdi>" in self.get("/User_data").text, shown)

    def test_a_transaction_of_many_changes_invalidates_once_even_if_some_are_undone(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            with self.assertRaises(ZeroDivisionError), transaction.atomic():
                UserData.objects.create(name="undone", money=7)
                raise ZeroDivisionError
            for number in range(3):
                with transaction.atomic():
                    UserData.objects.create(name=f"ann{number}", money=7)
        self.assertEqual(len(callbacks), 1)
        self.assertContains(self.get("/User_data"), "<bdi>ann2</bdi>")

    def test_nothing_is_invalidated_before_the_commit(self):
        self.get("/User_data")
        version = self.redis.writer[pages.VERSION]
        with self.captureOnCommitCallbacks() as callbacks:
            UserData.objects.create(name="ann", money=7)
        self.assertEqual(self.redis.writer[pages.VERSION], version)
        self.assertEqual(len(callbacks), 1)

    def test_no_page_while_no_database_answers(self):
        with mock.patch.object(UserData, "page_rows", side_effect=OperationalError(2002, "away")):
            response = self.get("/User_data")
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        self.assertEqual(self.get("/User_data").status_code, 200)


@override_settings(PUBLIC_PAGES=False)
class PagesForThoseWhoSignIn(SignedIn):
    """The same pages if a stack does not make them public."""

    def test_a_visitor_is_asked_to_sign_in(self):
        for path in ("/User_data", "/Code_data", "/User_data?page=2"):
            target = f"/admin/login/?next={path.replace('?', '%3F').replace('=', '%3D')}"
            self.assertRedirects(self.get(path), target, fetch_redirect_response=False)

    def test_a_viewer_sees_all_but_salaries(self):
        for role, seen in (("viewer", False), ("editor", True), ("admin", True)):
            self.be(role)
            page = self.get("/User_data")
            self.assertContains(page, "<bdi>sam</bdi>")
            self.assertEqual(("10000" in page.text, "Salary" in page.text), (seen, seen), role)
            self.assertContains(self.get("/Code_data"), "<bdi>manage</bdi>")

    def test_who_has_no_role_is_told_so(self):
        Account.objects.create_user("new")
        self.be("new")
        for path in ("/User_data", "/Code_data"):
            self.assertContains(self.get(path), "Your role does not allow this", status_code=403)


class HostsAndHealth(Site):
    """Allowed hosts and the health paths."""

    def test_hosts(self):
        for host, status in {"localhost": 200, "localhost:32000": 200, "127.0.0.1": 200, "evil.example": 400}.items():
            with self.assertLogs("django.security.DisallowedHost") if status == 400 else mock.MagicMock():
                self.assertEqual(self.get("/home", Host=host).status_code, status, host)

    def test_a_request_that_is_not_taken_is_told_so(self):
        with self.assertLogs("django.security.DisallowedHost"):
            answer = self.get("/home", Host="evil.example")
        self.assertContains(answer, "<h1>This site cannot accept this request</h1>", status_code=400)

    def test_health_answers_any_host(self):
        for path in ("/livez", "/readyz"):
            with self.assertNumQueries(0):
                self.assertEqual(self.get(path, Host="10.1.2.3:8000").status_code, 200)


class Logs(Site):
    """One request id, from nginx to the last log line."""

    def test_request_id(self):
        given = "0123456789abcdef0123456789abcdef"
        self.assertEqual(self.get("/home", **{"X-Request-ID": given})["X-Request-ID"], given)
        with self.assertLogs("django_guid", "WARNING"):
            made = self.get("/home", **{"X-Request-ID": 'bad" id'})["X-Request-ID"]
        self.assertRegex(made, "^[0-9a-f]{32}$")

    def test_a_line(self):
        stream = io.StringIO()
        handler = logging.getLogger("django").handlers[0]
        with mock.patch.object(handler, "stream", stream):
            answer = self.get("/no-such-page")
            logging.getLogger("django").error("%s\nsecond", "first", exc_info=ValueError("cause"))
        first, second = (json.loads(line) for line in stream.getvalue().splitlines())
        self.assertEqual((first["message"], second["message"]), ("Not Found: /no-such-page", "first\nsecond"))
        self.assertEqual(first["request_id"], answer["X-Request-ID"])
        self.assertLessEqual({"time", "level", "logger"}, set(first))
        self.assertIn("ValueError: cause", second["exception"])
