import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("form", "0001_code_data")]
    operations = [
        migrations.CreateModel(
            name="UserData",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=30, unique=True)),
                ("money", models.IntegerField(validators=[django.core.validators.MinValueValidator(0)])),
            ],
            options={
                "verbose_name": "employees",
                "verbose_name_plural": "employees",
                "db_table": "form_user_data",
                "ordering": ["name"],
            },
        )
    ]
