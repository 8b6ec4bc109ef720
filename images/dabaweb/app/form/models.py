"""The three tables of the source, with surrogate ids and real foreign keys."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

# Rows per page outside the sign-in area.
PAGE_ROWS = 100
# In an exported file, spreadsheet programs would run a value with such a beginning as a formula.
plain = RegexValidator(
    r"^(?![=+\-@\s])[^\x00-\x1f\x7f]*$", _("It may not begin with =, +, -, @ or a space, nor contain line breaks.")
)


class CodeData(models.Model):
    """A number that employees have, and the group it stands for."""

    code = models.IntegerField(_("code"), unique=True, validators=[MinValueValidator(0)])
    group = models.CharField(_("group"), max_length=100, validators=[plain])

    class Meta:
        db_table = "form_code_data"
        ordering = ["code"]
        verbose_name = _("group")
        verbose_name_plural = _("groups")

    def __str__(self):
        return f"{self.code} {self.group}"

    @classmethod
    def page_rows(cls, start, database):
        """The rows of a page of /Code_data from that row on, plus one: (code, group)."""
        return list(cls.objects.using(database).values_list("code", "group")[start : start + PAGE_ROWS + 1])


class UserData(models.Model):
    """A name and a salary."""

    name = models.CharField(_("name"), max_length=30, unique=True, validators=[plain])
    money = models.IntegerField(_("salary"), validators=[MinValueValidator(0), MaxValueValidator(999_999_999)])

    class Meta:
        db_table = "form_user_data"
        ordering = ["name"]
        verbose_name = _("employee")
        verbose_name_plural = _("employees")
        permissions = [("view_salary", "Can view salaries")]
        indexes = [models.Index(fields=["money"], name="form_user_data_money")]

    def __str__(self):
        return self.name

    @classmethod
    def page_rows(cls, start, database):
        """The same for /User_data: (name, salary, code, group), including employees without a group."""
        columns = ("name", "money", "user__code_link__code", "user__code_link__group")
        rows = cls.objects.using(database).order_by("name", "user__uid").values_list(*columns)
        return list(rows[start : start + PAGE_ROWS + 1])


class User(models.Model):
    """Which employee is in which group."""

    uid = models.IntegerField(_("number"), unique=True, validators=[MinValueValidator(0)])
    name_link = models.ForeignKey(UserData, models.CASCADE, verbose_name=_("employee"))
    code_link = models.ForeignKey(CodeData, models.PROTECT, verbose_name=_("group"))

    class Meta:
        db_table = "form_user"
        ordering = ["uid"]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")

    def __str__(self):
        return str(self.uid)
