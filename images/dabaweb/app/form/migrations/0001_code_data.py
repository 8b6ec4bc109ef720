from django.db import migrations, models


class Migration(migrations.Migration):
    """One operation per migration: MySQL cannot undo half of one."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="CodeData",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.IntegerField(unique=True)),
                ("group", models.CharField(max_length=100)),
            ],
            options={
                "verbose_name": "codes",
                "verbose_name_plural": "codes",
                "db_table": "form_code_data",
                "ordering": ["code"],
            },
        )
    ]
