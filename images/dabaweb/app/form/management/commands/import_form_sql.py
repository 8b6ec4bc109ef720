"""Imports the rows of form.sql, the dump of the original site: MySQL 5.7, MyISAM, utf8, tables of Django 1.11."""

import re
import sys

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from form.models import CodeData, User, UserData

# mysqldump writes a line break inside a value as \n, so a statement ends at the end of a line.
STATEMENT = re.compile(r"^(CREATE TABLE|INSERT INTO) `form_(code_data|user_data|user)`(.*?);$", re.DOTALL | re.MULTILINE)


class Command(BaseCommand):
    """MySQL runs the dump's statements on temporary tables; from there, the rows go through the current models."""

    help = "Imports codes, employees and memberships from a dump on standard input. Updates existing rows. All or nothing."

    def handle(self, *args, **options):
        """Refuses a dump that lacks a table, and rows that are invalid or refer to missing rows."""
        statements = STATEMENT.findall(sys.stdin.read())
        if {table for what, table, _ in statements if what == "CREATE TABLE"} != {"code_data", "user_data", "user"}:
            raise CommandError(
                "Standard input is not a dump of form.sql: it must create form_code_data, form_user_data and form_user."
            )
        with transaction.atomic(), connection.cursor() as cursor:
            for what, table, rest in statements:
                if what == "CREATE TABLE":
                    what = "CREATE TEMPORARY TABLE"
                    rest = re.sub(r"ENGINE=\w+(.*)CHARSET=\w+", r"ENGINE=InnoDB\1COLLATE=utf8mb4_0900_bin", rest)
                    cursor.execute(f"DROP TEMPORARY TABLE IF EXISTS old_{table}")
                cursor.execute(f"{what} old_{table} {rest}")
            cursor.execute("SELECT code, `group` FROM old_code_data")
            codes = {code: _saved(CodeData, {"code": code}, group=group) for code, group in cursor.fetchall()}
            cursor.execute("SELECT name, money FROM old_user_data")
            names = {name: _saved(UserData, {"name": name}, money=money) for name, money in cursor.fetchall()}
            cursor.execute("SELECT uid, name_link_id, code_link_id FROM old_user")
            links = cursor.fetchall()
            for uid, name, code in links:
                if name not in names or code not in codes:
                    raise CommandError(
                        f"form_user {uid} refers to {name} and {code}, which do not both exist. Nothing was imported."
                    )
                _saved(User, {"uid": uid}, name_link=names[name], code_link=codes[code])
        self.stdout.write(f"Imported: {len(codes)} codes, {len(names)} employees, {len(links)} memberships.")


def _saved(model, key, **values):
    row = model.objects.filter(**key).first() or model(**key)
    for name, value in values.items():
        setattr(row, name, value)
    try:
        row.full_clean()
    except ValidationError as error:
        raise CommandError(f"{model._meta.db_table} {key}: {' '.join(error.messages)} Nothing was imported.") from error
    row.save()
    return row
