"""The dump of the original site."""

import gzip
import io
import random
import re
from unittest import mock

from django.core.management import CommandError, call_command

from form import dumps
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
        stdin = io.TextIOWrapper(io.BytesIO(dump if isinstance(dump, bytes) else dump.encode()))
        with mock.patch("sys.stdin", stdin):
            call_command("import_form_sql", stdout=output)
        return output.getvalue()

    def assertRefused(self, dump, *sentences):
        """Checks for one sentence that names the reason, and that nothing was taken."""
        before = self.everything()
        with self.assertRaises(CommandError) as refused:
            self.take(dump)
        text = str(refused.exception)
        for sentence in sentences:
            self.assertIn(sentence, text)
        self.assertRegex(text, r"\A[^\n]{10,400}\. Nothing was imported\.\Z")
        self.assertEqual(self.everything(), before)

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


# A dump without comments, in the words of each program.
PLAIN = """CREATE TABLE `form_code_data` (`code` int(11) NOT NULL, `group` varchar(100) NOT NULL, PRIMARY KEY (`code`));
INSERT INTO `form_code_data` VALUES (1,'manage'),(9,'销售; it''s \\\\ 100%');
CREATE TABLE `form_user_data` (`name` varchar(30) NOT NULL, `money` int(11) NOT NULL, PRIMARY KEY (`name`));
INSERT INTO `form_user_data` VALUES ('sam',11000),('王小明',7);
CREATE TABLE `form_user` (`uid` int(11) NOT NULL, `code_link_id` int(11) NOT NULL, `name_link_id` varchar(30) NOT NULL);
INSERT INTO `form_user` VALUES (0,1,'sam'),(9,9,'王小明');
"""
PHPMYADMIN = """-- phpMyAdmin SQL Dump
-- version 5.2.1

SET SQL_MODE = "NO_AUTO_VALUE_ON_ZERO";
START TRANSACTION;
SET time_zone = "+00:00";

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;

--
-- Table structure for table `form_code_data`; it's not a string
--

CREATE TABLE IF NOT EXISTS `form_code_data` (
  `code` int(11) NOT NULL COMMENT 'a (number), or so',
  `group` varchar(100) COLLATE utf8_unicode_ci NOT NULL
) ENGINE=MyISAM DEFAULT CHARSET=utf8 COLLATE=utf8_unicode_ci;

INSERT INTO `form_code_data` (`group`, `code`) VALUES
('manage', 1),
('销售; it\\'s \\\\ 100%', 9);

CREATE TABLE IF NOT EXISTS `form_user_data` (`name` varchar(30) NOT NULL, `money` decimal(10,0) NOT NULL) ENGINE=MyISAM;
INSERT INTO `form_user_data` (`name`, `money`) VALUES
('sam', 11000),
('王小明', 7);
CREATE TABLE IF NOT EXISTS `form_user` (`uid` int(11) NOT NULL, `code_link_id` int NOT NULL, `name_link_id` varchar(30));
INSERT INTO `form_user` (`uid`, `code_link_id`, `name_link_id`) VALUES
(0, 1, 'sam'),
(9, 9, '王小明');

ALTER TABLE `form_code_data`
  ADD PRIMARY KEY (`code`);
ALTER TABLE `form_user`
  MODIFY `uid` int(11) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=10;
COMMIT;
"""
MARIADB = DUMP.replace("-- MySQL dump 10.13  Distrib 5.7.20", "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19")
PG = """--
-- PostgreSQL database dump
--

\\restrict aB3

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
COPY public.auth_group (id, name) FROM stdin;
1	it's; (`"
\\.

CREATE TABLE public.form_code_data (
    code integer NOT NULL,
    "group" character varying(100) NOT NULL
);
ALTER TABLE public.form_code_data OWNER TO form;
INSERT INTO public.form_code_data VALUES (1, 'manage');
INSERT INTO public.form_code_data VALUES (9, '销售; it''s \\ 100%');
CREATE TABLE public.form_user_data (name character varying(30) NOT NULL, money integer NOT NULL);
INSERT INTO public.form_user_data (name, money) VALUES ('sam', 11000), ('王小明', 7);
CREATE TABLE public.form_user (uid integer NOT NULL, code_link_id integer, name_link_id character varying(30));
INSERT INTO public.form_user VALUES (0, 1, 'sam'), (9, 9, '王小明');
ALTER TABLE ONLY public.form_code_data
    ADD CONSTRAINT form_code_data_pkey PRIMARY KEY (code);
--
-- PostgreSQL database dump complete
--
"""
SQLITE = (
    "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
    + PLAIN.replace("`", '"').replace("\\\\", "\\").replace("INSERT INTO \"form_user\"", "INSERT INTO form_user")
    + "COMMIT;\n"
)


class Programs(Dumps):
    """Who wrote the dump does not matter."""

    def assertTaken(self, dump, many=2):
        """Checks that the rows are all there."""
        self.assertEqual(self.take(dump), f"Imported: {many} codes, {many} employees, {many} memberships.\n")
        codes, employees, memberships = self.everything()
        self.assertEqual({codes[1], codes.get(9, codes.get(3))}, {"manage", "销售; it's \\ 100%"})
        self.assertEqual((employees["sam"], employees["王小明"]), (11000, 7))
        self.assertIn((0, "sam", 1), memberships)

    def test_each_program_is_understood(self):
        inserts = lambda words: re.sub("^INSERT INTO", words, PLAIN, flags=re.MULTILINE)
        for program, dump in {
            "plain": PLAIN,
            "a collation behind the character set": PLAIN.replace("));", ")) ENGINE=MyISAM CHARSET=utf8 COLLATE=utf8_bin;"),
            "a collation of MariaDB 11": PLAIN.replace("));", ")) CHARSET=utf8mb4 COLLATE=utf8mb4_uca1400_ai_ci;"),
            "INSERT IGNORE": inserts("INSERT IGNORE INTO"),
            "INSERT DELAYED": inserts("INSERT  DELAYED\tINTO"),
            "REPLACE": inserts("REPLACE INTO"),
            "lower case": inserts("insert into").replace("VALUES", "values").replace("CREATE TABLE", "create table"),
            "IF NOT EXISTS": PLAIN.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"),
            "OR REPLACE": PLAIN.replace("CREATE TABLE", "CREATE OR REPLACE TABLE"),
            "with the database": PLAIN.replace("`form_", "`form`.`form_"),
            "names without quotes": PLAIN.replace("`", "").replace("group varchar", "`group` varchar"),
            "names in double quotes": PLAIN.replace("`", '"'),
            "names in capitals, as on Windows": PLAIN.replace("`form_user`", "`FORM_USER`"),
            "strings in double quotes, as mydumper": PLAIN.replace("'sam'", '"sam"').replace("'王小明'", '"王小明"'),
            "numbers in quotes, as Navicat": PLAIN.replace("(1,'manage')", "('1','manage')").replace(",11000)", ",'11000')"),
            "introducers": PLAIN.replace("'王小明'", "_utf8mb4'王小明'").replace("('sam'", "(N'sam'"),
            "strings as bytes": PLAIN.replace("'王小明'", "0x" + "王小明".encode().hex()).replace("'sam'", "X'73616D'"),
            "a row in each statement": PLAIN.replace("),(", ");\nINSERT INTO `form_user_data` VALUES (", 2).replace(
                "INSERT INTO `form_user_data` VALUES (9,", "INSERT INTO `form_code_data` VALUES (9,"
            ),
            "columns in each INSERT": PLAIN.replace("`form_user` VALUES", "`form_user` (`uid`,`code_link_id`,`name_link_id`) VALUES"),
            "emptied before it is filled, as HeidiSQL": PLAIN.replace("INSERT INTO `form_user`", "DELETE FROM `form_user`;\n/*!40000 ALTER TABLE `form_user` DISABLE KEYS */;\nINSERT INTO `form_user`"),
            "triggers": PLAIN + "DELIMITER ;;\n/*!50003 CREATE*/ TRIGGER t BEFORE INSERT ON form_user FOR EACH ROW BEGIN SET @a='it'; END ;;\nDELIMITER ;\n",
            "the warning of mysqldump in the file": "mysqldump: [Warning] Using a password can be insecure.\n" + "SET NAMES utf8;\n" + PLAIN,
            "phpMyAdmin": PHPMYADMIN,
            "PostgreSQL": PG,
            "SQLite": SQLITE,
        }.items():
            with self.subTest(program):
                self.assertTaken(dump)
        self.assertTaken(DUMP, 3)
        self.assertTaken(MARIADB, 3)

    def test_line_ends_and_encodings(self):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gbk", "big5", "gb18030", "cp932"):
            for end in ("\n", "\r\n", "\r"):
                with self.subTest(encoding=encoding, end=end):
                    dump = DUMP
                    if not encoding.startswith("utf"):
                        dump = DUMP.replace("NAMES utf8", f"NAMES {encoding}").replace("销售", "王")
                    self.take(dump.replace("\n", end).encode(encoding))
                    self.assertEqual(self.everything()[1]["王小明"], 7)
        self.take(DUMP.replace("王小明", "Müller").replace("销售", "é").replace("NAMES utf8", "NAMES latin1").encode("cp1252"))
        self.assertEqual(self.everything()[1]["Müller"], 7)

    def test_what_cannot_be_read_is_refused_with_the_reason(self):
        garbled = DUMP.encode().decode("cp437").encode("utf-16")
        for dump, *sentences in (
            (PLAIN.encode("gbk"), "The dump is not in UTF-8 (byte 0xcf in line 2)", "iconv"),
            (DUMP.encode("gbk"), "The dump is not in UTF-8"),
            (DUMP.replace("NAMES utf8", "NAMES latin1"), "says that it is in latin1, but it is in UTF-8"),
            (DUMP.replace("NAMES utf8", "NAMES swe7"), "says that it is in swe7, which is not known here"),
            (garbled, "garbled when it was redirected", "--result-file"),
            (DUMP.encode("ascii", "replace").decode().replace("?", "\ufffd"), "were lost (U+FFFD in line 32)"),
            (gzip.compress(DUMP.encode()), "compressed (gzip)"),
            (b"PK\x03\x04\0\0", "compressed (zip)"),
            (b"\x89PNG\r\n\x1a\n\0\0\0", "not in UTF-8"),
            (PLAIN + "\0", "contains NUL characters"),
            (PLAIN + " " * dumps.MAX_BYTES, "more than 8 MB"),
            (b"", "is not a dump of form.sql"),
            ("hello", "ends in the middle of a statement: hello"),
            ("name,money\nsam,1\n", "ends in the middle of a statement"),
            ('<?xml version="1.0"?><mysqldump/>', "ends in the middle of a statement"),
        ):
            with self.subTest(sentences):
                self.assertRefused(dump, *sentences)

    def test_a_dump_is_taken_whole_wherever_it_was_cut_off(self):
        for dump, end in (DUMP, b"-- Dump completed"), (PHPMYADMIN, b"COMMIT;"), (PG, b"complete\n"), (SQLITE, b"COMMIT;"):
            data = dump.encode()
            for at in random.Random(1).sample(range(data.rindex(end) + len(end) - 1), 60):
                with self.subTest(at=at, end=data[at - 20 : at]):
                    self.assertRefused(data[:at])

    def test_rows_that_are_not_understood_are_not_passed_over(self):
        for old, new, sentence in (
            ("(1,'manage')", "(1,UPPER('manage'))", "A value of form_code_data is not understood: UPPER ("),
            ("(1,'manage')", "(1,'manage','x')", "A row of form_code_data has 3 values instead of 2"),
            ("(1,'manage')", "(1,DEFAULT)", "A value of form_code_data is not understood: DEFAULT"),
            ("(1,'manage')", "(1,0xff)", "A value of form_code_data is not text: 0xff"),
            ("(1,'manage'),(9,", "(1,'manage'),(1,", "form_code_data has the row 1 twice"),
            ("(1,'manage'),(9,", "(1,'manage'),('01',", "“1” and “1”, which count as one"),
            ("('sam',11000)", "('sam',11000),(' sam',1)", "“sam” and “ sam”, which count as one"),
            ("VALUES (0,1,'sam'),(9,9,'王小明')", "SET uid=0", "not understood: INSERT INTO form_user SET uid ="),
            ("VALUES (0,1,'sam'),(9,9,'王小明')", "SELECT 1,2,3", "not understood: INSERT INTO form_user SELECT"),
            ("(9,9,'王小明');", "(9,9,'王小明') ON DUPLICATE KEY UPDATE uid=1;", "not understood"),
            ("(9,9,'王小明');", "(9,9,'王小明'); UPDATE form_user SET uid=1;", "not understood: UPDATE form_user SET uid"),
            ("(9,9,'王小明');", "(9,9,'王小明'); DELETE FROM form_user WHERE uid=9;", "not understood: DELETE FROM form_user"),
            ("(9,9,'王小明');", "(9,9,'王小明'); LOAD DATA INFILE 'x' INTO TABLE form_user;", "not understood: LOAD DATA"),
            ("(9,9,'王小明');", "(9,9,'王小明'); ALTER TABLE form_user RENAME TO f;", "not understood: ALTER TABLE"),
            ("INSERT INTO `form_user` ", "COPY form_user FROM stdin;\n1\t2\t3\n\\.\nINSERT INTO `form_user` ", "COPY form_user"),
            ("`group` varchar", "`team` varchar", "has the columns code, team instead of code, group"),
            ("`form_user` (`uid`", "`form_user` (`id` bigint, `uid`", "this is a dump of this site"),
            ("CREATE TABLE `form_user` ", "CREATE TABLE `form_user` LIKE x; -- ", "without columns"),
            ("CREATE TABLE `form_user` ", "USE other; CREATE TABLE `form_user` (a int); USE b; -- ", "has the columns a"),
            ("INSERT INTO `form_user` ", "INSERT INTO `b`.`form_user` ", "form_user is in the dump for two databases,  and b"),
        ):
            with self.subTest(sentence):
                self.assertIn(old, PLAIN)
                self.assertRefused(PLAIN.replace(old, new), sentence)
        empty = re.sub("^INSERT.*$", "", PLAIN, flags=re.MULTILINE)
        self.assertRefused(empty, "creates the tables and has no rows")
        self.assertRefused(DUMP.replace("-- Dump completed", "-- "), "is incomplete")
        self.assertRefused(PLAIN + "mysqldump: Error 2013: Lost connection;\n", "is incomplete: it says")

    def test_a_string_is_what_the_program_meant(self):
        for written, meant in (
            (r"it\'s", "it's"), (r"a\\b", "a\\b"), ("it''s", "it's"), (r"50\%", r"50\%"), (r"\q", "q"), (r"a\"b", 'a"b'),
            ("-- x", "-- x"), ("/* x */", "/* x */"), ("a;b", "a;b"), ("a),(b", "a),(b"), ("#`", "#`"), ("a' 'b", "ab"),
        ):
            if written.startswith(("-", "/")):
                written, meant = f"x{written}", f"x{meant}"
            self.take(PLAIN.replace("'manage'", f"'{written}'"))
            self.assertEqual(CodeData.objects.get(code=1).group, meant)
        for control in (r"a\nb", "a\nb", r"a\0b", r"a\Z"):
            self.assertRefused(PLAIN.replace("'manage'", f"'{control}'"), "nor contain line breaks")
