"""The sign-in area: who may see and do what, and simultaneous edits."""

import re
from unittest import mock

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from form.models import CodeData, User, UserData
from form.spreadsheets import MAX_ROWS
from form.tests.site import SignedIn, fields

EMPLOYEES = "/admin/form/userdata/"
SALARY = "20000"


class Roles(SignedIn):
    """Viewer, editor, admin."""

    def test_loading_the_roles_again_changes_nothing(self):
        before = list(Group.objects.values_list("name", "permissions__codename").order_by("name", "permissions"))
        call_command("loaddata", "roles", verbosity=0)
        self.assertEqual(
            list(Group.objects.values_list("name", "permissions__codename").order_by("name", "permissions")), before
        )
        self.assertEqual(Group.objects.count(), 3)

    def test_nobody_gets_in_without_signing_in(self):
        for path in ("", "form/userdata/", "form/userdata/export/", "form/userdata/import/", "auth/user/"):
            self.assertRedirects(
                self.get(f"/admin/{path}"), f"/admin/login/?next=/admin/{path}", fetch_redirect_response=False
            )

    def test_what_each_may_open(self):
        pk = UserData.objects.get(name="sam").pk
        for path, allowed in {
            "form/userdata/": {"viewer", "editor", "admin"},
            "form/codedata/": {"viewer", "editor", "admin"},
            "form/user/": {"viewer", "editor", "admin"},
            f"form/userdata/{pk}/change/": {"viewer", "editor", "admin"},
            f"form/userdata/{pk}/history/": {"viewer", "editor", "admin"},
            "form/userdata/export/": {"viewer", "editor", "admin"},
            "form/userdata/add/": {"editor", "admin"},
            f"form/userdata/{pk}/delete/": {"editor", "admin"},
            "form/userdata/import/": {"editor", "admin"},
            "auth/user/": {"admin"},
            "auth/user/add/": {"admin"},
        }.items():
            for role in ("viewer", "editor", "admin"):
                self.be(role)
                status = self.get(f"/admin/{path}").status_code
                self.assertEqual(status, 200 if role in allowed else 403, f"{role} {path}")

    def test_who_signs_in_without_a_role_sees_nothing(self):
        Account.objects.create_user("new", is_staff=True)
        self.be("new")
        self.assertEqual(self.get("/admin/").status_code, 200)
        for path in ("form/userdata/", "form/userdata/export/", "form/codedata/"):
            self.assertEqual(self.get(f"/admin/{path}").status_code, 403, path)

    def test_an_account_made_by_an_admin_can_sign_in(self):
        self.be("admin")
        form = {"username": "ann", "usable_password": "true", "password1": "correct horse", "password2": "correct horse"}
        self.assertEqual(self.post("/admin/auth/user/add/", form).status_code, 302)
        self.client.logout()
        form = {"username": "ann", "password": "correct horse", "next": "/admin/"}
        self.assertRedirects(self.post("/admin/login/", form), "/admin/", fetch_redirect_response=False)

    def test_an_admin_can_give_no_more_than_roles(self):
        self.be("admin")
        page = self.get(f"/admin/auth/user/{Account.objects.get(username='viewer').pk}/change/")
        self.assertContains(page, 'name="groups"')
        for name in ("is_superuser", "is_staff", "user_permissions"):
            self.assertNotContains(page, f'name="{name}"')

    def test_an_admin_cannot_become_a_superuser(self):
        root = Account.objects.create_superuser("root", password="correct horse")
        other = Account.objects.get(username="viewer")
        path = "/admin/auth/user/{}/{}/"
        form = {"usable_password": "true", "password1": "battery staple", "password2": "battery staple"}
        self.be("admin")
        self.assertEqual(self.get(path.format(root.pk, "password")).status_code, 403)
        self.assertEqual(self.post(path.format(root.pk, "password"), form).status_code, 403)
        self.assertEqual(self.post(path.format(root.pk, "change"), {"username": "mine"}).status_code, 403)
        self.assertEqual(self.post(path.format(root.pk, "delete"), {"post": "yes"}).status_code, 403)
        several = {"action": "delete_selected", "_selected_action": [root.pk, other.pk], "post": "yes"}
        self.assertEqual(self.post("/admin/auth/user/", several).status_code, 403)
        root.refresh_from_db()
        self.assertTrue(root.check_password("correct horse"))
        self.assertTrue(Account.objects.filter(pk=other.pk).exists())
        self.assertEqual(self.post(path.format(other.pk, "password"), form).status_code, 302)
        self.client.force_login(root)
        self.assertEqual(self.post(path.format(root.pk, "password"), form).status_code, 302)


class Asked(SignedIn):
    """What nginx asks before it receives a body."""

    def test_who_has_signed_in(self):
        self.assertEqual(self.get("/signed-in").status_code, 401)
        self.client.cookies[settings.SESSION_COOKIE_NAME] = "made-up"
        self.assertEqual(self.get("/signed-in").status_code, 401)
        for role in ("viewer", "editor", "admin"):
            self.be(role)
            self.assertEqual(self.get("/signed-in").status_code, 204)
        Account.objects.update(is_active=False)
        self.assertEqual(self.get("/signed-in").status_code, 401)
        Account.objects.update(is_active=True, is_staff=False)
        self.assertEqual(self.get("/signed-in").status_code, 401)

    def test_that_it_cannot_be_told(self):
        self.be("editor")
        away = OperationalError(2002, "away")
        for what in ("auth.backends.ModelBackend.get_user", "sessions.backends.cached_db.SessionStore.load"):
            with mock.patch(f"django.contrib.{what}", side_effect=away), self.assertLogs("form.views", "ERROR"):
                self.assertEqual(self.get("/signed-in").status_code, 403)


class Salaries(SignedIn):
    """A viewer cannot learn any salary."""

    def test_a_viewer_sees_none(self):
        employee = UserData.objects.get(name="james")
        LogEntry.objects.log_actions(
            Account.objects.get(username="editor").pk, [employee], 2, [{"changed": {"fields": ["Salary"]}}]
        )
        paths = [
            EMPLOYEES,
            f"{EMPLOYEES}?q=james",
            f"{EMPLOYEES}?q={SALARY}",
            f"{EMPLOYEES}?o=-2",
            f"{EMPLOYEES}{employee.pk}/change/",
            f"{EMPLOYEES}{employee.pk}/history/",
            f"{EMPLOYEES}export/",
            "/admin/form/user/",
            f"/admin/form/user/?q={SALARY}",
            f"/admin/form/user/{User.objects.get(name_link=employee).pk}/change/",
        ]
        for role, seen in (("viewer", False), ("editor", True)):
            self.be(role)
            text = "".join(self.get(path).text.replace(f'value="{SALARY}"', "") for path in paths if SALARY not in path)
            text += self.get(f"{EMPLOYEES}{employee.pk}/change/").text
            self.assertEqual(SALARY in text, seen, role)
        self.be("viewer")
        self.assertNotContains(self.get(f"{EMPLOYEES}{employee.pk}/change/"), "Salary")
        self.assertNotContains(self.get(f"{EMPLOYEES}?q={SALARY}"), ">james<")

    def test_a_viewer_cannot_filter_by_it(self):
        self.be("viewer")
        for path in (
            f"{EMPLOYEES}?money={SALARY}",
            f"{EMPLOYEES}?money__gte=15000",
            f"{EMPLOYEES}export/?money__gte=15000",
            "/admin/form/user/?name_link__money__gte=15000",
            "/admin/form/codedata/?user__name_link__money__gte=15000",
        ):
            with self.assertLogs("django.security.DisallowedModelAdminLookup", "ERROR"):
                self.assertEqual(self.get(path).status_code, 400, path)
        self.be("editor")
        self.assertNotContains(self.get(f"{EMPLOYEES}?money__gte=15000"), ">sam<")

    def test_a_viewer_cannot_order_by_it(self):
        self.be("viewer")
        # Tries every column where it could be: the first one is the name, or a box to select the row.
        for column in (1, 2, 3):
            up, down = (self.get(f"{EMPLOYEES}?o={sign}{column}").text for sign in ("", "-"))
            self.assertEqual(*(re.findall(r">(james|sam)</a>", text) for text in (up, down)), column)

    def test_a_viewer_exports_none(self):
        for role, headings in (("viewer", "name"), ("editor", "name,salary")):
            self.be(role)
            for form in ({}, {"employees_money": "on", "money": "on"}):
                text = self.post(f"{EMPLOYEES}export/", {"format": "1", "resource": "0"} | form).content
                self.assertEqual(text.decode("utf-8-sig").splitlines()[0], headings)
                self.assertEqual(SALARY in text.decode(), role == "editor")
            self.assertContains(self.post(f"{EMPLOYEES}export/", {"format": "1", "resource": "1"}), "<h1>Export</h1>")


class Editing(SignedIn):
    """Forms, one at a time and two at the same time."""

    def setUp(self):
        super().setUp()
        self.be("editor")
        self.employee = UserData.objects.get(name="sam")
        self.path = f"{EMPLOYEES}{self.employee.pk}/change/"

    def money(self):
        """The salary in the row."""
        return UserData.objects.get(pk=self.employee.pk).money

    def test_create_edit_delete(self):
        form = fields(self.get(f"{EMPLOYEES}add/")) | {"name": "王小明 😀", "money": "1"}
        self.assertEqual(self.post(f"{EMPLOYEES}add/", form).status_code, 302)
        employee = UserData.objects.get(name="王小明 😀")
        form = fields(self.get(f"{EMPLOYEES}{employee.pk}/change/")) | {
            "user_set-TOTAL_FORMS": "1",
            "user_set-0-uid": "7",
            "user_set-0-code_link": str(CodeData.objects.get(code=1).pk),
            "money": "2",
        }
        self.assertEqual(self.post(f"{EMPLOYEES}{employee.pk}/change/", form).status_code, 302)
        self.assertEqual(User.objects.get(uid=7).name_link.money, 2)
        history = self.get(f"{EMPLOYEES}{employee.pk}/history/")
        self.assertContains(history, "Changed Salary.")
        self.assertContains(history, "editor")
        asked = self.get(f"{EMPLOYEES}{employee.pk}/delete/")
        self.assertContains(asked, "Are you sure")
        self.assertTrue(UserData.objects.filter(pk=employee.pk).exists())
        self.assertEqual(self.post(f"{EMPLOYEES}{employee.pk}/delete/", {"post": "yes"}).status_code, 302)
        self.assertFalse(UserData.objects.filter(pk=employee.pk).exists())

    def test_a_group_that_somebody_is_in_stays(self):
        code = CodeData.objects.get(code=1)
        page = self.get(f"/admin/form/codedata/{code.pk}/delete/")
        self.assertContains(page, "would require deleting the following protected related objects")
        self.post(f"/admin/form/codedata/{code.pk}/delete/", {"post": "yes"})
        self.assertTrue(CodeData.objects.filter(pk=code.pk).exists())

    def test_as_many_as_an_import_brings_are_deleted_at_once_and_no_more(self):
        UserData.objects.bulk_create(UserData(name=f"a{n}", money=n) for n in range(MAX_ROWS))
        chosen = list(UserData.objects.filter(name__startswith="a").values_list("pk", flat=True))
        form = {"action": "delete_selected", "_selected_action": chosen[:1], "select_across": "1"}
        self.assertRedirects(self.post(EMPLOYEES, form), EMPLOYEES, fetch_redirect_response=False)
        self.assertContains(self.get(EMPLOYEES), "more than 5000 rows. Nothing was deleted")
        self.assertContains(self.post(f"{EMPLOYEES}?q=a4999", form), "Are you sure")
        form = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        self.assertEqual(self.post(EMPLOYEES, form).status_code, 302)
        self.assertEqual(sorted(UserData.objects.values_list("name", flat=True)), ["james", "sam"])

    def test_the_second_of_two_editors_is_told(self):
        first, second = fields(self.get(self.path)), fields(self.get(self.path))
        self.assertEqual(self.post(self.path, first | {"money": "1"}).status_code, 302)
        self.assertContains(self.post(self.path, second | {"money": "2"}), "Someone else has changed this")
        self.assertEqual(self.money(), 1)
        self.assertEqual(self.post(self.path, fields(self.get(self.path)) | {"money": "2"}).status_code, 302)
        self.assertEqual(self.money(), 2)

    def test_so_is_one_whose_form_was_overtaken_by_sql_or_an_import(self):
        form = fields(self.get(self.path))
        UserData.objects.filter(pk=self.employee.pk).update(money=5)
        self.assertContains(self.post(self.path, form | {"money": "2"}), "Someone else has changed this")
        self.assertEqual(self.money(), 5)

    def test_and_one_who_changes_a_membership_in_the_same_form(self):
        first, second = fields(self.get(self.path)), fields(self.get(self.path))
        self.assertEqual(self.post(self.path, first | {"user_set-0-uid": "70"}).status_code, 302)
        self.assertContains(self.post(self.path, second | {"user_set-0-uid": "71"}), "Someone else has changed this")
        self.assertTrue(User.objects.filter(uid=70).exists())

    def test_the_row_is_locked_while_it_is_compared(self):
        form = fields(self.get(self.path))
        with self.assertLogs("django.db.backends", "DEBUG") as logs:
            with mock.patch.object(connection, "force_debug_cursor", True):
                self.post(self.path, form | {"money": "3"})
        self.assertIn("FOR UPDATE", "\n".join(logs.output))

    def test_a_form_that_is_sent_twice_makes_one_row(self):
        form = fields(self.get(f"{EMPLOYEES}add/")) | {"name": "ann", "money": "1"}
        self.assertEqual(self.post(f"{EMPLOYEES}add/", form).status_code, 302)
        self.assertContains(self.post(f"{EMPLOYEES}add/", form), "Employee with this Name already exists.")
        with mock.patch.object(UserData, "validate_unique"), mock.patch.object(UserData, "validate_constraints"):
            answer = self.post(f"{EMPLOYEES}add/", form)
        self.assertRedirects(answer, EMPLOYEES, fetch_redirect_response=False)
        self.assertContains(self.get(EMPLOYEES), "Nothing was saved twice")
        self.assertEqual(UserData.objects.filter(name="ann").count(), 1)

    def test_who_has_lost_the_session_is_told_and_nothing_is_written(self):
        form = fields(self.get(self.path)) | {"money": "3"}
        self.client.logout()
        answer = self.post(self.path, form)
        self.assertContains(self.get(answer["Location"]), "your session had ended and nothing was saved")
        self.assertNotContains(self.get("/admin/login/?next=/admin/"), "your session had ended")
        self.client = Client(enforce_csrf_checks=True)
        self.be("editor")
        self.assertContains(self.post(self.path, form), "<h1>Nothing was saved</h1>", status_code=403)
        self.assertEqual(self.money(), 10000)

    def test_bad_input_is_refused_with_a_sentence(self):
        for values, sentence in (
            ({"money": "abc"}, "Enter a whole number."),
            ({"money": "-1"}, "Ensure this value is greater than or equal to 0."),
            ({"money": "1000000000000"}, "Ensure this value is less than or equal to 999999999."),
            ({"money": ""}, "This field is required."),
            ({"name": "x" * 10_000}, "Ensure this value has at most 30 characters (it has 10000)."),
            ({"name": "=cmd|' /C calc'!A0"}, "It may not begin with ="),
            ({"name": "a\nb"}, "nor contain line breaks"),
            ({"name": "james"}, "Employee with this Name already exists."),
            ({"user_set-0-code_link": "999"}, "Select a valid choice."),
            ({"user_set-0-uid": "1"}, "Membership with this Number already exists."),
        ):
            answer = self.post(self.path, fields(self.get(self.path)) | values)
            self.assertContains(answer, sentence, msg_prefix=str(values)[:60])
            self.assertEqual((self.money(), UserData.objects.count()), (10000, 2))

    def test_names_of_any_script_are_kept_and_escaped(self):
        for name in ("👩🏽‍💻 مرحبا", "שלום", "<script>alert(1)</script>"):
            self.assertEqual(self.post(self.path, fields(self.get(self.path)) | {"name": name}).status_code, 302, name)
            self.assertEqual(UserData.objects.get(pk=self.employee.pk).name, name)
            history = self.path.replace("change", "history")
            for path in (EMPLOYEES, self.path, history, "/admin/form/user/"):
                self.assertNotContains(self.get(path), "<script>alert(1)")


class LongLists(SignedIn):
    """Search, sorting and paging, with as many queries for many rows as for few."""

    LISTS = ("codedata", "userdata", "user")

    def queries(self, path):
        """How many queries a page takes."""
        with CaptureQueriesContext(connection) as captured:
            self.assertEqual(self.get(path).status_code, 200, path)
        self.assertLessEqual(sum("COUNT(" in query["sql"] for query in captured), 1, path)
        return len(captured)

    def test_the_number_of_queries_does_not_grow(self):
        self.be("editor")
        paths = [f"/admin/form/{name}/{query}" for name in self.LISTS for query in ("", "?q=a", "?o=2", "?p=1")]
        paths.append(f"{EMPLOYEES}{UserData.objects.get(name='sam').pk}/change/")
        paths.remove("/admin/form/codedata/?p=1")
        CodeData.objects.bulk_create(CodeData(code=code, group=f"a{code}") for code in range(10, 15))
        self.get(EMPLOYEES)
        codes = list(CodeData.objects.all())
        counted = {}
        for many in (60, 600):
            start = UserData.objects.count()
            UserData.objects.bulk_create(UserData(name=f"a{n}", money=n) for n in range(start, start + many))
            people = list(UserData.objects.filter(name__startswith="a"))
            User.objects.bulk_create(
                User(uid=1000 + start + n, name_link=person, code_link=codes[n % len(codes)])
                for n, person in enumerate(people[:many])
            )
            counted[many] = {path: self.queries(path) for path in paths}
        self.assertEqual(counted[60], counted[600])
        self.assertLess(max(counted[600].values()), 15, counted[600])

    def test_search_sorting_and_paging(self):
        self.be("editor")
        UserData.objects.bulk_create(UserData(name=f"p{n:03}", money=n) for n in range(120))
        self.assertContains(self.get(f"{EMPLOYEES}?q=p119"), ">p119<")
        self.assertNotContains(self.get(f"{EMPLOYEES}?q=p119"), ">p118<")
        self.assertContains(self.get(f"{EMPLOYEES}?o=-2"), ">james<")
        self.assertNotContains(self.get(f"{EMPLOYEES}?o=2"), ">james<")
        self.assertContains(self.get(f"{EMPLOYEES}?p=3"), ">sam<")
        self.assertContains(self.get("/admin/form/user/?q=sam"), ">sam<")
        self.assertNotContains(self.get("/admin/form/user/?q=sam"), ">james<")
