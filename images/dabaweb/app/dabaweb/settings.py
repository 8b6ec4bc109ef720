"""Django's settings. Only what differs between installations comes from the environment."""

import hashlib
from urllib.parse import urlsplit

from environs import FileAwareEnv, validate
from redis.backoff import NoBackoff
from redis.retry import Retry

# X_FILE names a file that contains X: secrets are never in the environment itself.
env = FileAwareEnv(strip_whitespace=True)
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = [key] if (key := env.str("FORMER_SECRET_KEY", "")) else []

# The allowed hosts, CSRF origins and cookie flags derive from one address. EXTRA_HOSTS (for example node addresses)
# only adds hosts: whether the site may also be reached by another name is the operator's decision. Health paths answer
# to any host, see dabaweb.health.
_public_url = validate.Regexp(
    r"^https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?/?$",
    error="{input}: http(s)://host[:port] without a path is required, for example http://localhost:32000",
)
_url = urlsplit(env.str("PUBLIC_URL", validate=_public_url))
_https = _url.scheme == "https"
_host = f"[{_url.hostname}]" if ":" in _url.hostname else _url.hostname
_port = "" if _url.port in (None, 443 if _https else 80) else f":{_url.port}"
_local = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = [*(_local if _host in _local else [_host]), *map(str.strip, env.list("EXTRA_HOSTS", []))]
CSRF_TRUSTED_ORIGINS = [f"{_url.scheme}://{_host}{_port}"]
# Browsers send a cookie to every port of its host, and two stacks may share one: the names are a stack's own, and do not
# change with its secrets. With https, no other host or address may set them (`__Host-`).
_stack = hashlib.sha256(f"{_url.scheme}://{_host}{_port} {env.str('MYSQL_WRITER')}".encode()).hexdigest()[:8]
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME, LANGUAGE_COOKIE_NAME, READ_AFTER_COOKIE_NAME = (
    f"{'__Host-' if _https else ''}{name}_{_stack}" for name in ("sessionid", "csrftoken", "language", "read_after")
)
# Otherwise they would be in a cookie, whose name is fixed.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
# nginx in the same pod always sets this header: to what a proxy that ends TLS sent, and a stranger sends it, too. If the
# address has no https, there is no such proxy.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
# After the first response, a browser uses only https, but not for long, because a name may have other services.
SECURE_HSTS_SECONDS = 7 * 24 * 3600 if _https else 0
# The confirmation form returns the previewed file as a field. nginx limits all other bodies.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 << 20
# Each row of a bulk deletion is one field: as many as one import can add (form/spreadsheets.py).
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5100
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "form",
    *(f"django.contrib.{app}" for app in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")),
    "django_guid",
    "import_export",
]
MIDDLEWARE = [
    "django_guid.middleware.guid_middleware",
    "dabaweb.health.Health",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "form.middleware.ReadYourWrites",
    "form.middleware.DatabaseAway",
]
ROOT_URLCONF = "dabaweb.urls"
_processors = ("template.context_processors.request", "contrib.auth.context_processors.auth")
_processors += ("contrib.messages.context_processors.messages",)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": [f"django.{name}" for name in _processors]},
    }
]

LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_CODE = "en"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", "/opt/dabaweb/static")
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}

# A Service balances per connection, so connections to readers are replaced at a maximum age and then reach the pods
# that are ready at that time.
CONNECTION_MAX_AGE = 30
_address = validate.Regexp(r"^([^:,]+:\d{1,5})?$", error="{input}: host:port is required, for example db.example:3306")


# gunicorn's threads in each worker, for gunicorn.conf.py and dabaweb.writes.
WEB_THREADS = env.int("WEB_THREADS", 4, validate=validate.Range(1, 32))


def _mysql(address):
    host, _, port = address.rpartition(":")
    return {
        "ENGINE": "dabaweb.mysql",
        "HOST": host,
        "PORT": int(port),
        "NAME": env.str("MYSQL_DATABASE"),
        "USER": env.str("MYSQL_USER"),
        "PASSWORD": env.str("MYSQL_PASSWORD"),
        "CONN_MAX_AGE": CONNECTION_MAX_AGE,
        "CONN_HEALTH_CHECKS": True,
        # The server's certificate is self-signed: the connection is encrypted but not verified.
        "OPTIONS": {"charset": "utf8mb4", "ssl_mode": "REQUIRED"}
        | {"connect_timeout": 2, "read_timeout": 10, "write_timeout": 10}
        # In milliseconds and in seconds: no one waits longer for the result.
        | {"init_command": "SET max_execution_time = 9000, innodb_lock_wait_timeout = 5"},
    }


def _redis(*addresses, **options):
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        # The first address receives the writes, the other the reads.
        "LOCATION": [f"redis://{address}/0" for address in addresses if address],
        "KEY_PREFIX": "dabaweb",
        # Every key expires: after one hour, as the source intended.
        "TIMEOUT": 3600,
        "OPTIONS": {
            "USERNAME": env.str("REDIS_USER"),
            "PASSWORD": env.str("REDIS_PASSWORD"),
            # JSON, not pickle: write access to Redis must not allow code execution here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            "CONNECTION_POOL_CLASS": "form.cache.AgeingPool",
            # One immediate retry replaces a connection that a Redis restart broke; more retries would only slow down the
            # pages while Redis is away.
            "CONNECTION_POOL_KWARGS": {"protocol": 2, "retry": Retry(NoBackoff(), 1)},
            **options,
        },
    }


# One Service represents all readers, hence one address.
DATABASES = {"default": _mysql(env.str("MYSQL_WRITER", validate=_address))}
if _readers := env.str("MYSQL_READERS", "", validate=_address):
    DATABASES["replica"] = _mysql(_readers) | {"TEST": {"MIRROR": "default"}}
_redis_writer = env.str("REDIS_WRITER", validate=_address)
_redis_readers = env.str("REDIS_READERS", "", validate=_address)
CACHES = {
    "default": _redis(_redis_writer, _redis_readers),
    # Read from the server that they are written to. Without Redis, they come from MySQL's master, which stores them too.
    "sessions": _redis(_redis_writer, IGNORE_EXCEPTIONS=True),
}
# The servers' names, whose addresses dabaweb.addresses keeps.
SERVERS = {database["HOST"] for database in DATABASES.values()}
SERVERS |= {address.rpartition(":")[0] for address in (_redis_writer, _redis_readers) if address}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_CACHE_ALIAS = "sessions"
# One working day.
SESSION_COOKIE_AGE = 12 * 3600

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]
LOGIN_URL = "admin:login"
# Whether /User_data and /Code_data, including salaries, are public as in the source, or require signing in.
PUBLIC_PAGES = env.bool("PUBLIC_PAGES", False)
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "add"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "view"

# One request id, from the nginx log line to the last log line here.
DJANGO_GUID = {"GUID_HEADER_NAME": "X-Request-ID", "EXPOSE_HEADER": False}
_json = {
    "()": "pythonjsonlogger.json.JsonFormatter",
    "fmt": "{levelname}{name}{message}{request_id}",
    "style": "{",
    "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "exception"},
    "timestamp": "time",
    "json_ensure_ascii": False,
}
_handler = {"handlers": ["stderr"], "level": "INFO", "propagate": False}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"id": {"()": "django_guid.log_filters.CorrelationId", "correlation_id_field": "request_id"}},
    "formatters": {"json": _json},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["id"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # At a lower level, django_guid logs for every request that it has an id.
    "loggers": {"django": _handler, "gunicorn.error": _handler, "django_guid": _handler | {"level": "ERROR"}},
}
