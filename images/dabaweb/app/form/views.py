"""The public pages. They need neither session nor sign-in."""

import logging

from django.db import Error
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from form import pages
from form.models import MAX_ROWS, CodeData, UserData

log = logging.getLogger(__name__)


@require_safe
@cache_control(no_cache=True)
def home(request):
    """Says what there is; reads nothing."""
    return render(request, "form/home.html")


@require_safe
@cache_control(no_cache=True)
def user_data(request):
    """Employees, their salaries and codes."""
    return _table(request, "user_data", UserData.page_rows)


@require_safe
@cache_control(no_cache=True)
def code_data(request):
    """Codes and groups."""
    return _table(request, "code_data", CodeData.page_rows)


def _table(request, name, load):
    try:
        rows, origin = pages.read(name, load)
    except Error as error:
        log.error("neither readers nor writer can be read: %s", error)
        response = render(request, "503.html", status=503)
        response["Retry-After"] = "5"
        return response
    response = render(request, f"form/{name}.html", {"rows": rows, "capped": len(rows) == MAX_ROWS, "max": MAX_ROWS})
    # For operators and tests: cache, replica or default (the writer).
    response["X-Page-From"] = origin
    return response
