"""The site with its real database (the test runner's own), and Redis in memory."""

import importlib
import io
import json
import logging
from unittest import mock

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection
from django.test import SimpleTestCase, TestCase

from dabaweb import health
from form import pages
from form.management.commands import prepare_database
from form.models import CodeData, User, UserData
from form.tests.fakes import FakeRedis

FIRST_ROWS = importlib.import_module("form.migrations.0004_first_rows")


class Site(TestCase):
    """Every test starts from the first rows."""

    databases = {"default", "replica"}

    def setUp(self):
        self.redis = FakeRedis().use(self)

    def get(self, path, **headers):
        """The response to a browser."""
        return self.client.get(path, headers={"Host": "localhost"} | headers)


class Tables(Site):
    """What migrations leave."""

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


class Beginning(SimpleTestCase):
    """What the migration does with the tables it finds, by whether they lack a migration."""

    def begin(self, *tables, lacking=True):
        """Returns what it says to MySQL."""
        connection = mock.MagicMock()
        connection.introspection.table_names.return_value = list(tables)
        with mock.patch.object(prepare_database, "_incomplete", lambda _: lacking):
            self.mark = prepare_database.Command(stdout=mock.Mock())._begin(connection)
        execute = connection.cursor.return_value.__enter__.return_value.execute
        return [call.args[0] for call in execute.call_args_list]

    def test_decisions(self):
        self.assertRegex(self.begin()[0], "^CREATE TABLE installing_[0-9a-f]{12} ")
        mark = self.mark
        self.assertEqual(self.begin("a", mark)[1:], ["DROP TABLE `a`"])
        self.assertEqual(self.begin("a", mark, lacking=False), [])
        self.assertEqual(self.mark, mark)
        self.assertEqual(self.begin(mark), [])
        for lacking in (True, False):
            self.assertEqual(self.begin("a", lacking=lacking), [])
            self.assertIsNone(self.mark)
            with self.assertRaisesMessage(CommandError, "the table installing_0, which"):
                self.begin("a", "installing_0", mark, lacking=lacking)


    def test_only_a_missing_table_of_migrations_counts_as_cut_off(self):
        connection = mock.MagicMock()
        connection.cursor.side_effect = ProgrammingError(1146, "no such table")
        self.assertTrue(prepare_database._incomplete(connection))
        for error in (OperationalError(2013, "lost connection"), ProgrammingError(1064, "syntax")):
            connection.cursor.side_effect = error
            with self.assertRaises(type(error)):
                prepare_database._incomplete(connection)


class PublicPages(Site):
    """What a visitor sees."""

    def test_home(self):
        for path in ("/", "/home"):
            with self.assertNumQueries(0):
                self.assertContains(self.get(path), "Employee directory")

    def test_user_data(self):
        response = self.get("/User_data")
        self.assertContains(
            response,
            '<tr><td>sam</td><td class="number">10000</td><td class="number">1</td><td>manage</td></tr>',
            html=True,
        )
        self.assertContains(
            response,
            '<tr><td>james</td><td class="number">20000</td><td class="number">2</td><td>tech</td></tr>',
            html=True,
        )
        self.assertNotIn("Vary", response.headers)

    def test_code_data(self):
        response = self.get("/Code_data")
        for code, group in ((1, "manage"), (2, "tech")):
            self.assertContains(response, f'<tr><td class="number">{code}</td><td>{group}</td></tr>', html=True)

    def test_names_are_escaped(self):
        UserData.objects.create(name="<b>x</b>", money=0)
        self.assertContains(self.get("/User_data"), "&lt;b&gt;x&lt;/b&gt;")

    def test_addresses_are_exact(self):
        for path in ("/user_data", "/User_data/", "/code_data", "/Home", "/form"):
            self.assertEqual(self.get(path).status_code, 404, path)
        self.assertEqual(self.client.post("/User_data", headers={"Host": "localhost"}).status_code, 405)

    def test_one_query_then_none(self):
        for path in ("/User_data", "/Code_data"):
            self.get(path)
            pages.invalidate()
            with self.assertNumQueries(1):
                self.get(path)
            with self.assertNumQueries(0):
                self.assertEqual(self.get(path)["X-Page-From"], "cache")

    def test_a_change_through_a_model_shows_at_once(self):
        self.get("/User_data")
        for change, shown in (
            (lambda: UserData.objects.create(name="ann", money=7), True),
            (lambda: UserData.objects.get(name="ann").delete(), False),
        ):
            with self.captureOnCommitCallbacks(execute=True):
                change()
            self.assertEqual("<td>ann</td>" in self.get("/User_data").text, shown)

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


class Admin(Site):
    """Configured, so only that it is there."""

    def test_sign_in_and_lists(self):
        self.assertRedirects(self.get("/admin/"), "/admin/login/?next=/admin/", fetch_redirect_response=False)
        self.assertContains(self.get("/admin/login/"), "/static/admin/css/base.")
        self.client.force_login(get_user_model().objects.create_superuser("root"))
        for model in ("codedata", "userdata", "user"):
            self.assertEqual(self.get(f"/admin/form/{model}/?q=1").status_code, 200)
            self.assertEqual(self.get(f"/admin/form/{model}/add/").status_code, 200)


class HostsAndHealth(Site):
    """Who may ask for what."""

    def test_hosts(self):
        for host, status in {"localhost": 200, "localhost:32000": 200, "127.0.0.1": 200, "evil.example": 400}.items():
            with self.assertLogs("django.security.DisallowedHost") if status == 400 else mock.MagicMock():
                self.assertEqual(self.get("/home", Host=host).status_code, status, host)

    def test_health_answers_any_host(self):
        for path in ("/livez", "/readyz"):
            with self.assertNumQueries(0):
                self.assertEqual(self.get(path, Host="10.1.2.3:8000").status_code, 200)

    def test_readiness(self):
        real = health.separate_connection

        def without(*away):
            def connect(alias, seconds):
                if alias in away:
                    return mock.Mock(cursor=mock.Mock(side_effect=OperationalError(2002, "away")))
                return real(alias, seconds)

            return mock.patch.object(health, "separate_connection", connect)

        with without("replica"):
            self.assertContains(self.get("/readyz"), "default can be read")
        with without("default"):
            self.assertContains(self.get("/readyz"), "replica can be read")
        with without("default", "replica"), self.assertLogs("dabaweb.health", "WARNING"):
            self.assertContains(self.get("/readyz"), "default: error 2002", status_code=503)
        empty = mock.Mock(cursor=mock.Mock(side_effect=ProgrammingError(1146, "no such table")))
        nothing = mock.patch.object(health, "separate_connection", lambda *_, **__: empty)
        with nothing, self.assertLogs("dabaweb.health", "WARNING"):
            self.assertContains(self.get("/readyz"), "default: no migrations yet", status_code=503)
        more = {*health.migrations(), ("form", "9999_not_yet")}
        with mock.patch.object(health, "migrations", lambda: more), self.assertLogs("dabaweb.health", "WARNING"):
            self.assertContains(self.get("/readyz"), "form.9999_not_yet is missing", status_code=503)
        self.redis.readers_away = self.redis.writer_away = True
        self.assertEqual(self.get("/readyz").status_code, 200)


class Logs(Site):
    """One id from nginx to the last line."""

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
