"""Every rule finds what it is for, and not what only looks like it."""

from collections import Counter

import pytest
from privatecorpus import NEAR_MISSES, SECRETS, near_misses, secrets

from understudy.routing import secretrules
from understudy.routing.scan import Scanner

SCANNER = Scanner(b"key")
RECALL = 0.98


def found(text):
    return [(spot.rule, text[spot.start : spot.start + spot.length]) for spot in SCANNER.spots(text)]


def test_the_corpus_has_every_rule_and_no_other():
    assert set(SECRETS) == {rule.name for rule in secretrules.RULES}


@pytest.mark.parametrize("rule", SECRETS)
def test_a_rule_finds_its_secrets(rule):
    texts = [text for name, text in secrets() if name == rule]
    missed = [text for text in texts if rule not in [name for name, _ in found(text)]]
    assert len(missed) <= len(texts) * 0.1, missed[:3]


def test_recall():
    hits = Counter(bool(found(text)) for _, text in secrets(seed=11))
    assert hits[True] / hits.total() >= RECALL


def test_nothing_else_is_found():
    assert {text: found(text) for text in near_misses() if found(text)} == {}


def test_near_misses_are_drawn():
    assert len(list(near_misses(each=1))) == len(NEAR_MISSES)


VALUES = [
    ("postgres://admin:Xk29vPq81zLm@db/app", "Xk29vPq81zLm"),
    ('password = "Xk29vPq81zLm"', "Xk29vPq81zLm"),
    ("Authorization: Bearer Xk29vPq81zLmAb37Qw6Er5Ty", "Xk29vPq81zLmAb37Qw6Er5Ty"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_the_value_alone_is_the_finding(text, value):
    assert [value for _, value in found(text)] == [value]
