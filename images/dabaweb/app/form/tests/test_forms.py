"""The tables of docs/web.md that say which files are taken. FORMS has the page, in base64."""

import base64
import gzip
import os
import re
import unittest
from itertools import product

from django.core.management import CommandError

from form.models import UserData
from form.spreadsheets import Texts, Workbooks
from form.tests.test_form_sql import DUMP, MARIADB, PG, PHPMYADMIN, PLAIN, SQLITE, Dumps
from form.tests.test_spreadsheets import Files, repacked, workbook

PAGE = base64.b64decode(os.environ.get("FORMS", "")).decode()
named = lambda text, charset: re.sub(r"SET NAMES \w+", f"SET NAMES {charset}", text)
LINE_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r", "any": "\n"}
DUMPS = {
    "mysqldump": DUMP,
    "mariadb-dump": MARIADB,
    "phpMyAdmin": PHPMYADMIN,
    "HeidiSQL": "/*!50503 SET NAMES utf8mb4 */;\n"
    + PLAIN.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    .replace("INSERT INTO `form_user`", "DELETE FROM `form_user`;\nINSERT INTO `form_user`")
    .replace(" VALUES ", " VALUES\n\t"),
    "mydumper": "/*!40101 SET NAMES utf8mb4*/;\n" + PLAIN.replace("'sam'", '"sam"').replace("'王小明'", '"王小明"'),
    "Navicat": PLAIN.replace("(9,9,", "('9','9',").replace(",7)", ",'7')"),
    "`sqlite3 .dump`": SQLITE,
    "`pg_dump --inserts`": PG,
    "`pg_dump`": PG.replace("INSERT INTO public.form_user ", "COPY public.form_user FROM stdin;\n1\t1\tsam\n\\.\nINSERT INTO public.form_user "),
    "`mysqldump --no-data`": re.sub("^INSERT.*\n", "", DUMP, flags=re.MULTILINE),
    "`mysqldump` of this site": DUMP.replace("`code` int(11) NOT NULL", "`id` bigint NOT NULL, `code` int NOT NULL", 1),
    "a program that was cut off": DUMP[: DUMP.index("UNLOCK TABLES;\n\nDROP TABLE IF EXISTS `form_zzz`")],
}
ENCODED = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16 with a mark": lambda text: text.encode("utf-16"),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-32 with a mark": lambda text: text.encode("utf-32"),
    "GBK": lambda text: text.encode("gbk"),
    "GBK, by `SET NAMES`": lambda text: named(text, "gbk").encode("gbk"),
    "UTF-8, `SET NAMES latin1`": lambda text: named(text, "latin1").encode(),
    "`>` of PowerShell": lambda text: text.encode().decode("cp437").encode("utf-16"),
    "Windows-1252": lambda text: text.replace("王小明", "Müller").encode("cp1252"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "-": lambda text: text,
}
ROWS = [["name", "salary"], ["sam", 11000], ["王小明", 7]]
TEXT = "\n".join(",".join(map(str, row)) for row in ROWS) + "\n"
SHEETS = {
    ".xlsx": (Workbooks, workbook(*ROWS)),
    ".xlsm with macros": (Workbooks, repacked(workbook(*ROWS), **{"xl/vbaProject.bin": b"x"})),
    ".xls, or a password": (Workbooks, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512),
    ".ods": (Workbooks, repacked(workbook(*ROWS), **{"content.xml": b"<a/>"})),
    ".xlsb": (Workbooks, repacked(workbook(*ROWS), **{"xl/workbook.bin": b"x"})),
    ".csv with commas": (Texts, TEXT),
    ".csv with semicolons": (Texts, TEXT.replace(",", ";")),
    ".csv with tabs": (Texts, TEXT.replace(",", "\t")),
}


def table(name):
    """The rows of the table behind a comment of this name: each writer, encoding and line end, and what is said of them."""
    lines = PAGE[PAGE.index(f"<!-- executed: {name} -->") :].splitlines()[2:]
    for line in lines[2:]:
        if not line.startswith("|"):
            return
        writers, encodings, ends, what = (cell.strip() for cell in line.strip("|").split("|"))
        split = lambda cell: [part.strip() for part in cell.split(";")]
        for one in product(split(writers), split(encodings), split(ends)):
            yield *one, what


@unittest.skipUnless(PAGE, "test/images/web.test.ts passes the page")
class DumpsOfThePage(Dumps):
    """Each row does what it says."""

    def test_rows(self):
        seen = set()
        for writer, encoding, end, what in table("dumps"):
            seen.add(writer)
            with self.subTest(writer=writer, encoding=encoding, end=end):
                UserData.objects.all().delete()
                data = ENCODED[encoding](DUMPS[writer].replace("\n", LINE_ENDS[end]))
                if what == "taken":
                    self.take(data)
                    self.assertEqual(dict(UserData.objects.filter(money=7).values_list("money", "name")), {7: "王小明"})
                else:
                    with self.assertRaises(CommandError) as refused:
                        self.take(data)
                    self.assertIn(re.fullmatch("refused: “(.*)”", what)[1], str(refused.exception))
        self.assertEqual(seen, set(DUMPS))


@unittest.skipUnless(PAGE, "test/images/web.test.ts passes the page")
class SpreadsheetsOfThePage(Files):
    """Each row does what it says."""

    def test_rows(self):
        seen = set()
        for writer, encoding, end, what in table("spreadsheets"):
            seen.add(writer)
            with self.subTest(writer=writer, encoding=encoding, end=end):
                UserData.objects.exclude(name="james").delete()
                kind, content = SHEETS[writer]
                if kind is Texts:
                    content = ENCODED[encoding](content.replace("\n", LINE_ENDS[end]))
                preview = self.preview("userdata", content, "0" if kind is Workbooks else "1")
                if what == "taken":
                    self.assertEqual(self.confirm("userdata", preview).status_code, 302)
                    self.assertEqual(self.rows(), {"james": 20000, "sam": 11000, "王小明": 7})
                else:
                    self.assertContains(preview, re.fullmatch("refused: “(.*)”", what)[1])
        self.assertEqual(seen, set(SHEETS))
