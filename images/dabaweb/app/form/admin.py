"""The sign-in area: Django's admin and django-import-export, configured."""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.shortcuts import redirect
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from form.models import CodeData, User, UserData
from form.spreadsheets import MAX_ROWS, EmployeeNames, Employees, Groups, Memberships, SpreadsheetAdmin

admin.site.site_header = admin.site.site_title = "dabaweb"


def sees_salaries(request):
    """Whether the user may see salaries."""
    return request.user.has_perm("form.view_salary")


class UnchangedForm(forms.ModelForm):
    """Remembers the row as it was when the form was shown, and refuses to overwrite later changes by others."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.current = salted_hmac("form.seen", repr(forms.model_to_dict(self.instance))).hexdigest()
        self.initial["seen"] = self.current

    def clean(self):
        """Compares while the row is locked (see TableAdmin.get_object)."""
        if self.instance.pk and self.cleaned_data.get("seen") != self.current:
            raise ValidationError(
                _("Someone else has changed this since you opened it. Nothing was saved. Open it again to see the change.")
            )
        return super().clean()


class TableAdmin(SpreadsheetAdmin):
    """Shared by the three tables."""

    form = UnchangedForm
    list_per_page = 50
    # One COUNT query per page is enough.
    show_full_result_count = False
    actions = ["delete_selected"]

    @admin.action(permissions=["delete"], description=delete_selected.short_description)
    def delete_selected(self, request, queryset):
        """The confirmation page names every row: for a long list, it would exceed the pod's memory."""
        if queryset.count() <= MAX_ROWS:
            return delete_selected(self, request, queryset)
        messages.error(request, _("You selected more than %d rows. Nothing was deleted. Search or filter first.") % MAX_ROWS)

    def get_object(self, request, object_id, from_field=None):
        """Locks the row that is about to be written: simultaneous saves run one after the other."""
        found = super().get_object(request, object_id, from_field)
        if found and request.method == "POST":
            return self.model.objects.select_for_update().filter(pk=found.pk).first()
        return found

    def get_fields(self, request, obj=None):
        """A user who cannot save needs no field that remembers what the form showed."""
        fields = super().get_fields(request, obj)
        return fields if self.has_change_permission(request, obj) else [name for name in fields if name != "seen"]

    def changeform_view(self, request, *args, **kwargs):
        """The second of two identical forms that arrive at the same time also gets a clear message."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except IntegrityError:
            messages.error(request, _("Someone else saved the same entry at the same time. Nothing was saved twice."))
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


class MembershipInline(admin.StackedInline):
    """The groups of an employee. Stacked: in a table, the fields would have no labels."""

    model = User
    form = UnchangedForm
    extra = 0
    autocomplete_fields = ("code_link",)


@admin.register(CodeData)
class CodeDataAdmin(TableAdmin):
    """Codes and their groups."""

    list_display = ("code", "group")
    search_fields = ("code", "group")
    resource_classes = [Groups]


@admin.register(UserData)
class UserDataAdmin(TableAdmin):
    """Employees; no view, filter or export shows salaries to a user who may not see them."""

    inlines = [MembershipInline]
    search_fields = ("name__resembles",)

    def get_list_display(self, request):
        return ("name", "money") if sees_salaries(request) else ("name",)

    def get_exclude(self, request, obj=None):
        return () if sees_salaries(request) else ("money",)

    def lookup_allowed(self, lookup, value, request):
        """Filtering a list by salary would reveal salaries."""
        return super().lookup_allowed(lookup, value, request) and (
            sees_salaries(request) or not lookup.startswith("money")
        )

    def get_resource_classes(self, request):
        return [Employees] if sees_salaries(request) else [EmployeeNames]


@admin.register(User)
class MembershipAdmin(TableAdmin):
    """Who is in which group."""

    list_display = ("uid", "name_link", "code_link")
    list_filter = ("code_link",)
    autocomplete_fields = ("name_link", "code_link")
    search_fields = ("uid", "name_link__name__resembles", "code_link__group")
    resource_classes = [Memberships]


admin.site.unregister(Account)
# roles.json defines the roles; a group created by hand would be missing from the next installation.
admin.site.unregister(Group)


@admin.register(Account)
class AccountAdmin(UserAdmin):
    """Who may sign in. Permissions come from roles only."""

    list_display = ("username", "first_name", "last_name", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    fieldsets = (
        (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
        (_("Roles"), {"fields": ("is_active", "groups")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and not self._is_above(request, obj)

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and not self._is_above(request, obj)

    @staticmethod
    def _is_above(request, obj):
        """Whoever may set a superuser's password can become that superuser."""
        return obj is not None and obj.is_superuser and not request.user.is_superuser

    def save_model(self, request, obj, form, change):
        """An account that cannot sign in would be useless here."""
        obj.is_staff = True
        super().save_model(request, obj, form, change)
