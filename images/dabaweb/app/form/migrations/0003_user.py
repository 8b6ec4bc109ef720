import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("form", "0002_user_data")]
    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.IntegerField(unique=True)),
                (
                    "code_link",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="form.codedata"),
                ),
                (
                    "name_link",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="form.userdata"),
                ),
            ],
            options={
                "verbose_name": "employee codes",
                "verbose_name_plural": "employee codes",
                "db_table": "form_user",
                "ordering": ["uid"],
            },
        )
    ]
