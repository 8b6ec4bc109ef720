"""The three tables of the source, with surrogate ids and real foreign keys."""

import json
import re
import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import connections, models
from django.db.models.functions import Lower
from django.db.models.lookups import IContains
from django.utils.translation import gettext_lazy as _

# Rows per page outside the sign-in area.
PAGE_ROWS = 100
# In an exported file, spreadsheet programs would run a value with such a beginning as a formula.
plain = RegexValidator(
    r"^(?![=+\-@\s])[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z", _("It may not begin with =, +, -, @ or a space, nor contain line breaks.")
)

# Accents, kana and widths tell names apart. What nobody can see (characters without a width, another composition of the same
# letter) does not, and neither does the case of letters, because of the constraint.
NAMES = "utf8mb4_0900_as_cs"
# People who search need not know how a name is written.
SEARCH = "utf8mb4_0900_ai_ci"
# Of a list of names: the number of each, the number of the first that counts as the same name, and the employee who has it.
SPELLINGS = f"""
SELECT listed.n, MIN(listed.n) OVER (PARTITION BY LOWER(listed.name)), employee.name
FROM JSON_TABLE(%s, '$[*]' COLUMNS (
    n FOR ORDINALITY, name VARCHAR(30) CHARACTER SET utf8mb4 COLLATE {NAMES} PATH '$')) listed
LEFT JOIN form_user_data employee ON LOWER(employee.name) = LOWER(listed.name)
"""
# Invisible although their categories have visible characters, too: variation selectors, joiners, fillers.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")

models.CharField.register_lookup(Lower)


@models.CharField.register_lookup
class Resembles(IContains):
    """`icontains` that ignores accents and the like, as the collation of the column does not."""

    lookup_name = "resembles"

    def process_lhs(self, compiler, connection, lhs=None):
        sql, params = super().process_lhs(compiler, connection, lhs)
        return f"{sql} COLLATE {SEARCH}", params

    def get_rhs_op(self, connection, rhs):
        return connection.operators["icontains"] % rhs


def tidy(text):
    """Text as it is stored: without spaces around it, and each letter with its accents as one character if there is one."""
    return unicodedata.normalize("NFC", text).strip()


def shown(text):
    """A spelling for a message: what cannot be seen is shown by its number."""
    hidden = lambda letter: unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") or UNSEEN.match(letter)
    return "".join(f"[U+{ord(letter):04X}]" if hidden(letter) else letter for letter in text)


def one_name(new, old):
    """The error about a spelling that would be a second one of the same name."""
    text = _("“%(new)s” and “%(old)s” count as one name. Write “%(old)s”, or choose another name.")
    return ValidationError(text, "one_name", {"new": shown(new), "old": shown(old)})


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

    def clean_fields(self, exclude=None):
        """Stores tidy text, wherever it comes from."""
        self.group = tidy(self.group or "")
        super().clean_fields(exclude)

    @classmethod
    def page_rows(cls, start, database):
        """The rows of a page of /Code_data from that row on, plus one: (code, group)."""
        return list(cls.objects.using(database).values_list("code", "group")[start : start + PAGE_ROWS + 1])


class UserData(models.Model):
    """A name and a salary."""

    name = models.CharField(_("name"), max_length=30, unique=True, validators=[plain], db_collation=NAMES)
    money = models.IntegerField(_("salary"), validators=[MinValueValidator(0), MaxValueValidator(999_999_999)])

    class Meta:
        db_table = "form_user_data"
        ordering = ["name"]
        verbose_name = _("employee")
        verbose_name_plural = _("employees")
        permissions = [("view_salary", "Can view salaries")]
        indexes = [models.Index(fields=["money"], name="form_user_data_money")]
        constraints = [models.UniqueConstraint(Lower("name"), name="form_user_data_one_name")]

    def __str__(self):
        return self.name

    def clean_fields(self, exclude=None):
        """Stores tidy text, wherever it comes from."""
        self.name = tidy(self.name or "")
        super().clean_fields(exclude)

    def clean(self):
        """Refuses a second spelling of a name; that the same spelling exists is told by Django."""
        old = UserData.objects.filter(name__lower=Lower(models.Value(self.name))).exclude(pk=self.pk).first()
        if old and tidy(old.name) != self.name:
            raise ValidationError({"name": one_name(self.name, old.name)})

    @classmethod
    def spellings(cls, names):
        """For each name: the first of these names that counts as the same one, and the same for the employees, or None."""
        longest = cls._meta.get_field("name").max_length
        # A longer one is refused anyway, and MySQL would cut it off.
        short = [name if len(name) <= longest else None for name in names]
        with connections["default"].cursor() as cursor:
            cursor.execute(SPELLINGS, [json.dumps(short)])
            found = {n: (names[first - 1], employee) for n, first, employee in cursor.fetchall() if short[n - 1] is not None}
        return {name: found.get(n, (name, None)) for n, name in enumerate(names, 1)}

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
