"""Log lines as JSON on standard error, each with the id of the request that nginx logs too."""

import json
import logging
import re
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime

request_id = ContextVar("request_id", default="")
_ACCEPTED = re.compile(r"[A-Za-z0-9-]{8,64}")


class RequestId:
    """Middleware: takes nginx's X-Request-ID, makes one where there is none, and answers with it."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        given = request.headers.get("X-Request-ID", "")
        value = given if _ACCEPTED.fullmatch(given) else uuid.uuid4().hex
        token = request_id.set(value)
        # For the lines that Django writes after the last middleware.
        request.request_id = value
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = value
            return response
        finally:
            request_id.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record):
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if value := request_id.get() or getattr(getattr(record, "request", None), "request_id", ""):
            line["request_id"] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


_HANDLER = {"handlers": ["stderr"], "level": "INFO", "propagate": False}
CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {name: dict(_HANDLER) for name in ("django", "gunicorn.error")},
}
