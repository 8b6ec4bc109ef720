"""The environment: what is taken, and the sentence about what is not."""

import os
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from dabaweb import env


class Environment(SimpleTestCase):
    """One variable, X, read in every way."""

    def read(self, function, value, *args):
        """What the function makes of X."""
        with mock.patch.dict(os.environ, {"X": value}):
            return function("X", *args)

    def refused(self, function, value, *args):
        """The sentence that refuses X."""
        with self.assertRaises(ImproperlyConfigured) as caught:
            self.read(function, value, *args)
        return str(caught.exception)

    def test_public_url(self):
        for value, expected in {
            "http://localhost:32000": ("http://localhost:32000", "localhost", False),
            "http://example.org:80/": ("http://example.org", "example.org", False),
            "https://example.org:443": ("https://example.org", "example.org", True),
            "https://example.org:8443": ("https://example.org:8443", "example.org", True),
            "http://[fd00::1]:32000": ("http://[fd00::1]:32000", "[fd00::1]", False),
        }.items():
            self.assertEqual(self.read(env.public_url, value), expected)
        for value in ("localhost:32000", "ftp://a", "http://", "http://a/b", "http://a:x", "http://u@a", "http://a?b"):
            self.assertIn(f'X is "{value}"', self.refused(env.public_url, value))

    def test_addresses(self):
        self.assertEqual(self.read(env.addresses, " a:1, b:65535 "), [("a", 1), ("b", 65535)])
        self.assertEqual(self.read(env.addresses, ""), [])
        self.assertIn("X is not set", self.refused(env.addresses, "", 1))
        self.assertIn("at most 1", self.refused(env.addresses, "a:1,b:2", 1, 1))
        for value in ("a", "a:", ":1", "a:0", "a:65536", "a:b"):
            self.assertIn(f'X contains "{value}"', self.refused(env.addresses, value))

    def test_number(self):
        self.assertEqual(self.read(env.number, "", 2, 1, 64), 2)
        self.assertEqual(self.read(env.number, "64", 2, 1, 64), 64)
        for value in ("0", "65", "-1", "two", "1.5"):
            self.assertIn(f'X is "{value}"', self.refused(env.number, value, 2, 1, 64))

    def test_secret(self):
        self.assertIn("cannot be read", self.refused(env.secret, "/nonexistent/file"))
        self.assertIn("empty", self.refused(env.secret, "/dev/null"))
