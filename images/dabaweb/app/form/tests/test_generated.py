"""
Generated files and names: nothing but a sentence or the whole file. GENERATED says how many of each; a failure prints its
seed, and REPLAY=<seed> runs that one alone.
"""

import csv
import io
import os
import random
import unicodedata
import zipfile
from types import SimpleNamespace

from django.core.management import CommandError
from django.db import transaction

from form import dumps, sheets
from form.models import CodeData, User, UserData, tidy
from form.spreadsheets import Employees, Refused, Texts, Workbooks
from form.tests.test_form_sql import Dumps
from form.tests.test_spreadsheets import comma_separated, workbook

MANY = int(os.environ.get("GENERATED", "60"))
SEEDS = [int(os.environ["REPLAY"])] if "REPLAY" in os.environ else range(MANY)
BASES = ["Jose", "Muller", "Strauss", "はは", "ハナ", "Федор", "ann", "sam", "王小明", "I", "كتب", "O'Neil; --", 'a"b', "x\\y", "1"]
MARKS = ["\u0301", "\u0308", "\u3099", "\u200b", "\u200d", "\u00ad", "\ufe0f", "\u064e", "ß", "é", "İ", "ı", "Ａ", "①", "😀", "_", "%"]


class Undo(Exception):
    """Ends a transaction that a test does not want to keep."""


def name(dice):
    """A name that is like others, and at most 30 characters long."""
    letters = list(dice.choice(BASES))
    for _ in range(dice.choice((0, 0, 1, 2))):
        letters.insert(dice.randrange(1, len(letters) + 1), dice.choice(MARKS))
    text = "".join(letters)
    return dice.choice((str, str.upper, str.lower, str.title))(unicodedata.normalize(dice.choice(("NFC", "NFD")), text))[:30]


def damaged(dice, data):
    """The same with a few bytes changed, missing or doubled."""
    data = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(data))
        kind = dice.randrange(4)
        if kind == 0:
            data[at] = dice.randrange(256)
        elif kind == 1:
            del data[at : at + dice.randrange(1, 40)]
        elif kind == 2:
            data[at:at] = data[at : at + dice.randrange(1, 40)]
        else:
            del data[max(1, at) :]
        data = data or bytearray(b"x")
    return bytes(data)


class Generated(Dumps):
    """Each with its seed."""

    def each(self, check):
        """Calls `check` for every seed, and takes back what it wrote."""
        for seed in SEEDS:
            try:
                with transaction.atomic():
                    check(random.Random(seed))
                    raise Undo
            except Undo:
                continue
            except Exception as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error

    def import_employees(self, dataset):
        """Whether the rows were imported."""
        how = {"dry_run": False, "use_transactions": True, "rollback_on_validation_errors": True}
        result = Employees().import_data(dataset, request=SimpleNamespace(POST={}), **how)
        failures = [error.error for errors in result.row_errors() for error in errors[1]]
        failures += [error.error for error in result.base_errors]
        for error in failures:
            # What a user is told in one sentence; everything else would be a traceback in the log.
            self.assertIsInstance(error, (Refused, ValueError))
        return not (result.has_errors() or result.has_validation_errors())

    def test_names_in_a_file(self):
        def check(dice):
            there = {"sam": 10000, "james": 20000}
            self.assertEqual(dict(UserData.objects.values_list("name", "money")), there)
            rows = [(name(dice), n) for n in range(1, dice.randrange(2, 7))]
            taken = self.import_employees(Texts().create_dataset(comma_separated(["name", "salary"], *rows)))
            now = dict(UserData.objects.values_list("name", "money"))
            wanted = there | {tidy(text): money for text, money in rows} if taken else there
            self.assertEqual(now, wanted, rows)
            if taken:
                self.assertEqual(len({tidy(text) for text, _ in rows}), len(rows), rows)

        self.each(check)

    def test_damaged_spreadsheets(self):
        def check(dice):
            rows = [["name", "salary"], *([f"{n} {name(dice)}", n] for n in range(dice.randrange(1, 5)))]
            if dice.random() < 0.5:
                content, kind = damaged(dice, comma_separated(*rows)), Texts
            else:
                content, kind = workbook(*rows), Workbooks
                if dice.random() < 0.5:
                    content = damaged(dice, content)
                else:
                    # Damaged before it was packed: the checksums are right.
                    parts, stream = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
                    victim = dice.choice(parts.namelist())
                    with zipfile.ZipFile(stream, "w") as target:
                        for part in parts.namelist():
                            data = parts.read(part)
                            target.writestr(part, damaged(dice, data) if part == victim else data)
                    content = stream.getvalue()
            try:
                dataset = kind().create_dataset(content)
            except Exception as error:
                # The page says that it is no spreadsheet, whatever the library thinks of it.
                self.assertNotIsInstance(error, (MemoryError, RecursionError))
                return
            before = UserData.objects.count()
            if kind is Texts:
                lines = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if any(row)]
                self.assertEqual(len(dataset), len(lines) - 1)
            if not self.import_employees(dataset):
                self.assertEqual(UserData.objects.count(), before)

        self.each(check)

    def test_dumps(self):
        def check(dice):
            rows, text, encoding = dump(dice)
            data = text.encode(encoding)
            try:
                whole = {table: list(found) for table, found in dumps.read(data).items()}
            except dumps.Refused as refused:
                # An encoding without a mark is not always certain.
                self.assertNotIn(encoding, ("utf-8", "utf-8-sig"), refused)
            else:
                self.assertEqual(whole, rows)
            data = data[: dice.randrange(len(data))] if dice.random() < 0.3 else damaged(dice, data)
            before = self.everything()
            try:
                found = dumps.read(data)
                many = [len(found[table]) for table in dumps.TABLES]
                with transaction.atomic():
                    self.take(data)
            except (dumps.Refused, CommandError):
                self.assertEqual(self.everything(), before)
            else:
                after = [model.objects.count() for model in (CodeData, UserData, User)]
                self.assertTrue(all(now >= there for now, there in zip(after, many)), (after, many))

        self.each(check)

    def test_limits_are_where_they_are_said_to_be(self):
        rows = [["name", "salary"], *([f"a{n}", n] for n in range(sheets.MAX_ROWS))]
        self.assertEqual(len(Texts().create_dataset(comma_separated(*rows))), sheets.MAX_ROWS)
        self.assertEqual(len(Workbooks().create_dataset(workbook(*rows))), sheets.MAX_ROWS)


def dump(dice):
    """The rows of a dump, its text as one program or another may have written it, and its encoding."""
    names = sorted({f"{n} {name(dice)}".strip() for n in range(dice.randrange(1, 5))})
    rows = {
        "form_code_data": [(str(n), dice.choice(("manage", "销售", "it's; (a), \\ b"))) for n in range(dice.randrange(1, 4))],
        "form_user_data": [(text, str(n)) for n, text in enumerate(names)],
        "form_user": [(str(n), "0", text) for n, text in enumerate(names)],
    }
    end = dice.choice(("\n", "\r\n", "\r"))
    mark = dice.choice(("`", '"', ""))
    space = lambda: dice.choice((" ", end, f" -- it's a comment;{end}", "/* `;' */ ", "\t"))
    named = lambda word: f"`{word}`" if word == "group" else f"{mark}{word}{mark}"
    begin = dice.choice(("INSERT INTO", "insert into", "INSERT IGNORE INTO", "REPLACE INTO", "/*!40000 INSERT*/ INTO"))

    def value(column, text):
        if column in ("code", "money", "uid", "code_link_id") and dice.random() < 0.8:
            return text
        if dice.random() < 0.1:
            return "0x" + text.encode().hex()
        return "'" + text.replace("\\", "\\\\").replace("'", dice.choice(("''", "\\'"))) + "'"

    pieces = []
    for table in dice.sample(sorted(rows), 3):
        columns = list(dumps.TABLES[table])
        declared = dice.sample(columns, len(columns))
        pieces.append(f"CREATE TABLE{space()}{named(table)} (" + ", ".join(f"{named(c)} varchar(100)" for c in declared))
        pieces.append(f", PRIMARY KEY ({named(columns[0])})) ENGINE=MyISAM COLLATE=utf8_bin;{end}")
        left = list(rows[table])
        while left:
            some = left[: dice.randrange(1, len(left) + 1)]
            left = left[len(some) :]
            order = dice.sample(columns, len(columns)) if dice.random() < 0.5 else declared
            listed = f" ({','.join(map(named, order))})" if order is not declared or dice.random() < 0.3 else ""
            values = f",{space()}".join(
                "(" + ",".join(value(c, row[columns.index(c)]) for c in order) + ")" for row in some
            )
            pieces.append(f"{begin}{space()}{named(table)}{listed}{space()}VALUES{space()}{values};{end}")
    encoding = dice.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"))
    if encoding == "gb18030":
        pieces.insert(0, f"/*!40101 SET NAMES gb18030 */;{end}")
    return rows, "".join(pieces), encoding
