"""What every request of the site is wrapped in, besides Django's own."""

import logging

from django.conf import settings
from django.core import signing
from django.db import InterfaceError, OperationalError
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from form import pages

COOKIE, HEADER, SALT = "read_after", "X-Read-After", "form.read_after"
# As long as a page from before the write may be kept anywhere.
SECONDS = settings.CACHES["default"]["TIMEOUT"]

log = logging.getLogger(__name__)


class ReadYourWrites:
    """
    The answer to whoever wrote carries what MySQL's master had executed by then, signed: as a cookie for browsers, and
    as a header that another client sends back. With it a page comes from a slave that has executed as much, or from
    the master, and never from the cache.
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
    """A sentence instead of a broken page, and a hint when to ask again."""

    def process_exception(self, request, exception):
        """Lost connections, time limits and locks that others hold; anything else is an error of ours."""
        if not isinstance(exception, (OperationalError, InterfaceError)):
            return None
        log.error("%s %s: the database does not answer: %s", request.method, request.path, exception)
        response = render(request, "503.html", status=503)
        response["Retry-After"] = "5"
        return response
