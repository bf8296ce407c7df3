"""Keywords: what a glance at a schema tells."""

import pytest

from understudy.request import keywords
from understudy.request.keywords import Loss, fits, kinds, overlap, pointer, resolve, same_value, tell


def test_a_loss_reads_as_a_line():
    assert str(Loss("/properties/a", "pattern", "it is too long")) == "/properties/a: pattern: it is too long"
    assert str(Loss("", "", "it is no JSON")) == "/: the schema: it is no JSON"


TOLD = [
    ({}, "format", "uri", "(format: uri)"),
    ({"description": "A link."}, "minLength", 3, "A link. (minLength: 3)"),
    ({"description": ""}, "uniqueItems", True, "(uniqueItems: true)"),
    ({}, "not", {}, None),
    ({}, "pattern", "x" * 200, None),
]


@pytest.mark.parametrize(("node", "keyword", "value", "description"), TOLD)
def test_what_goes_is_told_if_it_is_short(node, keyword, value, description):
    tell(node, keyword, value)
    assert node.get("description") == description


KINDS = [
    ({}, None),
    ({"type": "string"}, {"string"}),
    ({"type": ["string", "null"]}, {"string", "null"}),
    ({"enum": [1, "a", None]}, {"integer", "string", "null"}),
    ({"const": 1.0}, {"integer"}),
    ({"const": 1.5}, {"number"}),
    ({"const": [True, {}]}, {"array"}),
    ({"type": "number", "enum": [1, "a"]}, {"integer"}),
    ({"enum": 3}, None),
]


@pytest.mark.parametrize(("node", "expected"), KINDS)
def test_kinds(node, expected):
    assert kinds(node) == expected


def test_an_integer_is_a_number():
    assert fits("integer", ["number"])
    assert not fits("number", ["integer"])
    assert overlap(frozenset({"integer"}), frozenset({"number"}))
    assert overlap(frozenset({"number"}), frozenset({"integer", "null"}))
    assert overlap(None, frozenset({"null"}))
    assert not overlap(frozenset({"null"}), frozenset({"string", "object"}))


SAME = [
    (1, 1.0, True),
    (1, True, False),
    (True, True, True),
    ([1, {"a": None}], [1.0, {"a": None}], True),
    ([1], [1, 2], False),
    ([True], [1], False),
    ({"a": 1}, {"b": 1}, False),
    ({"a": 1}, {"a": 2}, False),
    ("a", "a", True),
]


@pytest.mark.parametrize(("ours", "theirs", "same"), SAME)
def test_equality_is_that_of_json(ours, theirs, same):
    assert same_value(ours, theirs) is same
    assert same_value(theirs, ours) is same


def test_forms():
    assert keywords.is_number(1.5)
    assert not any(map(keywords.is_number, [True, "1", float("inf"), float("nan")]))
    assert keywords.is_types(["string", "null"])
    assert not any(map(keywords.is_types, [[], "objekt", ["string", 1], None]))
    assert keywords.is_names(["a"])
    assert not any(map(keywords.is_names, ["a", ["a", 1]]))
    assert keywords.constrains({"type": "null", "title": "T"})
    assert not keywords.constrains({"title": "T", "default": 1})


def test_pointers_escape_and_shorten():
    assert pointer("/properties", "a/b~c", 3) == "/properties/a~1b~0c/3"
    assert len(pointer("", "n" * 10_000)) == keywords.NAME + 1


ROOT = {"$defs": {"a/b~c d": {"type": "null"}}, "anyOf": [{}, {"type": "object"}], "title": "x"}
REFS = [
    ("#", ROOT),
    ("#/$defs/a~1b~0c%20d", {"type": "null"}),
    ("#/anyOf/1", {"type": "object"}),
    ("#/anyOf/2", None),
    ("#/anyOf/01", None),
    ("#/anyOf/-1", None),
    ("#/anyOf/٣", None),
    ("#/title/y", None),
    ("#/nowhere/at/all", None),
    ("#name", None),
    ("http://127.0.0.1:9/x", None),
    (3, None),
]


@pytest.mark.parametrize(("ref", "target"), REFS)
def test_references_stay_in_the_document(ref, target):
    assert resolve(ROOT, ref) == target
