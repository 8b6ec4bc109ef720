from django.db import migrations

CODES = {1: "manage", 2: "tech"}
EMPLOYEES = {"sam": 10000, "james": 20000}
# uid: (code, name)
USERS = {0: (1, "sam"), 1: (2, "james")}


def load(apps, schema_editor):
    """
    Loads the rows of the source. Django records that this ran, so rows that are changed or deleted later stay that way.
    If it runs again because it was killed before that record, it adds missing rows and changes nothing.
    """
    code_data, user_data, user = (apps.get_model("form", name) for name in ("CodeData", "UserData", "User"))
    for code, group in CODES.items():
        code_data.objects.get_or_create(code=code, defaults={"group": group})
    for name, money in EMPLOYEES.items():
        user_data.objects.get_or_create(name=name, defaults={"money": money})
    for uid, (code, name) in USERS.items():
        links = {"code_link": code_data.objects.get(code=code), "name_link": user_data.objects.get(name=name)}
        user.objects.get_or_create(uid=uid, defaults=links)


class Migration(migrations.Migration):
    dependencies = [("form", "0003_user")]
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
