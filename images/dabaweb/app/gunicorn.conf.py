"""gunicorn's settings, read from the working directory."""

from environs import env, validate

from dabaweb.settings import LOGGING

wsgi_app = "django.core.wsgi:get_wsgi_application()"
bind = "0.0.0.0:8000"
worker_class = "gthread"
workers = env.int("WEB_WORKERS", 2, validate=validate.Range(1, 64))
threads = 4
# Workers share what was loaded before the fork.
preload_app = True
# Heartbeat files lie in memory: on a slow disk a worker would look dead.
worker_tmp_dir = "/dev/shm"
timeout = 30
# As long as nginx waits for an answer; components/dabaweb.ts has the pod's grace period above it.
graceful_timeout = 125
# Longer than nginx keeps an idle connection, so that it is never nginx that meets a closed one.
keepalive = 75
# nginx has the access log. The control socket would want a home directory.
accesslog = None
control_socket_disable = True
logconfig_dict = LOGGING
