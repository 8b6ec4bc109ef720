from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    """As before, the case of letters does not make another name."""

    dependencies = [("form", "0006_names_apart")]
    operations = [
        migrations.AddConstraint(
            model_name="userdata",
            constraint=models.UniqueConstraint(Lower("name"), name="form_user_data_one_name"),
        )
    ]
