import django.core.validators
from django.core.management import CommandError
from django.db import migrations, models

COLLATION = "utf8mb4_0900_as_cs"


def check(apps, schema_editor):
    """
    Changes nothing. So far, the column's own collation kept such names apart from each other at most as much as the new one
    does, but someone may have changed it, and then two employees would have one name.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT CONCAT('“', GROUP_CONCAT(name ORDER BY id SEPARATOR '” and “'), '”') FROM form_user_data "
            f"GROUP BY LOWER(name COLLATE {COLLATION}) HAVING COUNT(*) > 1 LIMIT 20"
        )
        groups = [names for (names,) in cursor.fetchall()]
    if groups:
        raise CommandError(
            "Nothing was changed: these employees count as one name from this version on: "
            + "; ".join(groups)
            + ". Rename or delete all but one of each, then deploy again."
        )


NAME = models.CharField(
    db_collation=COLLATION,
    max_length=30,
    unique=True,
    validators=[
        django.core.validators.RegexValidator(
            r"^(?![=+\-@\s])[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z",
            "It may not begin with =, +, -, @ or a space, nor contain line breaks.",
        )
    ],
    verbose_name="name",
)
ALTER = migrations.AlterField(model_name="userdata", name="name", field=NAME)


class Migration(migrations.Migration):
    """So far, accents did not tell names apart. No two rows that exist become one, see `check`, which changes nothing."""

    dependencies = [("form", "0005_order_by_salary")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(check, migrations.RunPython.noop), ALTER],
            state_operations=[ALTER],
        )
    ]
