"""Import and export of .xlsx and .csv: django-import-export, configured, plus the checks that it lacks."""

import re
from base64 import b64decode, b64encode
from io import BytesIO

import tablib
from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Value
from django.db.models.functions import Lower
from django.shortcuts import redirect
from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from import_export import admin, fields, resources, tmp_storages, widgets
from import_export.formats.base_formats import CSV, XLSX
from import_export.forms import ConfirmImportForm, ExportForm
from openpyxl import Workbook

from form import sheets
from form.models import CodeData, User, UserData, one_name, shown, tidy
from form.sheets import MAX_ROWS, Refused


class Workbooks(XLSX):
    """.xlsx, read and written row by row."""

    def create_dataset(self, in_stream):
        headings, rows = sheets.from_workbook(in_stream, MAX_ROWS)
        return tablib.Dataset(*rows, headers=headings)

    def export_data(self, dataset, **kwargs):
        book, stream = Workbook(write_only=True), BytesIO()
        sheet = book.create_sheet()
        for row in (dataset.headers, *dataset):
            sheet.append(row)
        book.save(stream)
        return stream.getvalue()


class Texts(CSV):
    """.csv, read as the bytes that were sent."""

    def create_dataset(self, in_stream, **kwargs):
        headings, rows = sheets.from_text(in_stream, MAX_ROWS)
        return tablib.Dataset(*rows, headers=headings)


class InForm(tmp_storages.BaseStorage):
    """Between preview and confirmation, the form carries the signed file: the next request may reach another pod."""

    def save(self, data):
        self.name = signing.dumps(b64encode(data).decode(), salt="form.import", compress=True)

    def read(self):
        try:
            return b64decode(signing.loads(self.name, salt="form.import", max_age=3600))
        except signing.BadSignature as error:
            raise Refused(_("The preview is older than an hour. Choose the file again.")) from error

    def remove(self):
        """There is nothing to remove."""


class ConfirmForm(ConfirmImportForm):
    """Carries what the preview showed, in addition to the file."""

    outcome = forms.CharField(widget=forms.HiddenInput)


class SpreadsheetAdmin(admin.ImportExportModelAdmin):
    """Import and export. An import has a preview and writes exactly what the preview showed, or nothing."""

    formats = [Workbooks, Texts]
    # With a byte order mark, without which Excel does not recognise UTF-8.
    to_encoding = "utf-8-sig"
    confirm_form_class = ConfirmForm
    export_form_class = ExportForm
    import_template_name = "form/import.html"
    tmp_storage_class = InForm

    def get_confirm_form_initial(self, request, import_form):
        return super().get_confirm_form_initial(request, import_form) | {"outcome": getattr(request, "outcome", "")}

    def get_export_data(self, file_format, request, queryset, **kwargs):
        """What left the site is in the log beside what came in: salaries are in it."""
        data = super().get_export_data(file_format, request, queryset, **kwargs)
        LogEntry.objects.create(
            user=request.user,
            content_type=ContentType.objects.get_for_model(self.model),
            object_repr=str(self.opts.verbose_name_plural),
            action_flag=CHANGE,
            change_message=f"Exported {queryset.count()} rows as {file_format.get_extension()}.",
        )
        return data

    def add_data_read_fail_error_to_form(self, form, e):
        """One sentence, whatever the library found in the file."""
        text = _("This is neither an .xlsx workbook nor a comma-separated .csv file in UTF-8, or it is damaged.")
        form.add_error("import_file", str(e) if isinstance(e, Refused) else text)

    def process_import(self, request, **kwargs):
        """If a confirmation cannot be carried out, redirects back to the form."""
        try:
            return super().process_import(request, **kwargs)
        except Refused as error:
            messages.error(request, error)
            return redirect("admin:%s_%s_import" % self.get_model_info())

    def process_result(self, result, request):
        """An import that failed must not be reported as imported."""
        if result.has_errors() or result.has_validation_errors():
            raise Refused(_("Nothing was imported: the data changed after the preview. Choose the file again."))
        return super().process_result(result, request)


class WholeValues(resources.Diff):
    """A row of the preview: whole old and new values, without inline styles, which the content policy forbids."""

    def as_html(self):
        changed = "<ins>{1}</ins>" if self.new else "<del>{0}</del> <ins>{1}</ins>"
        return [new if new == old else format_html(changed, old, new) for old, new in zip(self.left, self.right)]


class Whole(widgets.IntegerWidget):
    """A whole number; "abc" and 1.5 get Django's own sentence."""

    def clean(self, value, row=None, **kwargs):
        try:
            return forms.IntegerField(required=False).clean(value)
        except ValidationError as error:
            raise ValueError(error.message) from error


class Known(widgets.ForeignKeyWidget):
    """A row of another table, by the name that people use."""

    def clean(self, value, row=None, **kwargs):
        try:
            return super().clean(value, row, **kwargs)
        except (self.model.DoesNotExist, ValueError) as error:
            raise ValueError(_("“%s” is not known.") % value) from error


class KnownName(Known):
    """An employee, in any spelling that counts as that name; one with other accents is another person's."""

    def get_lookup_kwargs(self, value, row=None, **kwargs):
        return {"name__lower": Lower(Value(str(value)))}


def _text(value):
    return "" if value is None else str(value)


class Spreadsheet(resources.ModelResource):
    """Shared by the three tables."""

    class Meta:
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = False

    def before_import(self, dataset, **kwargs):
        """Refuses the whole file before its first row is read."""
        self.seen, self.met = {}, set()
        wanted, found, rows = self.get_diff_headers(), dataset.headers or [], len(dataset)
        if rows > MAX_ROWS or not set(wanted) <= set(found):
            dataset.wipe()
            dataset.headers = wanted
            if rows > MAX_ROWS:
                raise Refused(_("The file has more than %d rows. Split it.") % MAX_ROWS)
            text = _("The first line must have the headings %s.") % ", ".join(wanted)
            # One heading that contains another separator, as Excel writes it where a comma is the decimal point.
            if found and len(found) == 1 and set(wanted) <= set(re.split("[;\t|]", str(found[0]))):
                text = _("The file has other separators than commas.") + f" {text}"
            raise Refused(text)

    def before_import_row(self, row, **kwargs):
        """As in a form, spaces around a value are removed. The same key twice is a mistake, not a correction."""
        row.update((heading, tidy(value)) for heading, value in row.items() if isinstance(value, str))
        written = str(row[self.get_diff_headers()[0]])
        key = self.key(row)
        first = self.seen.setdefault(key, written)
        if key in self.met:
            if first == written:
                raise ValidationError(_("“%s” is in the file twice.") % shown(written))
            text = _("“%(first)s” is in the file twice, the second time as “%(again)s”.")
            raise ValidationError(text % {"first": shown(first), "again": shown(written)})
        self.met.add(key)

    def key(self, row):
        """What identifies the row, as the database compares it: 7 and 007 are one number."""
        field = self.fields[self._meta.import_id_fields[0]]
        try:
            return field.clean(row)
        except ValueError:
            # Told when the row is validated.
            return row[field.column_name]

    def validate_instance(self, instance, import_validation_errors=None, validate_unique=True):
        """Reports errors by the headings of the file."""
        try:
            super().validate_instance(instance, import_validation_errors, validate_unique)
        except ValidationError as error:
            headings = {name: field.column_name for name, field in self.fields.items()}
            raise ValidationError({headings.get(name, name): e for name, e in error.error_dict.items()}) from error

    def after_import(self, dataset, result, request, **kwargs):
        """Between preview and confirmation, someone else may have changed the rows that the file is compared with."""
        request.outcome = salted_hmac("form.import", repr([(row.import_type, row.diff) for row in result])).hexdigest()
        if request.POST.get("outcome", request.outcome) != request.outcome:
            raise Refused

    get_diff_class = staticmethod(lambda: WholeValues)


class Groups(Spreadsheet):
    """Codes and groups."""

    code = fields.Field("code", "code", Whole(coerce_to_string=False))

    class Meta:
        model = CodeData
        fields = ("code", "group")
        import_id_fields = ["code"]


class EmployeeNames(Spreadsheet):
    """For users who may not see salaries."""

    class Meta:
        model = UserData
        fields = ("name",)
        import_id_fields = ["name"]

    def before_import(self, dataset, **kwargs):
        """Asks once which names are the same for the database."""
        super().before_import(dataset, **kwargs)
        self.spellings = UserData.spellings([tidy(_text(value)) for value in dataset["name"]] if len(dataset) else [])

    def before_import_row(self, row, **kwargs):
        """A file changes salaries and adds employees. It renames nobody: another spelling may be a slip, or another person."""
        super().before_import_row(row, **kwargs)
        name = _text(row["name"])
        _first, known = self.spellings.get(name, (name, None))
        if known and known != name:
            if tidy(known) != name:
                raise ValidationError({"name": one_name(name, known)})
            row["name"] = known

    def key(self, row):
        """The first spelling of the name in the file."""
        name = _text(row["name"])
        return self.spellings.get(name, (name, None))[0]


class Employees(EmployeeNames):
    """Names and salaries."""

    money = fields.Field("money", "salary", Whole(coerce_to_string=False))

    class Meta:
        fields = ("name", "money")


class Memberships(Spreadsheet):
    """Who is in which group."""

    uid = fields.Field("uid", "number", Whole(coerce_to_string=False))
    name_link = fields.Field("name_link", "name", KnownName(UserData, "name"))
    code_link = fields.Field("code_link", "code", Known(CodeData, "code"))

    class Meta:
        model = User
        fields = ("uid", "name_link", "code_link")
        import_id_fields = ["uid"]
