"""Addresses: those of the source, case-sensitive and without a slash behind, and a home page under / as well."""

from django.contrib import admin
from django.urls import path

from form import views

urlpatterns = [
    path("", views.home, name="home"),
    path("home", views.home),
    path("User_data", views.user_data, name="user_data"),
    path("Code_data", views.code_data, name="code_data"),
    path("admin/", admin.site.urls),
]
