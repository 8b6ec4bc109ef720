"""
The rows of form.sql, the dump of the original site, whatever program wrote it. No statement of the file is run: what is
needed is the values of three tables, and a server would also obey, or stumble over, everything else that dumps contain.
"""

import codecs
import re

from django.core.exceptions import ValidationError
from django.db import models

# Table -> its columns. The first one identifies a row.
TABLES = {
    "form_code_data": ("code", "group"),
    "form_user_data": ("name", "money"),
    "form_user": ("uid", "code_link_id", "name_link_id"),
}
# The file is in the memory of a web pod, and so is what is read of it.
MAX_BYTES = 8 << 20
MAX_ROWS = 250_000
MAX_TOKENS = 1_000_000
# Many times the longest value: more of it is not looked at.
MAX_STRING = 10_000
# Where a dump says how it is written.
HEAD = 8192
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7-Zip",
}
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# MySQL's names of character sets, in Python's words. MySQL's latin1 is the code page of Windows.
CHARSETS = {
    **dict.fromkeys(("utf8", "utf8mb3", "utf8mb4", "binary", "ascii"), "utf-8"),
    **{name: name for name in ("gbk", "gb2312", "gb18030", "big5", "cp932", "cp850", "cp852", "cp866")},
    **{name: name for name in ("cp1250", "cp1251", "cp1256", "cp1257")},
    **{"latin1": "cp1252", "latin2": "iso8859-2", "latin5": "iso8859-9", "latin7": "iso8859-13", "greek": "iso8859-7"},
    **{"hebrew": "iso8859-8", "koi8r": "koi8-r", "koi8u": "koi8-u", "macroman": "mac-roman", "tis620": "tis-620"},
    **{"sjis": "shift-jis", "ujis": "euc-jp", "eucjpms": "euc-jp", "euckr": "euc-kr"},
}
# What a Windows console takes the bytes of a program for, when their output is redirected to a file in UTF-16.
CONSOLES = ("cp437", "cp850", "cp852", "cp866", "cp1252", "gbk", "big5", "cp932", "cp949")

_TOKEN = r"""
    (?P<space>[\s\ufeff]+)
  | (?P<comment>--[^\r\n]*|\#[^\r\n]*|/\*(?:M!|!999999|(?!!))(?s:.*?)\*/|/\*!\d*|\*/)
  | (?P<string>'{single}'|"{double}")
  | (?P<name>`(?:[^`]|``)*+`)
  | (?P<number>0[xX][0-9a-fA-F]+\b|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w$]))
  | (?P<word>[\w$@]+)
  | (?P<cut>['"`]|/\*)
  | (?P<symbol>.)
"""
# Whether a backslash in a string means something: in MySQL, unless it is told otherwise; in other databases, it does not.
WITH_BACKSLASHES, WITHOUT = (
    re.compile(_TOKEN.replace("{single}", single).replace("{double}", double), re.VERBOSE | re.DOTALL)
    for single, double in (
        (r"(?:[^'\\]|\\.|'')*+", r'(?:[^"\\]|\\.|"")*+'),
        (r"(?:[^']|'')*+", r'(?:[^"]|"")*+'),
    )
)
STANDARD = re.compile(r"NO_BACKSLASH_ESCAPES|^PRAGMA foreign_keys|standard_conforming_strings = on", re.MULTILINE)
ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}
# How programs begin their dumps, and how they end them if nothing went wrong.
ENDS = {r"^-- (?:MySQL|MariaDB) dump ": "-- Dump completed", r"^-- PostgreSQL database dump\s*$": "database dump complete"}
# Statements that contain no rows, even if they name a table.
HARMLESS = {"DROP", "ALTER", "CREATE", "LOCK", "UNLOCK", "SET", "USE", "ANALYZE", "OPTIMIZE", "CHECK", "COMMENT", "GRANT"}
HARMLESS |= {"COMMIT", "BEGIN", "START", "PRAGMA", "SELECT", "FLUSH", "REVOKE"}
# So many tokens name the table of a statement.
LOOK_AHEAD = 8
KEYS = {"PRIMARY", "UNIQUE", "KEY", "INDEX", "CONSTRAINT", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK", "PERIOD"}


class Refused(ValueError):
    """The reason why nothing of a dump is taken, in one sentence."""


def read(data):
    """The rows of each table in the order of the file, each with its values in the order of TABLES."""
    text = decode(data)
    for begin, end in ENDS.items():
        if re.search(begin, text, re.MULTILINE) and end not in text:
            raise Refused(f'The dump is incomplete: the line "{end}", which its program writes last, is missing.')
    if failed := re.search(r"^(?:mysqldump|mariadb-dump): (?:Error|Got error|Couldn't).*", text, re.MULTILINE):
        raise Refused(f"The dump is incomplete: it says {failed[0]!r}.")
    return _Dump().rows(text)


def decode(data):
    """The text of a file; refuses one that is not surely read as it was written."""
    if len(data) > MAX_BYTES:
        raise Refused(f"The dump has more than {MAX_BYTES >> 20} MB. Dump the three tables alone: {', '.join(TABLES)}.")
    for magic, program in COMPRESSED.items():
        if data.startswith(magic):
            raise Refused(f"The dump is compressed ({program}). Unpack it first.")
    marked = next((bom for bom in BOMS if data.startswith(bom)), b"")
    said = re.search(rb"SET\s+(?:NAMES|CHARACTER\s+SET)\s+['\"]?(\w+)", data[:HEAD].replace(b"\0", b""), re.IGNORECASE)
    said = said[1].decode("ascii", "replace").lower() if said else ""
    encoding = BOMS.get(marked) or _wide(data) or CHARSETS.get(said or "utf8")
    if not encoding:
        raise Refused(f"The dump says that it is in {said}, which is not known here. Convert it to UTF-8.")
    data = data[len(marked) :]
    if encoding not in BOMS.values() and not data.isascii() and _is(data, "utf-8"):
        raise Refused(f"The dump says that it is in {said}, but it is in UTF-8. Correct its line SET NAMES.")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        why = f"byte {data[error.start]:#04x} in line {data[: error.start].count(b'\n') + 1}"
        hint = "Convert it to UTF-8, for example with iconv -f GBK -t UTF-8."
        raise Refused(f"The dump is not in {encoding.upper()} ({why}). {hint}") from error
    if "\0" in text:
        raise Refused("This is not a dump in SQL: it contains NUL characters.")
    if "\ufffd" in text:
        line = text[: text.index("\ufffd")].count("\n") + 1
        raise Refused(f"Characters of the dump were lost (U+FFFD in line {line}) when it was converted. Dump again.")
    if encoding.startswith("utf-16") and _garbled(text):
        raise Refused("The dump was garbled when it was redirected to a file. Write it with mysqldump --result-file.")
    return text


def _wide(data):
    # Two bytes for each character, and nothing that says so.
    head = data[:200]
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 2 and head[start::2].count(0) > len(head) / 3:
            return encoding
    return None


def _is(data, encoding):
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _garbled(text):
    special = "".join(re.findall(r"[^\x00-\x7f]+", text))
    for console in CONSOLES if special else ():
        try:
            special.encode(console).decode("utf-8")
        except UnicodeError:
            continue
        return True
    return False


class _Dump:
    """What is known while a dump is read from its beginning to its end."""

    def __init__(self):
        self.columns, self.found, self.homes = {}, {}, {}
        self.database, self.open = "", None

    def rows(self, text):
        """All rows; refuses what is missing or not understood."""
        for tokens in _statements(text):
            self._take(tokens)
        if self.open:
            raise Refused(f"The dump is incomplete: what {self.open} begins does not end.")
        if missing := TABLES.keys() - (self.found.keys() | self.columns.keys()):
            raise Refused(
                "Standard input is not a dump of form.sql: it must create form_code_data, form_user_data and form_user; "
                f"{', '.join(sorted(missing))} is missing."
            )
        if not any(self.found.values()):
            raise Refused("The dump creates the tables and has no rows. Dump again, with the data.")
        return {table: self.found.get(table, {}).values() for table in TABLES}

    def _take(self, tokens):
        words = [text.upper() if kind == "word" else "" for kind, text in tokens[:LOOK_AHEAD]]
        first = words[0]
        self._follow(first, words, tokens)
        if first in ("INSERT", "REPLACE"):
            self._insert(_Reader(tokens))
        elif first == "CREATE" and "TABLE" in words[1:4]:
            self._create(_Reader(tokens))
        elif names := TABLES.keys() & {_plain(token) for token in tokens}:
            begin = " ".join(text for _, text in tokens[:6])
            emptied = first == "TRUNCATE" or first == "DELETE" and not any(_word(token) == "WHERE" for token in tokens)
            altered = first == "ALTER" and any(_word(token) in ("RENAME", "CHANGE", "COLUMN") for token in tokens)
            if emptied or first == "DROP" and "TABLE" in words:
                for name in names:
                    self.found.pop(name, None)
            elif altered or first not in HARMLESS:
                raise Refused(f"A statement is not understood: {begin} ...")

    def _follow(self, first, words, tokens):
        if first == "USE" and len(tokens) > 1:
            self.database = _plain(tokens[1])
        # What a program opens, it closes at the end: otherwise, the end is missing.
        if first == "LOCK" or first == "START" and "TRANSACTION" in words or first == "BEGIN":
            self.open = first
        elif first in ("UNLOCK", "COMMIT"):
            self.open = None
        elif first == "ROLLBACK":
            raise Refused("The dump ends in an error: it says ROLLBACK.")

    def _table(self, reader):
        """The table that a statement names, or None if it is another one."""
        home, table = reader.qualified()
        if table not in TABLES:
            return None
        # The name of a schema in other databases is no database.
        home = home or self.database
        if self.homes.setdefault(table, home) != home:
            raise Refused(f"{table} is in the dump for two databases, {self.homes[table]} and {home}. Dump one of them.")
        return table

    def _create(self, reader):
        reader.skip("CREATE", "OR", "REPLACE", "TEMPORARY", "TABLE", "IF", "NOT", "EXISTS")
        table = self._table(reader)
        if table is None:
            return
        if not reader.at("("):
            raise Refused(f"A statement is not understood: CREATE TABLE {table} without columns.")
        self.columns[table] = self._known(table, reader.definitions())
        self.found.setdefault(table, {})

    def _insert(self, reader):
        how = reader.skip("INSERT", "REPLACE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "OR", "INTO")
        table = self._table(reader)
        if table is None:
            return
        columns = self._known(table, reader.names()) if reader.at("(") else self.columns.get(table)
        if columns is None:
            raise Refused(
                "Standard input is not a dump of form.sql: it does not say which columns the values of "
                f"{table} are. Dump again, with CREATE TABLE."
            )
        if not reader.skip("VALUES", "VALUE"):
            raise Refused(f"A statement is not understood: {' '.join(how)} {table} {reader.rest()} ...")
        rows, order = self.found.setdefault(table, {}), [columns.index(name) for name in TABLES[table]]
        while True:
            values = reader.values(table)
            if len(values) != len(columns):
                raise Refused(f"A row of {table} has {len(values)} values instead of {len(columns)}: {values!r}.")
            row = tuple(values[at] for at in order)
            key = str(row[0])
            if key not in rows or "REPLACE" in how:
                rows[key] = row
            elif "IGNORE" not in how:
                raise Refused(f"{table} has the row {key} twice.")
            if sum(map(len, self.found.values())) > MAX_ROWS:
                raise Refused(f"The dump has more than {MAX_ROWS} rows. Dump fewer at a time.")
            if not reader.at(","):
                break
            reader.next()
        if not reader.over():
            raise Refused(f"A statement is not understood: {' '.join(how)} {table} ... {reader.rest()} ...")

    def _known(self, table, columns):
        if "id" in columns:
            raise Refused(f"{table} has the column id: this is a dump of this site. Restore it as docs/runbook.md says.")
        if sorted(columns) != sorted(TABLES[table]):
            raise Refused(f"{table} has the columns {', '.join(columns)} instead of {', '.join(TABLES[table])}.")
        return columns


class _Reader:
    """One statement, token by token."""

    def __init__(self, tokens):
        self._tokens, self._at = tokens, 0

    def over(self):
        """Whether nothing is left."""
        return self._at >= len(self._tokens)

    def at(self, symbol):
        """Whether this is the next token."""
        return not self.over() and self._tokens[self._at] == ("symbol", symbol)

    def next(self):
        """The next token; the statement may not end here."""
        if self.over():
            raise Refused(f"A statement is not understood: {' '.join(text for _, text in self._tokens)[:60]} ...")
        self._at += 1
        return self._tokens[self._at - 1]

    def rest(self):
        """The next words, for a message."""
        return " ".join(text for _, text in self._tokens[self._at : self._at + 3])

    def skip(self, *words):
        """Passes over these words; returns those that were there."""
        begin = self._at
        while not self.over() and _word(self._tokens[self._at]) in words:
            self._at += 1
        return [text.upper() for _, text in self._tokens[begin : self._at]]

    def qualified(self):
        """A name, and what it belongs to."""
        name = _plain(self.next())
        home = ""
        while self.at("."):
            self.next()
            home, name = name, _plain(self.next())
        return home, name

    def names(self):
        """A list of names in parentheses."""
        self.next()
        names = []
        while True:
            names.append(_plain(self.next()))
            if self.next() != ("symbol", ","):
                return names

    def definitions(self):
        """The names of the columns in the parentheses of CREATE TABLE."""
        self.next()
        columns, depth, begins = [], 1, True
        while depth:
            token = self.next()
            if begins and not (token[0] == "word" and _word(token) in KEYS):
                columns.append(_plain(token))
            begins = depth == 1 and token == ("symbol", ",")
            depth += {("symbol", "("): 1, ("symbol", ")"): -1}.get(token, 0)
        return columns

    def values(self, table):
        """A list of values in parentheses."""
        if self.next() != ("symbol", "("):
            raise Refused(f"A statement is not understood: values of {table} without parentheses.")
        values = []
        while True:
            values.append(self._value(table))
            end = self.next()
            if end == ("symbol", ")"):
                return values
            if end != ("symbol", ","):
                raise Refused(f"A value of {table} is not understood: ... {end[1]} {self.rest()} ...")

    def _value(self, table):
        kind, text = self.next()
        if kind == "symbol" and text in "+-" and not self.over() and self._tokens[self._at][0] == "number":
            return text.replace("+", "") + self.next()[1]
        # _utf8mb4'...' and N'...' are strings; X'...' are the bytes of one.
        introduced = kind == "word" and not self.over() and self._tokens[self._at][0] == "string"
        if introduced and text.upper() == "X":
            return _from_bytes(self.next()[1][1:-1], table)
        if introduced and (text.startswith("_") or text.upper() == "N"):
            kind, text = self.next()
        if kind == "string":
            while not self.over() and self._tokens[self._at][0] == "string":
                text = text[:-1] + self.next()[1][1:]
            return text[1:-1]
        if kind == "number":
            return _from_bytes(text[2:], table) if text[:2] in ("0x", "0X") else text
        known = {"NULL": None, "TRUE": "1", "FALSE": "0"}
        if kind == "word" and text.upper() in known:
            return known[text.upper()]
        raise Refused(f"A value of {table} is not understood: {text} {self.rest()} ...")


def _from_bytes(digits, table):
    try:
        return bytes.fromhex(digits).decode("utf-8")
    except ValueError as error:
        raise Refused(f"A value of {table} is not text: 0x{digits[:40]}.") from error


def _word(token):
    return token[1].upper() if token[0] == "word" else ""


def _plain(token):
    # Names are quoted in one way by each program, and on Windows they may be in capitals.
    kind, text = token
    return (text if kind == "word" else text[1:-1]).lower() if kind in ("word", "name", "string") else ""


def _statements(text):
    """Lists of (kind, text), without white space and comments. The statements in /*!40101 ... */ are statements."""
    standard = STANDARD.search(text[:HEAD])
    pattern, at, tokens = WITHOUT if standard else WITH_BACKSLASHES, 0, []
    symbols, unwanted = {}, None
    while at < len(text):
        found = pattern.match(text, at)
        kind, length, at = found.lastgroup, found.end() - at, found.end()
        if kind in ("space", "comment"):
            continue
        if len(tokens) == LOOK_AHEAD and unwanted is None:
            unwanted = _word(tokens[0]) in ("INSERT", "REPLACE") and not any(_plain(token) in TABLES for token in tokens)
        if unwanted and text[at - 1] != ";":
            # The rows of other tables, which may be most of the file, are not kept.
            if kind == "cut":
                break
            continue
        token = found[0] if length <= MAX_STRING else text[at - length : at - length + MAX_STRING] + text[at - 1]
        if kind == "cut":
            break
        if len(tokens) == MAX_TOKENS:
            raise Refused("A statement of the dump is too long. Dump again, with mysqldump --net-buffer-length=1M.")
        if kind == "string":
            tokens.append((kind, _unescaped(token, not standard)))
        elif token == ";" and kind == "symbol":
            if tokens:
                yield tokens
            if len(tokens) > 2 and _word(tokens[0]) == "COPY" and _word(tokens[-1]) == "STDIN":
                at = _after(text, at, r"^\\\.$")
            tokens, unwanted = [], None
        elif not tokens and token.upper() == "DELIMITER":
            # Triggers and procedures, up to the line that ends them.
            at = _after(text, at, r"^DELIMITER[ \t]+;[ \t]*$")
        elif not tokens and token == "\\":
            # A command of psql.
            at = _after(text, at, "$")
        else:
            # Most tokens are parentheses and commas: each is kept once.
            tokens.append(symbols.setdefault(token, (kind, token)) if kind == "symbol" else (kind, token))
    else:
        if not tokens:
            return
    raise Refused(f"The dump ends in the middle of a statement: {' '.join(text for _, text in tokens[:4])[:60]} ...")


def _after(text, at, line):
    end = re.compile(line.replace("$", r"(?=[\r\n]|\Z)").replace("^", r"(?<![^\r\n])"), re.IGNORECASE).search(text, at)
    if not end:
        raise Refused("The dump ends in the middle of a statement.")
    return end.end()


def _unescaped(token, backslashes):
    quote, inside = token[0], token[1:-1]
    if not backslashes:
        return quote + inside.replace(quote * 2, quote) + quote
    plain = lambda found: ESCAPES.get(found[1], found[1]) if found[1] else quote
    return quote + re.sub(rf"\\(.)|{quote}{quote}", plain, inside, flags=re.DOTALL) + quote


def number(value):
    """A value as a whole number, if it is one; the model says what is wrong with another one."""
    try:
        return models.IntegerField().to_python(value)
    except ValidationError:
        return value
