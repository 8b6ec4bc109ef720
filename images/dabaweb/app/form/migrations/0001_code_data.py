import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """One operation per migration: MySQL cannot roll back half a migration."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="CodeData",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "code",
                    models.IntegerField(
                        unique=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name="code"
                    ),
                ),
                (
                    "group",
                    models.CharField(
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                r"^(?![=+\-@\s])[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z",
                                "It may not begin with =, +, -, @ or a space, nor contain line breaks.",
                            )
                        ],
                        verbose_name="group",
                    ),
                ),
            ],
            options={
                "verbose_name": "group",
                "verbose_name_plural": "groups",
                "db_table": "form_code_data",
                "ordering": ["code"],
            },
        )
    ]
