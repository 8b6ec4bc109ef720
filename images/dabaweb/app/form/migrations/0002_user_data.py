import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("form", "0001_code_data")]
    operations = [
        migrations.CreateModel(
            name="UserData",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(
                        max_length=30,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                r"^(?![=+\-@\s])[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z",
                                "It may not begin with =, +, -, @ or a space, nor contain line breaks.",
                            )
                        ],
                        verbose_name="name",
                    ),
                ),
                (
                    "money",
                    models.IntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(999999999),
                        ],
                        verbose_name="salary",
                    ),
                ),
            ],
            options={
                "verbose_name": "employee",
                "verbose_name_plural": "employees",
                "db_table": "form_user_data",
                "ordering": ["name"],
                "permissions": [("view_salary", "Can view salaries")],
            },
        )
    ]
