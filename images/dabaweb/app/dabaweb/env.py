"""Reads the environment of the container. Every mistake is one sentence that names the variable and its value."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name, default=None):
    """The variable, or the default where one is given; an empty variable counts as absent."""
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise ImproperlyConfigured(f"{name} is not set: set it in the container's environment.")
    return value


def number(name, default, low, high):
    """A whole number within a range."""
    value = os.environ.get(name, "").strip() or str(default)
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise ImproperlyConfigured(f'{name} is "{value}": a whole number from {low} to {high} is needed.')
    return int(value)


def secret(name):
    """The content of the file that the variable names: secrets never lie in the environment itself."""
    path = Path(text(name))
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is {path}, which cannot be read ({error.strerror}).") from error
    if not value:
        raise ImproperlyConfigured(f"{name} is {path}, which is empty: a secret is needed there.")
    return value


def addresses(name, at_least=0, at_most=None):
    """A comma-separated list of host:port, as pairs."""
    pairs = []
    for item in filter(None, (part.strip() for part in os.environ.get(name, "").split(","))):
        host, _, port = item.rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise ImproperlyConfigured(f'{name} contains "{item}": host:port is needed, as in db.example:3306.')
        pairs.append((host, int(port)))
    if len(pairs) < at_least:
        raise ImproperlyConfigured(f"{name} is not set: give it as host:port.")
    if at_most is not None and len(pairs) > at_most:
        raise ImproperlyConfigured(f"{name} names {len(pairs)} addresses: at most {at_most} may be given.")
    return pairs


def public_url(name):
    """The address under which browsers reach the site, as (origin, host, is https)."""
    value = text(name)
    problem = f'{name} is "{value}": http(s)://host[:port] without a path is needed, as in http://localhost:32000.'
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError as error:
        raise ImproperlyConfigured(problem) from error
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query or url.username:
        raise ImproperlyConfigured(problem)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    default_port = {"http": 80, "https": 443}[url.scheme]
    suffix = "" if port in (None, default_port) else f":{port}"
    return f"{url.scheme}://{host}{suffix}", host, url.scheme == "https"
