"""What settings call private: where it is found, and what is refused."""

import re
import time

import pytest

from understudy.routing import configured
from understudy.routing.scan import Scanner


def found(text, **settings):
    spots = Scanner(b"key", configured.rules(**settings)).spots(text)
    return [(spot.kind, text[spot.start : spot.start + spot.length]) for spot in spots]


WORDS = [
    ("Nova", "project NOVA starts", ["NOVA"]),
    ("Nova", "supernovae and nova_x", []),
    ("星火计划", "关于星火计划的邮件", ["星火计划"]),
    ("Nova计划", "见nova计划书", ["nova计划"]),
    ("acme.com", "at ACME.com, acmeXcom", ["ACME.com"]),
    ("C++ core", "the c++ core team", ["c++ core"]),
]


@pytest.mark.parametrize(("word", "text", "expected"), WORDS)
def test_words(word, text, expected):
    assert found(text, words=[word]) == [("word", value) for value in expected]


PATHS = [
    (".env", "cat .env", [".env"]),
    (".env", "see app/.env.", ["app/.env"]),
    (".env", "not .env.local nor x.env", []),
    ("*.pem", "open ~/keys/server.pem now", ["~/keys/server.pem"]),
    ("*.pem", '{"file_path": "/srv/a/b.pem"}', ["/srv/a/b.pem"]),
    ("*.pem", "a.pemx b.pem-old", []),
    ("secrets", "in secrets/prod/db.yaml, not secretsX/a", ["secrets/prod/db.yaml"]),
    ("secrets/", "ls secrets", ["secrets"]),
    (
        "secrets/**/*.json",
        "secrets/a/b/c.json secrets/d.json secrets/e.txt",
        ["secrets/a/b/c.json", "secrets/d.json"],
    ),
    ("secrets/*.json", "secrets/a/b.json", []),
    ("/srv/private", "/srv/private/x and /data/srv/private/y", ["/srv/private/x"]),
    ("/srv/private/**", "/srv/private/x/y", ["/srv/private/x/y"]),
    ("C:/keys", r"type C:\keys\a.txt", [r"C:\keys\a.txt"]),
    ("file?.key", "file1.key file12.key", ["file1.key"]),
    ("合同/*.docx", "打开合同/甲方.docx。", ["合同/甲方.docx"]),
]


@pytest.mark.parametrize(("path", "text", "expected"), PATHS)
def test_paths(path, text, expected):
    assert found(text, paths=[path]) == [("path", value) for value in expected]


def test_patterns():
    assert found("ticket HR-2291 and hr-1", patterns=[r"\bHR-\d{4}\b"]) == [("pattern", "HR-2291")]
    assert found("employee: 4711", patterns=[r"employee: (\d+)"]) == [("pattern", "4711")]


def test_nothing_is_configured():
    assert configured.rules() == ()


REFUSED = {
    "a word that is everywhere": ({"words": ["a"]}, "'a' is too short"),
    "an empty word": ({"words": ["  "]}, "is too short"),
    "every file": ({"paths": ["**/*"]}, "would match every file"),
    "an empty path": ({"paths": [""]}, "would match every file"),
    "a look-ahead": ({"patterns": ["(?=x)y"]}, "no look-around"),
    "a back-reference": ({"patterns": [r"(a)\1"]}, "no back-references"),
    "nothing": ({"patterns": ["x*"]}, "matches the empty text"),
}


@pytest.mark.parametrize(("settings", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused(settings, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        configured.rules(**settings)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)x"])
def test_no_pattern_makes_the_scanner_hang(pattern):
    scanner = Scanner(b"key", configured.rules(patterns=[pattern.replace("*", "+")]))
    started = time.process_time()
    scanner.spots("a" * 50_000)
    assert time.process_time() - started < 2
