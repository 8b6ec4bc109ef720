from django.db import migrations, models
from django.db.models.functions import Lower

CONSTRAINT = models.UniqueConstraint(Lower("name"), name="form_user_data_one_name")


def add(apps, schema_editor):
    """Adds it, unless a run that was killed before Django's record has added it."""
    with schema_editor.connection.cursor() as cursor:
        existing = schema_editor.connection.introspection.get_constraints(cursor, "form_user_data")
    if CONSTRAINT.name not in existing:
        schema_editor.add_constraint(apps.get_model("form", "UserData"), CONSTRAINT)


def remove(apps, schema_editor):
    """The same backwards."""
    schema_editor.remove_constraint(apps.get_model("form", "UserData"), CONSTRAINT)


class Migration(migrations.Migration):
    """As before, the case of letters does not make another name."""

    dependencies = [("form", "0006_names_apart")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[migrations.AddConstraint(model_name="userdata", constraint=CONSTRAINT)],
        )
    ]
