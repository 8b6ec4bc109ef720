"""gunicorn's settings, read from the working directory."""

from environs import env, validate

from dabaweb import addresses, probes
from dabaweb.settings import LOGGING, SERVERS, WEB_THREADS

wsgi_app = "django.core.wsgi:get_wsgi_application()"
bind = "0.0.0.0:8000"
worker_class = "gthread"
workers = env.int("WEB_WORKERS", 2, validate=validate.Range(1, 64))
threads = WEB_THREADS
# Workers share the memory loaded before the fork.
preload_app = True
# Heartbeat files are in memory: on a slow disk, a worker would look dead.
worker_tmp_dir = "/dev/shm"
timeout = 30
# As long as nginx waits for a response; the pod's grace period in components/dabaweb.ts is longer.
graceful_timeout = 125
# Longer than nginx keeps an idle connection, so that nginx never uses a closed one.
keepalive = 75
# nginx writes the access log. The control socket would need a home directory.
accesslog = None
control_socket_disable = True
logconfig_dict = LOGGING

_probes = None
_threads = probes.Threads(threads)


def on_starting(server):
    """Before the first worker."""
    global _probes
    _probes = probes.listen()


def post_worker_init(worker):
    """In each worker, which can serve from now on."""
    probes.serve(_probes, _threads)
    addresses.learn(SERVERS)


def pre_request(worker, request):
    """In one of the worker's threads."""
    _threads.begin()


def post_request(worker, request, environ, response):
    """In the same thread."""
    _threads.end()
