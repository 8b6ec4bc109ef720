"""Imports the rows of form.sql, the dump of the original site: MySQL 5.7, MyISAM, utf8, tables of Django 1.11."""

import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Lower

from form import dumps
from form.models import CodeData, User, UserData, shown


class Command(BaseCommand):
    """The rows that form.dumps finds in a dump, saved as if somebody had typed them."""

    help = "Imports codes, employees and memberships from a dump on standard input. Updates existing rows. All or nothing."

    def handle(self, *args, **options):
        """Refuses a dump that lacks a table, and rows that are invalid or refer to missing rows."""
        try:
            # Bytes: the locale of the container says nothing about the file.
            data = getattr(sys.stdin, "buffer", sys.stdin).read(dumps.MAX_BYTES + 1)
            rows = dumps.read(data if isinstance(data, bytes) else data.encode())
            with transaction.atomic():
                codes = _saved(CodeData, ({"code": dumps.number(code), "group": group} for code, group in rows["form_code_data"]))
                names = _saved(UserData, ({"name": name, "money": money} for name, money in rows["form_user_data"]))
                links = _saved(User, (_linked(*row, codes, names) for row in rows["form_user"]))
        except dumps.Refused as refused:
            raise CommandError(f"{refused} Nothing was imported.") from refused
        self.stdout.write(f"Imported: {len(codes)} codes, {len(names)} employees, {len(links)} memberships.")


def _linked(uid, code, name, codes_of, names_of):
    uid, code = dumps.number(uid), dumps.number(code)
    employee = names_of.get(name)
    if employee is None and isinstance(name, str):
        # The original compared names without their case.
        same = UserData.objects.filter(name__lower=Lower(Value(name))).values_list("pk", flat=True).first()
        employee = same if same in names_of.values() else None
    if employee is None or code not in codes_of:
        raise dumps.Refused(f"form_user {uid} refers to {name} and {code}, which do not both exist.")
    return {"uid": uid, "name_link_id": employee, "code_link_id": codes_of[code]}


def _saved(model, rows):
    """The primary keys of the rows by their keys in the dump, where each must be a row of its own here."""
    saved, written = {}, {}
    for values in rows:
        key, name = next(iter(values.items()))
        row = model(**values)
        try:
            # Tidies the text and compares spellings, so that what is looked up is what would be stored.
            row.full_clean(validate_unique=False, validate_constraints=False)
            row.pk = model.objects.filter(**{key: getattr(row, key)}).values_list("pk", flat=True).first()
            # Otherwise, it is changed.
            row._state.adding = row.pk is None
            row.full_clean()
        except ValidationError as error:
            raise dumps.Refused(f"{model._meta.db_table} {({key: name})}: {' '.join(error.messages)}") from error
        row.save()
        if row.pk in written:
            pair = f"“{shown(str(written[row.pk]))}” and “{shown(str(name))}”"
            raise dumps.Refused(f"{model._meta.db_table} has {pair}, which count as one.")
        saved[name], written[row.pk] = row.pk, name
    return saved
