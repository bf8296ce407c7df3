"""Check digits, and what is personal data by them."""

from collections import Counter

import pytest
from privatecorpus import personal as corpus
from privatecorpus import wrong_digits

from understudy.routing import personal
from understudy.routing.scan import Scanner

SCANNER = Scanner(b"key")


def found(text):
    return [spot.rule for spot in SCANNER.spots(text)]


@pytest.mark.parametrize("rule", [row.name for row in personal.PATTERNS])
def test_a_rule_finds_its_data(rule):
    texts = [text for name, text in corpus() if name == rule]
    assert texts
    assert [text for text in texts if rule not in found(text)] == []


def test_what_is_not_right_is_not_found():
    assert Counter(rule for text in wrong_digits() for rule in found(text)) == {}


HOLDS = [
    (personal.is_card, "4539 1488 0343 6467", True),
    (personal.is_card, "4539 1488 0343 6468", False),
    (personal.is_card, "4111 1111 1111 1111", False),
    (personal.is_card, "4444444444444448", False),
    (personal.is_card, "371449635398431", True),
    (personal.is_card, "9111111111111111", False),
    (personal.is_resident, "11010519491231002X", True),
    (personal.is_resident, "11010519491231002x", True),
    (personal.is_resident, "110105194912310021", False),
    (personal.is_resident, "99010519491231002X", False),
    (personal.is_iban, "GB82 WEST 1234 5698 7654 32", True),
    (personal.is_iban, "GB82 WEST 1234 5698 7654 33", False),
    (personal.is_iban, "GB82 WEST 1234 5698 7654", False),
    (personal.is_iban, "ZZ82 WEST 1234 5698 7654 32", False),
    (personal.is_mail, "li.wei@corp.cn", True),
    (personal.is_mail, "li@sub.example.com", False),
    (personal.is_mail, "li@notexample.com", True),
    (personal.is_mail, "icon@2x.png", False),
    (personal.is_mail, "git@github.com", False),
    (personal.is_mobile, "138 1234 5678", True),
    (personal.is_mobile, "13800000000", False),
    (personal.is_phone, "+49 30 1234567", True),
    (personal.is_phone, "+49 30 12", False),
]


@pytest.mark.parametrize(("holds", "text", "expected"), HOLDS)
def test_holds(holds, text, expected):
    assert holds(text) is expected
