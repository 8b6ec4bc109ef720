"""The tables in Django's admin."""

from django.contrib import admin

from form.models import CodeData, User, UserData

admin.site.site_header = admin.site.site_title = "dabaweb"


@admin.register(CodeData)
class CodeDataAdmin(admin.ModelAdmin):
    """Codes and their groups."""

    list_display = ("code", "group")
    search_fields = ("code", "group")


@admin.register(UserData)
class UserDataAdmin(admin.ModelAdmin):
    """Employees and their salaries."""

    list_display = ("name", "money")
    search_fields = ("name",)


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """Who has which code."""

    list_display = ("uid", "name_link", "code_link")
    list_select_related = ("name_link", "code_link")
    autocomplete_fields = ("name_link", "code_link")
    search_fields = ("uid", "name_link__name")
