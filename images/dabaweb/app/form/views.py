"""The directory's pages. If they are public, they need neither a session nor signing in."""

import logging
from functools import partial

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from form import pages
from form.models import PAGE_ROWS

log = logging.getLogger(__name__)


@require_safe
@cache_control(no_cache=True, private=True)
def home(request):
    """Lists what the site has; reads no data."""
    return render(request, "form/home.html")


@require_safe
def signed_in(request):
    """What nginx asks before it receives a body (images/nginx): 204, 401, or 403 if that cannot be told now."""
    try:
        return HttpResponse(status=204 if request.user.is_active and request.user.is_staff else 401)
    except (OperationalError, InterfaceError) as error:
        log.error("cannot tell who has signed in: the database does not answer: %s", error)
        return HttpResponse(status=403)


@require_safe
@cache_control(no_cache=True, private=True)
def table(request, model, name):
    """Rows of a model, rendered by the template of that name."""
    user = None if settings.PUBLIC_PAGES else request.user
    if user and not user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if user and not user.has_perm(f"form.view_{model._meta.model_name}"):
        raise PermissionDenied
    page = request.GET.get("page", "1")
    if not page.isascii() or not page.isdecimal() or not 1 <= int(page[:9]) <= 99_999:
        raise Http404
    page = int(page)
    load = partial(model.page_rows, (page - 1) * PAGE_ROWS)
    rows, origin = pages.read(f"{name}:{page}", load, request.read_after)
    context = {"rows": rows[:PAGE_ROWS], "previous": page - 1, "next": page + 1 if len(rows) > PAGE_ROWS else None}
    context["salaries"] = user is None or user.has_perm("form.view_salary")
    response = render(request, f"form/{name}.html", context)
    # For operators and tests: cache, replica or default (the writer).
    response["X-Page-From"] = origin
    return response
