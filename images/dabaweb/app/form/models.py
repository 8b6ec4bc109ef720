"""The three tables of the source, with surrogate ids and real foreign keys."""

from django.core.validators import MinValueValidator
from django.db import models

# A page shows no more rows than that; the admin pages through all of them.
MAX_ROWS = 1000


class CodeData(models.Model):
    """A number that employees have, and the group it stands for."""

    code = models.IntegerField(unique=True)
    group = models.CharField(max_length=100)

    class Meta:
        db_table = "form_code_data"
        ordering = ["code"]
        verbose_name = verbose_name_plural = "codes"

    def __str__(self):
        return f"{self.code} {self.group}"

    @classmethod
    def page_rows(cls):
        """What /Code_data shows: (code, group)."""
        return list(cls.objects.values_list("code", "group")[:MAX_ROWS])


class UserData(models.Model):
    """A name and a salary."""

    name = models.CharField(max_length=30, unique=True)
    money = models.IntegerField(validators=[MinValueValidator(0)])

    class Meta:
        db_table = "form_user_data"
        ordering = ["name"]
        verbose_name = verbose_name_plural = "employees"

    def __str__(self):
        return self.name

    @classmethod
    def page_rows(cls):
        """What /User_data shows: (name, salary, code, group); who has no code yet is there all the same."""
        columns = ("name", "money", "user__code_link__code", "user__code_link__group")
        return list(cls.objects.order_by("name", "user__uid").values_list(*columns)[:MAX_ROWS])


class User(models.Model):
    """Which employee has which code."""

    uid = models.IntegerField(unique=True)
    name_link = models.ForeignKey(UserData, on_delete=models.CASCADE)
    code_link = models.ForeignKey(CodeData, on_delete=models.PROTECT)

    class Meta:
        db_table = "form_user"
        ordering = ["uid"]
        verbose_name = verbose_name_plural = "employee codes"

    def __str__(self):
        return f"{self.uid}"
