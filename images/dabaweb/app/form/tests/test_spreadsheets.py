"""Imported and exported files."""

import csv
import io
import re
import subprocess
import sys
import zipfile
from unittest import mock

from django.contrib.admin.models import LogEntry
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import SimpleTestCase
from django.test.utils import CaptureQueriesContext
from openpyxl import Workbook, load_workbook

from form import spreadsheets
from form.models import CodeData, User, UserData
from form.tests.site import SignedIn, fields

XLSX, CSV = "0", "1"
COLUMN = '<span class="validation-error-field-label">%s</span>'


def workbook(*rows):
    """An .xlsx workbook with these rows."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def comma_separated(*rows, encoding="utf-8"):
    """A .csv file with these rows."""
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode(encoding)


def repacked(content, **changed):
    """A workbook with some of its parts added or replaced."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            if name not in changed:
                target.writestr(name, source.read(name))
        for name, data in changed.items():
            target.writestr(name, data)
    return stream.getvalue()


class Files(SignedIn):
    """What a browser does with files."""

    def setUp(self):
        super().setUp()
        self.be("editor")

    def preview(self, table, content, kind=XLSX):
        """The page that shows what would change."""
        file = SimpleUploadedFile("people.xlsx" if kind == XLSX else "people.csv", content)
        form = {"import_file": file, "format": kind, "resource": "0"}
        return self.post(f"/admin/form/{table}/import/", form)

    def confirm(self, table, preview):
        """The response to the confirmation of a preview."""
        return self.post(f"/admin/form/{table}/process_import/", fields(preview))

    def rows(self):
        """All employees."""
        return dict(UserData.objects.values_list("name", "money"))

    def assertRefused(self, response, *texts):
        """Checks for a clear message, no way to confirm, and no changes."""
        for text in texts:
            self.assertContains(response, text)
        self.assertNotContains(response, "Confirm import")
        self.assertEqual(self.rows(), {"sam": 10000, "james": 20000})
        self.assertEqual(User.objects.count(), 2)
        self.assertEqual(CodeData.objects.count(), 2)


class Imports(Files):
    """From the file to the rows."""

    def test_a_workbook_is_shown_first_and_written_when_confirmed(self):
        preview = self.preview("userdata", workbook(["name", "salary"], ["sam", 1], ["james", 20000], ["王小明 😀", 2]))
        self.assertContains(preview, "Confirm import")
        self.assertContains(preview, "<del>10000</del> <ins>1</ins>")
        self.assertContains(preview, "<ins>王小明 😀</ins>")
        self.assertContains(preview, "1 row is unchanged.")
        self.assertNotContains(preview, "<ins>james")
        self.assertEqual(self.rows(), {"sam": 10000, "james": 20000})
        self.assertRedirects(self.confirm("userdata", preview), "/admin/form/userdata/", fetch_redirect_response=False)
        self.assertEqual(self.rows(), {"sam": 1, "james": 20000, "王小明 😀": 2})
        self.assertEqual(
            sorted(LogEntry.objects.values_list("object_repr", "user__username")),
            [("sam", "editor"), ("王小明 😀", "editor")],
        )

    def test_a_csv_of_each_table(self):
        for table, content in (
            ("codedata", comma_separated(["code", "group"], [3, "销售"], encoding="utf-8-sig")),
            ("userdata", comma_separated(["salary", "ignored", "name"], ["007", "x", "ann"])),
            ("user", comma_separated(["number", "name", "code"], [2, "ann", 3], [0, "sam", 2])),
        ):
            preview = self.preview(table, content, CSV)
            self.assertEqual(self.confirm(table, preview).status_code, 302, preview.text)
        self.assertEqual(
            list(User.objects.values_list("uid", "name_link__name", "code_link__group", "name_link__money")),
            [(0, "sam", "tech", 10000), (1, "james", "tech", 20000), (2, "ann", "销售", 7)],
        )

    def test_what_is_exported_can_be_imported(self):
        UserData.objects.create(name="<b>王</b> 😀", money=0)
        for table in ("codedata", "userdata", "user"):
            for kind in (XLSX, CSV):
                content = self.post(f"/admin/form/{table}/export/", {"format": kind, "resource": "0"}).content
                preview = self.preview(table, content, kind)
                self.assertContains(preview, "rows are unchanged.", msg_prefix=f"{table} {kind}")

    def test_errors_are_told_by_row_and_nothing_is_written(self):
        for table, rows, texts in (
            ("userdata", [["name", "salary"], ["ann", 1], ["bob", "abc"]], ["2", COLUMN % "salary", "Enter a whole number."]),
            ("userdata", [["name", "salary"], ["bob", -1]], ["greater than or equal to 0"]),
            ("userdata", [["name", "salary"], ["bob", 10**12]], ["less than or equal to 999999999"]),
            ("userdata", [["name", "salary"], ["bob", 1.5]], ["Enter a whole number."]),
            ("userdata", [["name", "salary"], ["bob", None]], ["This field cannot be null."]),
            ("userdata", [["name", "salary"], [None, 1]], ["This field cannot be blank."]),
            ("userdata", [["name", "salary"], ["x" * 10_000, 1]], ["at most 30 characters (it has 10000)"]),
            ("userdata", [["name", "salary"], ["=1+1", 1]], ["It may not begin with ="]),
            ("userdata", [["name", "salary"], ["ann", 1], ["ANN", 2]], ["“ann” is in the file twice", "as “ANN”."]),
            ("userdata", [["name", "salary"], ["ann", 1], ["ann", 2]], ["“ann” is in the file twice."]),
            ("codedata", [["code", "group"], [3, "a"], [3, "b"]], ["“3” is in the file twice."]),
            ("codedata", [["code", "group"], [3, "a"], ["003", "b"]], ["“3” is in the file twice", "as “003”."]),
            ("user", [["number", "name", "code"], [7, "sam", 1], ["٧", "sam", 2]], ["“7” is in the file twice", "as “٧”."]),
            ("codedata", [["code", "group"], ["abc", "a"]], ["Row 1: Enter a whole number."]),
            ("codedata", [["code", "group"], ["9" * 5000, "a"]], ["Row 1: Enter a whole number."]),
            ("user", [["number", "name", "code"], [5, "nobody", 1]], [COLUMN % "name", "“nobody” is not known."]),
            ("user", [["number", "name", "code"], [5, "sam", 77]], [COLUMN % "code", "“77” is not known."]),
            ("user", [["number", "name", "code"], [5, "sam", "x"]], ["code", "“x” is not known."]),
        ):
            with self.subTest(rows=str(rows)[:80]):
                for kind, content in ((XLSX, workbook(*rows)), (CSV, comma_separated(*rows))):
                    if (kind, rows[1][0]) != (XLSX, "=1+1"):
                        self.assertRefused(self.preview(table, content, kind), "Nothing was imported.", *texts)

    def test_text_in_a_file_is_escaped(self):
        rows = [["name", "salary"], ["<script>alert(1)</script>", 1]]
        preview = self.preview("userdata", workbook(*rows))
        self.assertNotContains(preview, "<script>alert(1)")
        self.confirm("userdata", preview)
        self.assertNotContains(self.get("/admin/form/userdata/"), "<script>alert(1)")
        rows[1][1] = "<script>alert(2)</script>"
        self.assertNotContains(self.preview("userdata", workbook(*rows)), "<script>alert(")

    def test_files_that_are_not_taken(self):
        good = workbook(["name", "salary"], ["ann", 1])
        no_workbook = "This is neither an .xlsx workbook nor a comma-separated .csv file"
        sheet = "xl/worksheets/sheet1.xml"
        bomb = zipfile.ZipFile(io.BytesIO(good)).read(sheet).replace(b"<sheetData>", b"<sheetData>" + b" " * (40 << 20))
        cells = b'<row r="3"><c r="A3" t="inlineStr"><is><t>&a;</t></is></c><c r="B3"><v>1</v></c></row></sheetData>'
        entities = zipfile.ZipFile(io.BytesIO(good)).read(sheet).replace(b"</sheetData>", cells)
        entities = b'<!DOCTYPE worksheet [<!ENTITY a "aaaa">]>' + entities
        # The numbers of two more rows.
        rows = lambda *numbers: repacked(
            good,
            **{
                sheet: zipfile.ZipFile(io.BytesIO(good)).read(sheet).replace(
                    b"</sheetData>",
                    b"".join(b'<row r="%s"><c><v>1</v></c></row>' % number.encode() for number in numbers) + b"</sheetData>",
                )
            },
        )
        for what, content, kind, text in (
            ("half a workbook", good[: len(good) // 2], XLSX, no_workbook),
            ("another file", b"%PDF-1.7 \x00\x01\x02", XLSX, no_workbook),
            ("a zip of something", repacked(b"PK\x05\x06" + b"\0" * 18, **{"a.txt": b"a"}), XLSX, no_workbook),
            ("another file as .csv", b"\x89PNG\r\n\xff\xfe", CSV, no_workbook),
            ("a .csv in the encoding of Windows", "name,salary\n王,1\n".encode("gbk"), CSV, no_workbook),
            ("macros", repacked(good, **{"xl/vbaProject.bin": b"x"}), XLSX, "The workbook contains macros."),
            ("a zip bomb", repacked(good, **{sheet: bomb}), XLSX, "unpacks to more than 16 MB"),
            ("a bomb of entities", repacked(good, **{sheet: entities}), XLSX, no_workbook),
            ("nothing", b"", XLSX, "The submitted file is empty."),
            ("headings alone", workbook(["name", "salary"]), XLSX, "No valid data to import."),
            ("an empty workbook", workbook(), XLSX, no_workbook),
            ("other headings", workbook(["who", "salary"], ["ann", 1]), XLSX, "must have the headings name, salary."),
            ("semicolons", b"name;salary\nann;1\n", CSV, "other separators than commas. The first line must have the headings"),
            ("tabs", b"name\tsalary\nann\t1\n", CSV, "other separators than commas."),
            ("Unicode text of Excel", "name,salary\nann,1\n".encode("utf-16"), CSV, "in UTF-8: line 1 is in another encoding."),
            ("the code page of Windows", "name,salary\nMüller,1\n".encode("cp1252"), CSV, "line 2 is in another encoding."),
            ("an .xls workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, XLSX, "This is an .xls workbook, or one with a"),
            ("OpenDocument", repacked(good, **{"content.xml": b"<a/>"}), XLSX, "of another kind (.ods, .xlsb or .numbers)"),
            ("an open quotation mark", b'name,salary\n"ann,1\nbob,2\n', CSV, "The quotation marks or line breaks up to line"),
            ("a heading twice", workbook(["name", "salary", "name"], ["ann", 1, "bob"]), XLSX, "“name” is there twice"),
            ("a long line", b"name,salary\nann,1,2\n", CSV, "Line 2 has more cells than the first one."),
            ("a wide line", b"name,salary" + b"," * 99 + b"x\nann,1\n", CSV, "Line 1 has more than 50 cells."),
            ("a long cell", b"name,salary\n" + b"a" * 40_000 + b",1\n", CSV, "A cell has more than 32767 characters."),
            ("rows in another order", rows("5", "4"), XLSX, no_workbook),
            ("a row beyond the last", rows("4", "1048577"), XLSX, no_workbook),
            ("a short line", b"name,salary\nann\n", CSV, "This field cannot be null."),
        ):
            with self.subTest(what):
                self.assertRefused(self.preview("userdata", content, kind), text)

    def test_a_file_of_too_many_rows(self):
        with mock.patch.object(spreadsheets, "MAX_ROWS", 3):
            rows = [["name", "salary"], *([f"a{n}", n] for n in range(4))]
            for kind, content in ((XLSX, workbook(*rows)), (CSV, comma_separated(*rows))):
                self.assertRefused(self.preview("userdata", content, kind), "more than 3 rows")
            self.assertContains(self.preview("userdata", workbook(*rows[:4])), "Confirm import")

    def test_a_row_far_below_the_others_is_not_left_out(self):
        book = Workbook()
        for row, values in {1: ("name", "salary"), 2: ("ann", 1), 900_000: ("bob", 2)}.items():
            for column, value in enumerate(values, 1):
                book.active.cell(row, column, value)
        stream = io.BytesIO()
        book.save(stream)
        self.confirm("userdata", self.preview("userdata", stream.getvalue()))
        self.assertEqual((self.rows()["ann"], self.rows()["bob"]), (1, 2))

    def test_any_line_ends(self):
        for n, end in enumerate(("\n", "\r\n", "\r"), 5):
            content = end.join(("name,salary", f'"ann",{n}', f"王,{n}", "")).encode()
            self.confirm("userdata", self.preview("userdata", content, CSV))
            self.assertEqual((self.rows()["ann"], self.rows()["王"]), (n, n))

    def test_a_workbook_that_claims_to_be_endless(self):
        good = workbook(["name", "salary"], ["ann", 1])
        sheet = "xl/worksheets/sheet1.xml"
        text = zipfile.ZipFile(io.BytesIO(good)).read(sheet).decode()
        claim = re.sub('<dimension ref="[^"]*"', '<dimension ref="A1:XFD1048576"', text)
        self.assertNotEqual(claim, text)
        preview = self.preview("userdata", repacked(good, **{sheet: claim.encode()}))
        self.assertContains(preview, "<ins>ann</ins>")

    def test_empty_rows_and_columns_of_a_workbook_do_not_matter(self):
        preview = self.preview("userdata", workbook(["name", "salary", None], [None, None], ["ann", 1], ["", None]))
        self.assertEqual(self.confirm("userdata", preview).status_code, 302)
        self.assertEqual(self.rows()["ann"], 1)

    def test_spaces_around_a_value_do_not_make_it_another(self):
        rows = [["name", "salary"], ["sam ", " 1 "], ["\xa0ann", "2"]]
        for content, kind in ((workbook(*rows), XLSX), (comma_separated(*rows), CSV)):
            with self.subTest(kind):
                self.assertEqual(self.confirm("userdata", self.preview("userdata", content, kind)).status_code, 302)
                self.assertEqual(self.rows(), {"sam": 1, "james": 20000, "ann": 2})

    def test_what_somebody_else_changed_after_the_preview_is_not_overwritten(self):
        preview = self.preview("userdata", workbook(["name", "salary"], ["sam", 1], ["ann", 1]))
        UserData.objects.filter(name="sam").update(money=5)
        answer = self.confirm("userdata", preview)
        self.assertRedirects(answer, "/admin/form/userdata/import/", fetch_redirect_response=False)
        self.assertContains(self.get("/admin/form/userdata/import/"), "the data changed after the preview")
        self.assertEqual(self.rows(), {"sam": 5, "james": 20000})
        self.assertEqual(LogEntry.objects.count(), 0)

    def test_what_became_invalid_after_the_preview_imports_nothing_of_the_file(self):
        preview = self.preview("user", workbook(["number", "name", "code"], [8, "sam", 1], [9, "james", 2]))
        User.objects.filter(uid=1).delete()
        UserData.objects.filter(name="james").delete()
        self.assertRedirects(self.confirm("user", preview), "/admin/form/user/import/", fetch_redirect_response=False)
        self.assertEqual(list(User.objects.values_list("uid", flat=True)), [0])

    def test_confirming_twice_imports_once(self):
        preview = self.preview("userdata", workbook(["name", "salary"], ["ann", 1]))
        self.assertEqual(self.confirm("userdata", preview).status_code, 302)
        self.assertEqual(self.confirm("userdata", preview).status_code, 302)
        self.assertEqual(self.rows()["ann"], 1)
        self.assertEqual(LogEntry.objects.count(), 1)

    def test_a_confirmation_that_was_made_up_or_is_old_is_refused(self):
        preview = self.preview("userdata", workbook(["name", "salary"], ["ann", 1]))
        form = fields(preview)
        for name in ("made-up", signing.dumps("x", salt="another")):
            answer = self.post("/admin/form/userdata/process_import/", form | {"import_file_name": name})
            self.assertRedirects(answer, "/admin/form/userdata/import/", fetch_redirect_response=False)
        with mock.patch("django.core.signing.time.time", lambda: 4e9):
            self.assertEqual(self.confirm("userdata", preview).status_code, 302)
        self.assertNotIn("ann", self.rows())

    def test_a_viewer_cannot_confirm(self):
        preview = self.preview("userdata", workbook(["name", "salary"], ["ann", 1]))
        self.be("viewer")
        self.assertEqual(self.confirm("userdata", preview).status_code, 403)
        self.assertNotIn("ann", self.rows())


class Exports(SignedIn):
    """From the rows to the file."""

    def setUp(self):
        super().setUp()
        self.be("editor")

    def test_what_is_on_screen_is_exported(self):
        for query, names in (("?", ["james", "sam"]), ("?q=sam", ["sam"]), ("?o=2", ["sam", "james"])):
            path = f"/admin/form/userdata/export/{query}"
            self.assertContains(self.get(f"/admin/form/userdata/{query}"), f'href="{path}"', msg_prefix=query)
            text = self.post(path, {"format": CSV, "resource": "0"}).content.decode("utf-8-sig")
            self.assertEqual([row["name"] for row in csv.DictReader(io.StringIO(text))], names)
        path = f"/admin/form/user/export/?code_link__id__exact={CodeData.objects.get(code=2).pk}"
        text = self.post(path, {"format": CSV, "resource": "0"}).content.decode("utf-8-sig")
        self.assertEqual(text.split(), ["number,name,code", "1,james,2"])

    def test_a_workbook_has_numbers_as_numbers_and_text_as_text(self):
        content = self.post("/admin/form/userdata/export/", {"format": XLSX, "resource": "0"}).content
        rows = list(load_workbook(io.BytesIO(content)).active.values)
        self.assertEqual(rows, [("name", "salary"), ("james", 20000), ("sam", 10000)])
        content = self.post("/admin/form/user/export/", {"format": XLSX, "resource": "0"}).content
        rows = list(load_workbook(io.BytesIO(content)).active.values)
        self.assertEqual([row[:2] for row in rows], [("number", "name"), (0, "sam"), (1, "james")])

    def test_who_exported_what_is_in_the_log(self):
        self.post("/admin/form/userdata/export/?q=sam", {"format": CSV, "resource": "0"})
        self.post("/admin/form/codedata/export/", {"format": XLSX, "resource": "0"})
        self.post("/admin/form/userdata/export/", {"format": "99", "resource": "0"})
        self.assertEqual(
            list(LogEntry.objects.order_by("pk").values_list("user__username", "object_repr", "change_message")),
            [("editor", "employees", "Exported 1 rows as csv."), ("editor", "groups", "Exported 2 rows as xlsx.")],
        )
        self.assertContains(self.get("/admin/"), "employees")

    def test_an_export_takes_few_queries(self):
        codes = list(CodeData.objects.all())
        counted = []
        for many in (10, 300):
            start = UserData.objects.count()
            UserData.objects.bulk_create(UserData(name=f"a{n}", money=n) for n in range(start, start + many))
            people = UserData.objects.filter(user=None)
            User.objects.bulk_create(User(uid=100 + p.pk, name_link=p, code_link=codes[0]) for p in people)
            for kind in (CSV, XLSX):
                with CaptureQueriesContext(connection) as queries:
                    self.post("/admin/form/user/export/", {"format": kind, "resource": "0"})
                counted.append(len(queries))
        self.assertEqual(len(set(counted)), 1, counted)


SHARED = b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument.'
SHARED += b'spreadsheetml.sharedStrings+xml"/>'
READ = """
import django, re, sys, time
django.setup()
from form import sheets
# What getrusage says includes the process that started this one.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
begun, before = time.process_time(), peak()
try:
    sheets.from_workbook(sys.stdin.buffer.read()) if sys.argv[1] == "xlsx" else sheets.from_text(sys.stdin.buffer.read())
except ValueError as error:
    print(type(error).__name__, error)
print(f"{(peak() - before) >> 10} MB {time.process_time() - begun:.1f} s")
"""


class Memory(SimpleTestCase):
    """No file that nginx lets through takes much memory or time, whatever it unpacks to."""

    # A pod with two workers has 384 MiB, of which they use half when they have nothing to do.
    MEGABYTES, SECONDS = 96, 20

    def assertModest(self, content, kind="xlsx"):
        """Reads the file in a process of its own; returns what it said."""
        self.assertLess(len(content), 2_100 << 10)
        told = subprocess.run([sys.executable, "-c", READ, kind], input=content, capture_output=True, check=True, timeout=120)
        *_, megabytes, _mb, seconds, _s = told.stdout.decode().split()
        self.assertLess(int(megabytes), self.MEGABYTES, told.stdout)
        self.assertLess(float(seconds), self.SECONDS, told.stdout)
        return told.stdout.decode()

    def test_workbooks(self):
        good = workbook(["name", "salary"], ["ann", "bob"])
        types = zipfile.ZipFile(io.BytesIO(good)).read("[Content_Types].xml").replace(b"</Types>", SHARED + b"</Types>")
        sst = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>x</t></si></sst>'
        good = repacked(good, **{"[Content_Types].xml": types, "xl/sharedStrings.xml": sst})
        styles, sheet, strings = "xl/styles.xml", "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
        part = lambda name: zipfile.ZipFile(io.BytesIO(good)).read(name)
        many = lambda name, before, what: repacked(good, **{name: part(name).replace(before, what + before, 1)})
        rows = b"".join(b'<row r="%d">%s</row>' % (n, b"<c><v>1</v></c>" * 50) for n in range(9, 5009))
        for what, content, refused in (
            ("formats", many(styles, b"</cellXfs>", b"<xf/>" * 800_000), True),
            ("cells in one row", many(sheet, b"</row>", b"<c/>" * 2_000_000), True),
            ("strings", many(strings, b"</sst>", b"<si/>" * 2_600_000), True),
            ("columns", many(sheet, b"<sheetData>", b"<cols>" + b'<col min="1"/>' * 900_000 + b"</cols>"), True),
            ("merged cells", many(sheet, b"</worksheet>", b'<mergeCells>' + b'<mergeCell ref="A1:B2"/>' * 400_000 + b"</mergeCells>"), True),
            ("rows that end nothing", many(styles, b"</cellXfs>", b"<xf/><row/>" * 400_000), True),
            ("empty rows", many(sheet, b"</sheetData>", b"<row/>" * 1_000_000), True),
            ("one text", many(strings, b"</t>", b"a" * (15 << 20) + "😀".encode()), True),
            ("one attribute", many(styles, b"</cellXfs>", b'<xf a="' + b"a" * (15 << 20) + b'"/>'), True),
            ("a part of another name", repacked(good, **{"xl/a.bin": b"<a>" + b"<b/>" * 3_000_000}), True),
            ("as much as is allowed", many(sheet, b"</sheetData>", rows), False),
            ("formats up to the last column", many(sheet, b"</sheetData>", b"<row>" + b'<c s="1"/>' * 16_384 + b"</row>"), False),
        ):
            with self.subTest(what):
                self.assertEqual(self.assertModest(content).startswith(("Refused", "ValueError")), refused)

    def test_texts(self):
        for what, content in (
            ("commas", b"," * 2_000_000),
            ("lines", b"\n" * 2_000_000),
            ("rows", b"a,b\n" * 500_000),
            ("quotation marks", b'"' * 2_000_001),
            ("one cell", b"a" * 1_900_000 + "😀".encode()),
        ):
            with self.subTest(what):
                self.assertModest(content, "csv")
