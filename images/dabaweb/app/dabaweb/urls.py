"""URLs: those of the source, case-sensitive and without a trailing slash, plus a home page at /."""

from django.contrib import admin
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

from form import views
from form.models import CodeData, UserData

urlpatterns = [
    path("", views.home, name="home"),
    path("home", views.home),
    path("User_data", views.table, {"model": UserData, "name": "user_data"}, name="user_data"),
    path("Code_data", views.table, {"model": CodeData, "name": "code_data"}, name="code_data"),
    # A page that needs no token needs no cookie either, and a forged request that switches the language does little harm.
    path("language", csrf_exempt(set_language), name="set_language"),
    path("admin/", admin.site.urls),
    path("signed-in", views.signed_in),
]

handler500 = "form.middleware.server_error"
