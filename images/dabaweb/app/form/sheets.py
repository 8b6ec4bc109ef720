"""
The rows of a spreadsheet that somebody sent: whole, or a sentence that says why not. What a file unpacks to and how many
cells and formats it has is counted before a library reads it, because the library keeps in memory whatever it is given.
"""

import csv
import io
import re
from xml.parsers import expat
from zipfile import ZipFile

from django.utils.translation import gettext_lazy as _
from openpyxl import load_workbook

MAX_ROWS = 5000
MAX_COLUMNS = 50
# Many times the size of that many rows.
MAX_UNPACKED_BYTES = 16 << 20
# As many characters as Excel allows in a cell.
MAX_TEXT = 32_767
# As many rows as Excel allows. A row that claims a higher number would be reached through as many empty ones.
MAX_ROW_NUMBER = 1 << 20
# Elements of XML in one part: more than two for each cell of that many rows and columns.
MAX_ELEMENTS = 600_000
# Elements that are in memory at the same time: more than three for each of the 16,384 cells of a row.
MAX_KEPT_ELEMENTS = 50_000
# The parts that are read one such element after the other; of all others, everything is kept.
STREAMED = {r"/?xl/worksheets/[^/]+\.xml": "row", r"/?xl/sharedstrings\.xml": "si"}
OLD_OFFICE, ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK"


class Refused(ValueError):
    """A file or an import that is refused; the text is for the user who sent it."""


def from_workbook(data, max_rows=MAX_ROWS):
    """The rows of the active sheet of an .xlsx workbook."""
    if data.startswith(OLD_OFFICE):
        raise Refused(_("This is an .xls workbook, or one with a password. Save it as .xlsx without a password."))
    with ZipFile(io.BytesIO(data)) as archive:
        _check(archive)
    book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    if not book.worksheets:
        raise Refused(_("The workbook has no sheet that can be read here. Save it as “Excel Workbook (*.xlsx)”."))
    sheet = book.active
    sheet.reset_dimensions()
    rows = []
    for row in sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True):
        if any(value not in (None, "") for value in row):
            rows.append(row)
        # One row more than allowed, so that an excess is noticed.
        if len(rows) > max_rows + 1:
            break
    return _with_headings(rows)


def from_text(data, max_rows=MAX_ROWS):
    """The rows of a .csv file."""
    wrong = _("This is neither an .xlsx workbook nor a comma-separated .csv file in UTF-8: line %d is in another encoding.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(wrong % (data[: error.start].count(b"\n") + 1)) from error
    if "\0" in text:
        raise Refused(wrong % (text[: text.index("\0")].count("\n") + 1))
    # Whatever ends its lines; a line break inside quotation marks is part of the value.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for row in reader:
            if len(row) > MAX_COLUMNS and any(row[MAX_COLUMNS:]):
                raise Refused(_("Line %(line)d has more than %(most)d cells.") % {"line": reader.line_num, "most": MAX_COLUMNS})
            if any(len(value) > MAX_TEXT for value in row):
                raise Refused(_("A cell has more than %d characters.") % MAX_TEXT)
            if any(row):
                rows.append(row[:MAX_COLUMNS])
            if rows and any(row[len(rows[0]) :]):
                raise Refused(_("Line %d has more cells than the first one.") % reader.line_num)
            if len(rows) > max_rows + 1:
                break
    except csv.Error as error:
        raise Refused(_("The quotation marks or line breaks up to line %d are not those of a .csv file.") % reader.line_num) from error
    return _with_headings(rows)


def _with_headings(rows):
    if not rows:
        raise ValueError("an empty file")
    headings, *rows = rows
    named = [heading for heading in headings if heading not in (None, "")]
    if twice := [heading for at, heading in enumerate(named) if heading in named[:at]]:
        raise Refused(_("The heading “%s” is there twice.") % twice[0])
    # A row of a .csv file may be shorter.
    return list(headings), [(*row, *[None] * (len(headings) - len(row))) for row in rows]


def _check(archive):
    """Refuses an archive that is another kind of file, or that would take too much memory."""
    names = " ".join(archive.namelist())
    if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
        raise Refused(_("The workbook unpacks to more than %d MB.") % (MAX_UNPACKED_BYTES >> 20))
    if re.search("vbaproject|macrosheets", names, re.IGNORECASE):
        raise Refused(_("The workbook contains macros. Save it as .xlsx without them."))
    if re.search(r"(?:^| )(?:content\.xml|xl/workbook\.bin|Index/)", names):
        raise Refused(_("This is a spreadsheet of another kind (.ods, .xlsb or .numbers). Save it as .xlsx."))
    for part in archive.infolist():
        streamed = (name for path, name in STREAMED.items() if re.fullmatch(path, part.filename, re.IGNORECASE))
        with archive.open(part) as stream:
            _Counter(next(streamed, None)).read(stream)


class _Counter:
    """Counts what a part of a workbook has, in no memory."""

    def __init__(self, flushed):
        self._flushed, self._all, self._kept, self._text, self._row = flushed, 0, 0, 0, 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype

    def read(self, stream):
        """Reads to the end, or to what is not XML: there, the library stops, too."""
        try:
            while data := stream.read(1 << 16):
                self._parser.Parse(data, False)
            self._parser.Parse(b"", True)
        except expat.ExpatError:
            pass

    def _start(self, name, attributes):
        self._all += 1
        self._kept += 1
        self._text = 0
        if self._kept > MAX_KEPT_ELEMENTS or self._all > MAX_ELEMENTS:
            raise Refused(_("The workbook has too many cells or formats. Copy the rows alone to a new one."))
        if sum(map(len, attributes.values())) > MAX_TEXT:
            raise Refused(_("A cell has more than %d characters.") % MAX_TEXT)
        if self._flushed == "row" and name.rpartition(":")[2] == "row":
            before, self._row = self._row, _number(attributes.get("r"), self._row + 1)
            if not before < self._row <= MAX_ROW_NUMBER:
                raise ValueError(f"row {self._row} follows {before}")

    def _end(self, name):
        self._text = 0
        if name.rpartition(":")[2] == self._flushed:
            self._kept = 0

    def _characters(self, text):
        self._text += len(text)
        if self._text > MAX_TEXT:
            raise Refused(_("A cell has more than %d characters.") % MAX_TEXT)

    def _doctype(self, *_declaration):
        # No program writes one; entities could expand to anything.
        raise ValueError("a document type")


def _number(text, otherwise):
    return otherwise if text is None else int(text[:20])
