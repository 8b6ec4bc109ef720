"""The dump of the original site."""

import io
from unittest import mock

from django.core.management import CommandError, call_command

from form.models import CodeData, User, UserData
from form.tests.site import Site

# As mysqldump 5.7 writes it, with one of Django's tables before and one after.
DUMP = """-- MySQL dump 10.13  Distrib 5.7.20, for Linux (x86_64)
--
-- Host: localhost    Database: form
-- ------------------------------------------------------
-- Server version	5.7.20-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8 */;

DROP TABLE IF EXISTS `auth_group`;
/*!40101 SET character_set_client = utf8 */;
CREATE TABLE `auth_group` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(80) NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name` (`name`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `auth_group` WRITE;
INSERT INTO `auth_group` VALUES (1,'strangers');
UNLOCK TABLES;

DROP TABLE IF EXISTS `form_code_data`;
CREATE TABLE `form_code_data` (
  `code` int(11) NOT NULL,
  `group` varchar(100) NOT NULL,
  PRIMARY KEY (`code`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `form_code_data` WRITE;
/*!40000 ALTER TABLE `form_code_data` DISABLE KEYS */;
INSERT INTO `form_code_data` VALUES (1,'manage'),(2,'tech'),(3,'销售; it''s \\\\ 100%');
/*!40000 ALTER TABLE `form_code_data` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `form_user`;
CREATE TABLE `form_user` (
  `uid` int(11) NOT NULL,
  `code_link_id` int(11) NOT NULL,
  `name_link_id` varchar(30) NOT NULL,
  PRIMARY KEY (`uid`),
  KEY `form_user_code_link_id` (`code_link_id`),
  KEY `form_user_name_link_id` (`name_link_id`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `form_user` WRITE;
INSERT INTO `form_user` VALUES (0,1,'sam'),(1,2,'james'),(2,3,'王小明');
UNLOCK TABLES;

DROP TABLE IF EXISTS `form_user_data`;
CREATE TABLE `form_user_data` (
  `name` varchar(30) NOT NULL,
  `money` int(11) NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `form_user_data` WRITE;
INSERT INTO `form_user_data` VALUES ('sam',11000),('james',20000),('王小明',7);
UNLOCK TABLES;

DROP TABLE IF EXISTS `form_zzz`;
-- Dump completed on 2018-01-10  8:00:00
"""


class Dumps(Site):
    """What an operator does with dumps."""

    def take(self, dump):
        """Runs the command and returns its output."""
        output = io.StringIO()
        with mock.patch("sys.stdin", io.StringIO(dump)):
            call_command("import_form_sql", stdout=output)
        return output.getvalue()

    def everything(self):
        """The rows of the three tables."""
        return (
            dict(CodeData.objects.values_list("code", "group")),
            dict(UserData.objects.values_list("name", "money")),
            set(User.objects.values_list("uid", "name_link__name", "code_link__code")),
        )


class FormSql(Dumps):
    """A dump is imported completely or not at all."""

    def test_its_rows_are_taken_and_changed(self):
        UserData.objects.create(name="ann", money=1)
        for _ in range(2):
            self.assertEqual(self.take(DUMP), "Imported: 3 codes, 3 employees, 3 memberships.\n")
            codes, employees, memberships = self.everything()
            self.assertEqual(codes, {1: "manage", 2: "tech", 3: "销售; it's \\ 100%"})
            self.assertEqual(employees, {"sam": 11000, "james": 20000, "王小明": 7, "ann": 1})
            self.assertEqual(memberships, {(0, "sam", 1), (1, "james", 2), (2, "王小明", 3)})

    def test_what_does_not_fit_takes_nothing(self):
        before = self.everything()
        for old, new, sentence in (
            ("(2,3,'王小明')", "(2,9,'王小明')", "form_user 2 refers to 王小明 and 9"),
            ("('王小明',7)", "('王小明',-7)", "form_user_data {'name': '王小明'}: Ensure this value is greater"),
            ("'manage'", "'=manage'", "form_code_data {'code': 1}: It may not begin with"),
            ("CREATE TABLE `form_user`", "CREATE TABLE `form_users`", "is not a dump of form.sql"),
            (DUMP, "", "is not a dump of form.sql"),
        ):
            self.assertIn(old, DUMP)
            with self.assertRaisesMessage(CommandError, sentence):
                self.take(DUMP.replace(old, new))
            self.assertEqual(self.everything(), before, sentence)
