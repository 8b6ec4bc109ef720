from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("form", "0004_first_rows")]
    operations = [
        migrations.AddIndex(
            model_name="userdata",
            index=models.Index(fields=["money"], name="form_user_data_money"),
        )
    ]
