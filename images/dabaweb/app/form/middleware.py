"""The site's own middleware, in addition to Django's."""

import logging
import sys

from django.conf import settings
from django.core import signing
from django.db import InterfaceError, OperationalError
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults

from form import pages

COOKIE, HEADER, SALT = settings.READ_AFTER_COOKIE_NAME, "X-Read-After", "form.read_after"
# As long as a page from before the write may be cached anywhere.
SECONDS = settings.CACHES["default"]["TIMEOUT"]

log = logging.getLogger(__name__)


class ReadYourWrites:
    """
    The response to a write carries the signed GTID position that MySQL's master had executed by then: as a cookie for
    browsers, and as a header that other clients send back. With it, a page comes from a slave that has executed at
    least that much, or from the master, and never from the cache.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        token = request.headers.get(HEADER) or request.COOKIES.get(COOKIE, "")
        try:
            request.read_after = signing.loads(token, salt=SALT, max_age=SECONDS)
        except signing.BadSignature:
            request.read_after = None
        pages.written.set(None)
        response = self.get_response(request)
        if (position := pages.written.get()) is not None:
            response[HEADER] = token = signing.dumps(position, salt=SALT, compress=True)
            secure = settings.SESSION_COOKIE_SECURE
            response.set_cookie(COOKIE, token, SECONDS, secure=secure, httponly=True, samesite="Lax")
        return response


class DatabaseAway(MiddlewareMixin):
    """A clear message instead of a broken page, and a hint when to retry."""

    def process_exception(self, request, exception):
        """Handles what a view raises."""
        return _away(request, exception)


def server_error(request):
    """The handler of every other error: sessions and sign-in are read and written outside of views."""
    return _away(request, sys.exception()) or defaults.server_error(request)


def _away(request, exception):
    """
    Answers lost and refused connections, timeouts and locks that others hold; None for an error in this application.
    No one may keep the answer: the next one may be a page.
    """
    if not isinstance(exception, (OperationalError, InterfaceError)):
        return None
    log.error("%s %s: the database does not answer: %s", request.method, request.path, exception)
    response = render(request, "503.html", status=503)
    response["Retry-After"] = "5"
    response["Cache-Control"] = "no-store"
    return response
