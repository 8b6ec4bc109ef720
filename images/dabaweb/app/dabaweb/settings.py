"""Django's settings. What differs between installations comes from the environment, nothing else does."""

from pathlib import Path

from redis.backoff import NoBackoff
from redis.retry import Retry

from dabaweb import env, logs

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = env.secret("SECRET_KEY_FILE")
DEBUG = False

# One address yields hosts, CSRF origins and cookie flags. EXTRA_HOSTS (for example node addresses) only ever adds
# hosts: a site that is also reached by another name is a decision of whoever runs it. Health paths answer to any
# host, see dabaweb.health.
PUBLIC_URL, _host, _https = env.public_url("PUBLIC_URL")
_local = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = [
    *(_local if _host in _local else [_host]),
    *filter(None, (host.strip() for host in env.text("EXTRA_HOSTS", "").split(","))),
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# nginx in the same pod always sets this header itself.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "form",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "dabaweb.logs.RequestId",
    "dabaweb.health.Health",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "dabaweb.urls"
WSGI_APPLICATION = "dabaweb.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT", "/opt/dabaweb/static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

# A Service balances per connection, so connections to readers have an age after which they are made again and reach
# whatever pods are ready by then.
CONNECTION_MAX_AGE = 30
_password = env.secret("MYSQL_PASSWORD_FILE")


def _mysql(host, port):
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": host,
        "PORT": port,
        "NAME": env.text("MYSQL_DATABASE"),
        "USER": env.text("MYSQL_USER"),
        "PASSWORD": _password,
        "CONN_MAX_AGE": CONNECTION_MAX_AGE,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "charset": "utf8mb4",
            # The server's certificate is self-made: encrypted, not verified.
            "ssl_mode": "REQUIRED",
            "connect_timeout": 2,
            "read_timeout": 10,
            "write_timeout": 10,
        },
    }


# "default" is the writer, so that whatever nobody thought of is right; the router sends only public reads elsewhere.
# One Service stands for all readers, hence one address.
DATABASES = {"default": _mysql(*env.addresses("MYSQL_WRITER", 1, 1)[0])}
for _address in env.addresses("MYSQL_READERS", at_most=1):
    DATABASES["replica"] = _mysql(*_address) | {"TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = ["form.database.Router"]

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        # The first address takes the writes, the others the reads.
        "LOCATION": [
            f"redis://{host}:{port}/0"
            for host, port in env.addresses("REDIS_WRITER", 1, 1) + env.addresses("REDIS_READERS")
        ],
        "KEY_PREFIX": "dabaweb",
        # Every key ends by itself: one hour, as the source meant it.
        "TIMEOUT": 3600,
        "OPTIONS": {
            "USERNAME": env.text("REDIS_USER"),
            "PASSWORD": env.secret("REDIS_PASSWORD_FILE"),
            # JSON, not pickle: who can write to Redis must not be able to run code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            "CONNECTION_POOL_CLASS": "form.cache.AgeingPool",
            # One retry at once replaces a connection that a restarted Redis left behind; more would only slow the
            # pages down while Redis is away.
            "CONNECTION_POOL_KWARGS": {"protocol": 2, "retry": Retry(NoBackoff(), 1), "max_age": CONNECTION_MAX_AGE},
        },
    }
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LOGGING = logs.CONFIG
