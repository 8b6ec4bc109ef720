"""The site with a real database (the test runner's own) and Redis in memory."""

from html.parser import HTMLParser

from django.contrib.auth.models import Group
from django.contrib.auth.models import User as Account
from django.core.management import call_command
from django.test import TestCase

from form.tests.fakes import FakeRedis


class _Form(HTMLParser):
    """Collects what a browser would submit from a page's inputs and selects."""

    def __init__(self):
        super().__init__()
        self.values, self.select = {}, None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        name = attrs.get("name") or ""
        if tag == "select":
            self.select = name
        elif tag == "option" and "selected" in attrs:
            self.values[self.select] = attrs.get("value") or ""
        elif tag == "input" and name and attrs.get("type") not in ("submit", "checkbox", "file"):
            self.values[name] = attrs.get("value") or ""


def fields(response):
    """What a browser would submit from a page's form that no one filled in."""
    form = _Form()
    form.feed(response.text)
    return {name: value for name, value in form.values.items() if "__prefix__" not in name}


class Site(TestCase):
    """Every test starts with the first rows."""

    databases = {"default", "replica"}

    def setUp(self):
        self.redis = FakeRedis().use(self)

    def get(self, path, **headers):
        """The response to a browser's GET request."""
        return self.client.get(path, headers={"Host": "localhost"} | headers)

    def post(self, path, data, **headers):
        """The response to a form that a browser submits."""
        return self.client.post(path, data, headers={"Host": "localhost"} | headers)


class SignedIn(Site):
    """The site with its roles, and a way to sign in as each of them."""

    @classmethod
    def setUpTestData(cls):
        call_command("loaddata", "roles", verbosity=0)
        for role in ("viewer", "editor", "admin"):
            account = Account.objects.create_user(role, is_staff=True)
            account.groups.add(Group.objects.get(name=role))

    def be(self, role):
        """Signs in as this role."""
        self.client.force_login(Account.objects.get(username=role))
