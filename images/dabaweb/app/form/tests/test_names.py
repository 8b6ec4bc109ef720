"""Names that differ for people, and names that are one for the database."""

from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.test import SimpleTestCase, TransactionTestCase

from form.models import User, UserData, plain
from form.tests.site import fields
from form.tests.test_form_sql import DUMP, Dumps
from form.tests.test_spreadsheets import CSV, XLSX, Files, comma_separated, workbook

# Pairs of names of different people.
APART = [
    ("Jose", "José"),
    ("Muller", "Müller"),
    ("Strasse", "Straße"),
    ("Lukasz", "Łukasz"),
    ("Soren", "Søren"),
    ("Ipek", "ıpek"),
    ("はは", "ばば"),
    ("はな", "ハナ"),
    ("びょういん", "びよういん"),
    ("ハハ", "ﾊﾊ"),
    ("Федор", "Фёдор"),
    ("Андреи", "Андрей"),
    ("كتب", "كَتَبَ"),
    ("ann 1", "ann ①"),
    ("Ａnn", "Ann"),
    ("👩", "👩🏽"),
    ("王", "玉"),
]
# Pairs of spellings that nobody takes for two people, and the second as a message shows it.
ONE = [
    ("ann", "ANN", "ANN"),
    ("Müller", "mÜLLER", "mÜLLER"),
    ("ΘΩΜΑ", "θωμα", "θωμα"),
    ("ann", "ann\u200b", "ann[U+200B]"),
    ("ann", "a\u00adnn", "a[U+00AD]nn"),
    ("❤", "❤\ufe0f", "❤[U+FE0F]"),
]
COMPOSED, IN_PARTS = "José", "Jose\u0301"


class ImportedNames(Files):
    """In files."""

    def test_different_people_stay_different_in_one_file(self):
        for first, second in APART:
            for rows in ([(first, 1), (second, 2)], [(second, 3), (first, 4)]):
                with self.subTest(rows=rows):
                    content = comma_separated(["name", "salary"], *rows)
                    self.assertEqual(self.confirm("userdata", self.preview("userdata", content, CSV)).status_code, 302)
                    self.assertEqual(self.rows() | dict(rows), self.rows())

    def test_and_beside_one_who_is_there(self):
        for first, second in APART:
            with self.subTest(second=second):
                UserData.objects.create(name=first, money=5)
                preview = self.preview("userdata", workbook(["name", "salary"], [second, 2]))
                self.assertEqual(self.confirm("userdata", preview).status_code, 302, preview.text)
                self.assertEqual((self.rows()[first], self.rows()[second]), (5, 2))

    def test_memberships_go_to_the_person_who_is_named(self):
        for first, _second in APART:
            UserData.objects.create(name=first, money=5)
        for first, second in APART:
            with self.subTest(second=second):
                rows = ["number", "name", "code"], [9, second, 1]
                self.assertContains(self.preview("user", comma_separated(*rows), CSV), f"“{second}” is not known.")
        preview = self.preview("user", comma_separated(["number", "name", "code"], [9, "JOSE", 1]), CSV)
        self.assertEqual(self.confirm("user", preview).status_code, 302)
        self.assertEqual(User.objects.get(uid=9).name_link.name, "Jose")

    def test_two_spellings_of_one_name_are_refused_with_both(self):
        for first, second, told in ONE:
            for kind, write in ((CSV, comma_separated), (XLSX, workbook)):
                with self.subTest(second=told, kind=kind):
                    file = write(["name", "salary"], [first, 1], [second, 2])
                    text = f"“{first}” is in the file twice, the second time as “{told}”."
                    self.assertRefused(self.preview("userdata", file, kind), text)

    def test_nobody_is_renamed(self):
        for first, second, told in ONE:
            with self.subTest(second=told):
                UserData.objects.create(name=first, money=5)
                answer = self.preview("userdata", comma_separated(["name", "salary"], [second, 2]), CSV)
                self.assertContains(answer, f"“{told}” and “{first}” count as one name.")
                self.assertNotContains(answer, "Confirm import")
                UserData.objects.filter(name=first).delete()

    def test_a_letter_and_its_accent_in_two_characters_are_the_same_letter(self):
        content = comma_separated(["name", "salary"], [IN_PARTS, 1])
        self.confirm("userdata", self.preview("userdata", content, CSV))
        self.assertEqual(self.rows()[COMPOSED], 1)
        UserData.objects.filter(name=COMPOSED).update(name=IN_PARTS)
        for spelling in (COMPOSED, IN_PARTS):
            preview = self.preview("userdata", comma_separated(["name", "salary"], [spelling, 1]), CSV)
            self.assertContains(preview, "1 row is unchanged.")
        content = comma_separated(["name", "salary"], [COMPOSED, 1], [IN_PARTS, 2])
        self.assertContains(self.preview("userdata", content, CSV), f"“{COMPOSED}” is in the file twice.")


class Plain(SimpleTestCase):
    """What may not be in a name, wherever it comes from."""

    def test_no_line_break_and_no_formula(self):
        for text in ("abc\n", "a\nb", "a\r", "a\tb", "a\x85", "a\u2028b", "a\u2029", "\x7f", "=1", "+1", "-1", "@a", " a"):
            with self.subTest(text), self.assertRaises(ValidationError):
                plain(text)
        for text in ("a", "a=b", "O'Neil", "王小明 😀", "a-b"):
            plain(text)


class NamesInForms(Files):
    """In forms, and searched for."""

    def add(self, name):
        """The answer to a form with this name."""
        path = "/admin/form/userdata/add/"
        return self.post(path, fields(self.get(path)) | {"name": name, "money": "1"})

    def test_different_people_stay_different(self):
        for pair in APART:
            for name in pair:
                self.assertEqual(self.add(name).status_code, 302, name)
        self.assertEqual(set(sum(APART, ())) - set(self.rows()), set())

    def test_a_second_spelling_is_refused_with_both(self):
        for first, second, told in ONE:
            with self.subTest(second=told):
                self.assertEqual(self.add(first).status_code, 302)
                self.assertContains(self.add(second), f"“{told}” and “{first}” count as one name.")
                UserData.objects.filter(name=first).delete()
        self.add(COMPOSED)
        self.assertContains(self.add(IN_PARTS), "Employee with this Name already exists.")

    def test_one_may_change_the_spelling_of_a_name(self):
        sam = UserData.objects.get(name="sam")
        path = f"/admin/form/userdata/{sam.pk}/change/"
        self.assertEqual(self.post(path, fields(self.get(path)) | {"name": "Sam"}).status_code, 302)
        self.assertIn("Sam", self.rows())

    def test_people_are_found_without_accents_and_in_any_case(self):
        UserData.objects.create(name="José Müller", money=1)
        for asked in ("jose", "JOSÉ", "muller"):
            self.assertContains(self.get(f"/admin/form/userdata/?q={asked}"), ">José Müller<")
            self.assertContains(self.get("/admin/form/user/?q=JAMES"), ">james<")


class NamesInSql(Dumps):
    """In the dump of the original site, and by hand."""

    def test_different_people_stay_different(self):
        pairs = ",".join(f"('{name}',{n})" for n, name in enumerate(sum(APART, ())))
        self.take(DUMP.replace("('sam',11000)", f"('sam',11000),{pairs}"))
        self.assertEqual(set(sum(APART, ())) - set(self.everything()[1]), set())

    def test_a_second_spelling_is_refused_with_both(self):
        before = self.everything()
        for first, second, told in ONE:
            with self.subTest(second=told), self.assertRaises(CommandError) as refused:
                self.take(DUMP.replace("('sam',11000)", f"('sam',11000),('{first}',1),('{second}',2)"))
            self.assertIn(f"“{told}” and “{first}” count as one name", str(refused.exception))
            self.assertEqual(self.everything(), before)

    def test_so_it_is_by_hand(self):
        for first, second, told in ONE:
            with self.subTest(second=told), transaction.atomic(), self.assertRaises(IntegrityError):
                UserData.objects.bulk_create([UserData(name=first, money=1), UserData(name=second, money=1)])
        for first, second in APART:
            UserData.objects.bulk_create([UserData(name=first, money=1), UserData(name=second, money=1)])


class Migration(TransactionTestCase):
    """The first version that keeps such names apart, on the data of an earlier one."""

    databases = {"default", "replica"}

    def migrate(self, name):
        """Migrates the application to this migration, back or forth."""
        executor = MigrationExecutor(connection)
        executor.migrate([("form", name)])
        return executor.loader.project_state([("form", name)]).apps

    def newest(self):
        """All migrations, for the tests that follow."""
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes("form"))

    def setUp(self):
        self.addCleanup(self.newest)
        UserData.objects.all().delete()
        self.addCleanup(UserData.objects.all().delete)

    def people(self):
        """What is in the three columns of the table."""
        return list(UserData.objects.order_by("pk").values_list("pk", "name", "money"))

    def test_no_row_is_lost_or_changed(self):
        old = self.migrate("0005_order_by_salary").get_model("form", "UserData")
        names = ["Jose", "Müller", "はは", "sam\u200b", IN_PARTS.replace("J", "R"), "👩🏽", "Straße", " end "]
        old.objects.bulk_create(old(name=name, money=n) for n, name in enumerate(names))
        self.assertTrue(old.objects.filter(name="josé").exists())
        before = self.people()
        for _ in range(2):
            self.newest()
            self.assertEqual(self.people(), before)
            self.assertFalse(UserData.objects.filter(name="José").exists())
            # As when it was killed after the changes and before the record of them.
            MigrationRecorder.Migration.objects.filter(app="form", name__gt="0005_z").delete()

    def test_rows_that_would_become_one_are_told_and_stay(self):
        self.migrate("0005_order_by_salary")
        with connection.cursor() as cursor:
            # As an operator may have done.
            cursor.execute("ALTER TABLE form_user_data MODIFY name VARCHAR(30) COLLATE utf8mb4_bin NOT NULL")
        UserData.objects.bulk_create(UserData(name=name, money=1) for name in ("Jose", "José", "Ann", "ANN"))
        before = self.people()
        with self.assertRaises(CommandError) as refused:
            self.newest()
        self.assertIn('count as one name from this version on: “Ann” and “ANN”. Rename or delete', str(refused.exception))
        self.assertEqual(self.people(), before)
        UserData.objects.filter(name="ANN").delete()
