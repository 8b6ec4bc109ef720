"""What users read after a write, from which server, and what the site says while no server answers."""

import random
import uuid
from unittest import mock

from django.contrib.auth.models import User as Account
from django.core import signing
from django.db import IntegrityError, OperationalError, connections
from django.test import TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext

from form import database, middleware, pages
from form.models import UserData
from form.tests.fakes import FakeRedis
from form.tests.site import SignedIn, fields

ADD = "/admin/form/userdata/add/"


@override_settings(PUBLIC_PAGES=True)
class Tokens(SignedIn):
    """The token in the response to a write, and its effect later."""

    def test_reading_and_signing_in_get_none(self):
        Account.objects.create_user("bob", password="correct horse", is_staff=True)
        self.client.logout()
        form = {"username": "bob", "password": "correct horse", "next": "/admin/"}
        for answer in (self.post("/admin/login/", form), self.get("/User_data"), self.get("/admin/")):
            self.assertNotIn("X-Read-After", answer)
            self.assertNotIn(middleware.COOKIE, answer.cookies)

    def test_the_page_gets_the_position_by_cookie_or_header(self):
        token = signing.dumps("abc:1-5", salt="form.read_after", compress=True)
        with mock.patch.object(pages, "read", return_value=([], "default")) as read:
            self.get("/User_data")
            self.get("/User_data", **{"X-Read-After": token})
            self.client.cookies[middleware.COOKIE] = token
            self.get("/User_data")
        self.assertEqual([call.args[2] for call in read.call_args_list], [None, "abc:1-5", "abc:1-5"])

    def test_one_that_is_old_or_made_up_counts_as_none(self):
        token = signing.dumps("abc:1-5", salt="form.read_after", compress=True)
        with mock.patch.object(pages, "read", return_value=([], "default")) as read:
            for wrong in ("x", token + "x", signing.dumps("abc:1-5", salt="another")):
                self.get("/User_data", **{"X-Read-After": wrong})
            with mock.patch("django.core.signing.time.time", lambda: 4e9):
                self.get("/User_data", **{"X-Read-After": token})
        self.assertEqual([call.args[2] for call in read.call_args_list], [None] * 4)


@override_settings(PUBLIC_PAGES=True)
class Servers(TransactionTestCase):
    """Real connections to both, and real transactions."""

    databases = {"default", "replica"}

    def setUp(self):
        self.redis = FakeRedis().use(self)
        self.client.force_login(Account.objects.create_superuser("root"))
        UserData.objects.get_or_create(name="sam", defaults={"money": 1})

    def get(self, path):
        """The response to a browser."""
        return self.client.get(path, headers={"Host": "localhost"})

    def test_the_slave_reads_pages_and_nothing_else(self):
        with CaptureQueriesContext(connections["replica"]) as replica, CaptureQueriesContext(connections["default"]) as master:
            self.assertEqual(self.get("/User_data")["X-Page-From"], "replica")
            form = fields(self.get(ADD)) | {"name": "ann", "money": "2"}
            self.assertEqual(self.client.post(ADD, form, headers={"Host": "localhost"}).status_code, 302)
            self.get("/admin/form/userdata/")
            self.assertContains(self.get("/User_data"), "ann")
            self.client.post("/admin/logout/", headers={"Host": "localhost"})
        read = [query["sql"] for query in replica]
        self.assertEqual([sql for sql in read if not sql.startswith("SELECT")], [])
        self.assertEqual([sql for sql in read if "form_user_data" not in sql and "GTID_SUBSET" not in sql], [])
        self.assertEqual(len([sql for sql in read if "form_user_data" in sql]), 2)
        written = " ".join(query["sql"] for query in master)
        for table in ("auth_user", "django_session", "form_user_data", "django_admin_log"):
            self.assertIn(table, written)

    def test_whoever_wrote_reads_it_in_the_next_request(self):
        self.get("/User_data")
        for name in ("ann", "bob"):
            form = fields(self.get(ADD)) | {"name": name, "money": "2"}
            answer = self.client.post(ADD, form, headers={"Host": "localhost"})
            cookie = answer.cookies[middleware.COOKIE]
            self.assertEqual(answer["X-Read-After"], cookie.value)
            self.assertEqual((cookie["max-age"], cookie["httponly"], cookie["samesite"]), (3600, True, "Lax"))
            # Even with a cache that does not have the write yet.
            self.redis.readers, self.redis.lagging = dict(self.redis.readers), True
            page = self.get("/User_data")
            self.assertContains(page, name)
            self.assertEqual(page["X-Page-From"], "replica")

    def test_the_position_does_not_grow_with_each_server_that_ever_wrote(self):
        # As after 70 masters that lost their volumes; the slave has none of it.
        servers = [f"{uuid.UUID(int=random.Random(n).getrandbits(128))}:1-{n + 5}" for n in range(70)]
        position = database.position
        for name, lost in (("ann", servers), ("bob", servers[:3])):
            with mock.patch.object(database, "position", lambda: ",".join([*lost, position()])):
                form = fields(self.get(ADD)) | {"name": name, "money": "2"}
                answer = self.client.post(ADD, form, headers={"Host": "localhost"})
            self.assertEqual(answer.status_code, 302)
            head = [*answer.headers.items(), *(("Set-Cookie", morsel.OutputString()) for morsel in answer.cookies.values())]
            self.assertLess(sum(len(key) + len(value) + 4 for key, value in head), 4096)
            self.assertIn("X-Read-After", answer)
            page = self.get("/User_data")
            self.assertContains(page, name)
            self.assertEqual(page["X-Page-From"], "default")

    def test_what_the_master_has_purged_need_not_be_asked_for(self):
        old = [f"{n:08x}-71ca-11e1-9e33-{n:012x}:1-5" for n in range(1, 71)]
        with mock.patch.object(database, "connections") as connections:
            cursor = connections.__getitem__.return_value.cursor.return_value.__enter__.return_value
            cursor.fetchone.return_value = ("own:1-9,\nother:1-3",)
            self.assertEqual(database.short(",".join([*old, "own:1-9"])), "own:1-9,other:1-3")
            cursor.fetchone.return_value = (",".join(old),)
            self.assertEqual(database.short(",".join([*old, "own:1-9"])), "")
            self.assertEqual(database.short("own:1-9"), "own:1-9")
            self.assertEqual(cursor.execute.call_count, 2)

    def test_a_change_that_is_rolled_back_is_no_write(self):
        form = fields(self.get(ADD)) | {"name": "ann", "money": "2"}
        with mock.patch("form.admin.UserDataAdmin.log_addition", side_effect=IntegrityError):
            answer = self.client.post(ADD, form, headers={"Host": "localhost"})
        self.assertNotIn(middleware.COOKIE, answer.cookies)
        self.assertFalse(UserData.objects.filter(name="ann").exists())


class Away(SignedIn):
    """While MySQL does not answer."""

    def test_every_page_says_so_and_when_to_ask_again(self):
        self.be("editor")
        away = OperationalError(2002, "away")
        for what in ("django.contrib.auth.backends.ModelBackend.get_user", "form.admin.UserDataAdmin.get_queryset"):
            with mock.patch(what, side_effect=away), self.assertLogs("form.middleware", "ERROR"):
                answer = self.get("/admin/form/userdata/")
            self.assertContains(answer, "The database does not answer", status_code=503)
            self.assertEqual(answer["Retry-After"], "5")

    def test_full_servers_are_told_in_the_same_way_wherever_it_happens(self):
        self.be("editor")
        self.client.raise_request_exception = False
        full = OperationalError(1226, "User 'dabaweb' has exceeded the 'max_user_connections' resource")
        sign_in = {"username": "editor", "password": "x"}
        for what, ask in (
            ("form.admin.UserDataAdmin.get_queryset", lambda: self.get("/admin/form/userdata/")),
            ("django.contrib.auth.backends.ModelBackend.authenticate", lambda: self.post("/admin/login/", sign_in)),
            ("django.contrib.sessions.backends.cached_db.SessionStore.load", lambda: self.get("/admin/form/userdata/")),
            ("form.pages.read", lambda: self.get("/User_data")),
            # Outside of views.
            ("form.middleware.signing.loads", lambda: self.get("/home")),
        ):
            with self.subTest(what), mock.patch(what, side_effect=full), self.assertLogs("form.middleware", "ERROR"):
                answer = ask()
                self.assertContains(answer, "The database does not answer", status_code=503)
                self.assertEqual((answer["Retry-After"], answer["Cache-Control"]), ("5", "no-store"))

    def test_an_error_of_ours_is_not_called_so(self):
        self.be("editor")
        self.client.raise_request_exception = False
        with mock.patch("form.admin.UserDataAdmin.get_queryset", side_effect=ValueError):
            self.assertContains(self.get("/admin/form/userdata/"), "Something went wrong", status_code=500)
