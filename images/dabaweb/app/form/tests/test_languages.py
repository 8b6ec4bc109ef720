"""Chinese and English, and accessible pages."""

import re
from pathlib import Path

from django.template.loader import render_to_string
from django.test import Client, override_settings
from django.utils import translation
from django.utils.translation import gettext, ngettext

import form
from form.models import UserData
from form.tests.site import SignedIn, Site

SOURCES = Path(form.__file__).parent


@override_settings(PUBLIC_PAGES=True)
class Languages(Site):
    """The language comes from the browser, or from the switch."""

    def test_the_browser_decides(self):
        for wanted, heading in {
            "zh-CN,zh;q=0.9": "员工名录",
            "zh-TW": "员工名录",
            "en-GB": "Employee directory",
            "fr": "Employee directory",
            "": "Employee directory",
        }.items():
            self.assertContains(self.get("/", **{"Accept-Language": wanted}), f"<h1>{heading}</h1>", msg_prefix=wanted)
        self.assertContains(self.get("/admin/login/", **{"Accept-Language": "zh-CN"}), "用户名")

    def test_the_switch_decides_over_it_and_leads_back(self):
        self.client = Client(enforce_csrf_checks=True)
        answer = self.post("/language", {"language": "zh-hans", "next": "/User_data?page=1"})
        self.assertRedirects(answer, "/User_data?page=1", fetch_redirect_response=False)
        self.assertContains(self.get("/User_data", **{"Accept-Language": "en"}), '<html lang="zh-hans">')
        self.post("/language", {"language": "en", "next": "/"})
        self.assertContains(self.get("/User_data", **{"Accept-Language": "zh-CN"}), '<html lang="en">')

    def test_the_switch_leads_nowhere_else(self):
        for target in ("https://evil.example/", "//evil.example"):
            answer = self.post("/language", {"language": "en", "next": target})
            self.assertNotIn("evil.example", answer["Location"])

    def test_the_switch_is_on_every_page(self):
        for path in ("/", "/User_data", "/Code_data", "/no-such-page", "/admin/login/"):
            self.assertIn('name="language" value="zh-hans"', self.get(path).text, path)

    def test_a_broken_page_needs_no_context(self):
        with translation.override("zh-hans"):
            self.assertIn("出错了", render_to_string("500.html"))

    def test_every_text_of_ours_is_translated(self):
        texts = set()
        for path in [*SOURCES.glob("*.py"), *SOURCES.glob("templates/**/*.html")]:
            source = path.read_text()
            texts.update(re.findall(r'\b_\(\s*"((?:[^"\\]|\\.)*)"', source))
            texts.update(re.findall(r'{% translate "([^"]*)"', source))
            for text in re.findall(r"{% blocktranslate[^%]*%}(.*?){% (?:plural|endblocktranslate)", source):
                texts.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", text))
        self.assertGreater(len(texts), 50)
        with translation.override("zh-hans"):
            missing = [text for text in texts if gettext(text) == text and ngettext(text, text + "s", 2) == text + "s"]
        self.assertEqual(missing, [])


class Pages(SignedIn):
    """What browsers and screen readers need from the pages."""

    def every(self):
        """One page of each kind, as (path, HTML)."""
        employee = UserData.objects.get(name="sam").pk
        paths = ["/", "/User_data", "/Code_data", "/no-such-page", "/admin/login/"]
        yield from ((path, self.get(path).text) for path in paths)
        self.be("admin")
        table, account = "/admin/form/userdata/", "/admin/auth/user/"
        for path in (
            "/admin/",
            "/admin/password_change/",
            *(table + rest for rest in ("", "?q=none", "add/", "import/", "export/", f"{employee}/change/")),
            *(table + rest for rest in (f"{employee}/delete/", f"{employee}/history/")),
            "/admin/form/user/",
            "/admin/form/user/add/",
            account,
            f"{account}add/",
            f"{account}{self.client.session['_auth_user_id']}/change/",
        ):
            yield path, self.get(path).text

    def test_nothing_in_them_breaks_the_content_policy(self):
        for path, html in self.every():
            with self.subTest(path):
                self.assertNotRegex(html, r"<[^>]+\son\w+=")
                self.assertNotRegex(html, r"<[^>]+\sstyle=")
                self.assertNotRegex(html, "<style")
                for script in re.findall(r"<script[^>]*>", html):
                    self.assertRegex(script, r'src="/|type="application/json"')
                for address in re.findall(r'(?:src|action|href)="([a-z]+:[^"]*)"', html):
                    self.assertEqual(address, "data:,")

    def test_each_says_its_language_title_and_main_part(self):
        for path, html in self.every():
            with self.subTest(path):
                self.assertRegex(html, '<html lang="en"')
                self.assertRegex(html, r"<title>\s*\S")
                self.assertEqual(html.count("<main"), 1)
                self.assertIn('name="viewport"', html)
                self.assertRegex(html, r'href="#content(-start)?"')
