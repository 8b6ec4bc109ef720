import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("form", "0002_user_data")]
    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "uid",
                    models.IntegerField(
                        unique=True, validators=[django.core.validators.MinValueValidator(0)], verbose_name="number"
                    ),
                ),
                (
                    "code_link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="form.codedata", verbose_name="group"
                    ),
                ),
                (
                    "name_link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="form.userdata", verbose_name="employee"
                    ),
                ),
            ],
            options={
                "verbose_name": "membership",
                "verbose_name_plural": "memberships",
                "db_table": "form_user",
                "ordering": ["uid"],
            },
        )
    ]
