"""How the settings use the environment, and their messages about invalid values."""

import os
import runpy
from unittest import mock

from django.test import SimpleTestCase
from environs import EnvError

from dabaweb import settings


class Environment(SimpleTestCase):
    """The container's environment with one variable changed."""

    def settings(self, **changed):
        """The names defined in dabaweb.settings."""
        with mock.patch.dict(os.environ, changed):
            return runpy.run_path(settings.__file__)

    def refused(self, **changed):
        """The error message."""
        with self.assertRaises((EnvError, ValueError)) as caught:
            self.settings(**changed)
        return str(caught.exception)

    def test_public_url(self):
        for value, origin, host, https in (
            ("http://example.org:80/", "http://example.org", "example.org", False),
            ("https://example.org:443", "https://example.org", "example.org", True),
            ("https://example.org:8443", "https://example.org:8443", "example.org", True),
            ("http://[fd00::1]:32000", "http://[fd00::1]:32000", "[fd00::1]", False),
        ):
            settings = self.settings(PUBLIC_URL=value)
            self.assertEqual(settings["CSRF_TRUSTED_ORIGINS"], [origin])
            self.assertEqual(settings["ALLOWED_HOSTS"], [host])
            self.assertEqual(settings["SESSION_COOKIE_SECURE"], https)
            self.assertEqual(settings["CSRF_COOKIE_SECURE"], https)
        local = self.settings(PUBLIC_URL="http://localhost:32000", EXTRA_HOSTS="10.0.0.1, .example.net")
        self.assertEqual(local["ALLOWED_HOSTS"], ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", ".example.net"])
        for value in ("localhost:32000", "ftp://a", "http://", "http://a/b", "http://a:x", "http://u@a", "http://a?b"):
            self.assertIn(f"{value}: http(s)://host[:port] without a path is required", self.refused(PUBLIC_URL=value))

    def test_cookies_are_the_stack_s_own(self):
        cookies = lambda **changed: [value for name, value in self.settings(**changed).items() if name.endswith("COOKIE_NAME")]
        one = cookies(PUBLIC_URL="http://localhost:32000")
        self.assertEqual(len(one), 4)
        for changed in (
            {"PUBLIC_URL": "http://localhost:32002"},
            {"PUBLIC_URL": "http://localhost"},
            {"PUBLIC_URL": "http://localhost:32000", "MYSQL_WRITER": "mysql-master.another.svc:3306"},
        ):
            self.assertEqual(set(one) & set(cookies(**changed)), set(), changed)
        # A pod that has other secrets for a while, or the address written otherwise, is the same stack.
        self.assertEqual(one, cookies(PUBLIC_URL="http://localhost:32000/", SECRET_KEY="another", REDIS_PASSWORD="another"))
        for name in cookies(PUBLIC_URL="https://example.org"):
            self.assertRegex(name, r"^__Host-\w+_[0-9a-f]{8}$")

    def test_addresses(self):
        settings = self.settings(MYSQL_READERS="r:1", REDIS_WRITER="w:65535", REDIS_READERS="r:2")
        self.assertEqual(settings["DATABASES"]["replica"]["PORT"], 1)
        self.assertEqual(settings["CACHES"]["default"]["LOCATION"], ["redis://w:65535/0", "redis://r:2/0"])
        alone = self.settings(MYSQL_READERS="", REDIS_WRITER="w:1", REDIS_READERS="")
        self.assertEqual(list(alone["DATABASES"]), ["default"])
        self.assertEqual(alone["CACHES"]["default"]["LOCATION"], ["redis://w:1/0"])
        for value in ("a", "a:", ":1", "a:b", "a:1,b:1"):
            for name in ("MYSQL_WRITER", "MYSQL_READERS", "REDIS_WRITER", "REDIS_READERS"):
                self.assertIn(f"{value}: host:port is required", self.refused(**{name: value}))

    def test_secrets_are_files(self):
        self.assertIn("MYSQL_PASSWORD_FILE", self.refused(MYSQL_PASSWORD_FILE="/nonexistent/file"))
        self.assertEqual(self.settings(REDIS_PASSWORD_FILE="/dev/null")["CACHES"]["default"]["OPTIONS"]["PASSWORD"], "")
