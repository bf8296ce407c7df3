"""Conversions, each alone; by which schema they are used is tested in test_fitting.py."""

import pytest

from understudy.stages.conversions import CONVERSIONS, NO, parsed
from understudy.stages.reading import Spelt

# rule, value, converted (NO = does not apply)
CONVERTED = [
    ("text-to-integer", " +5.0 ", 5),
    ("text-to-integer", "5.5", NO),
    ("text-to-number", "1.5e3", 1500.0),
    ("text-to-number", "nan", NO),
    ("text-to-boolean", " Yes", True),
    ("text-to-boolean", "off", False),
    ("text-to-boolean", "maybe", NO),
    ("number-to-boolean", 1, True),
    ("number-to-boolean", 2, NO),
    ("number-to-boolean", 1.0, NO),
    ("text-to-null", "None", None),
    ("text-to-null", "nil", NO),
    ("number-to-text", 7, "7"),
    ("number-to-text", Spelt("3.10"), "3.10"),
    ("number-to-text", True, NO),
    ("boolean-to-text", False, "false"),
    ("boolean-to-text", 0, NO),
    ("text-to-array", "['a', 1]", ["a", 1]),
    ("text-to-array", "[1", NO),
    ("text-to-object", "{a: 1}", {"a": 1}),
    ("text-to-object", "[1]", NO),
    ("one-to-array", "a, b, and c", ["a, b, and c"]),
    ("one-to-array", {"a": 1}, [{"a": 1}]),
    ("one-to-array", "bug, ui", NO),
    ("one-to-array", "- a\n- b", NO),
    ("one-to-array", '["cut', NO),
    ("one-to-array", None, NO),
]


@pytest.mark.parametrize(("rule", "value", "converted"), CONVERTED)
def test_converted(rule, value, converted):
    conversion = next(each for name, _, each in CONVERSIONS if name == rule)
    got = conversion(value)
    assert (got, type(got)) == (converted, type(converted))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1]", [1]),
        ('"x"', "x"),
        ("{'a':1}", {"a": 1}),
        ("x", NO),
        ("{a:1", NO),
        ('{"a":1} and', NO),
        ("[1] [1]", NO),
        ("[" * 999, NO),
    ],
)
def test_parsed(text, value):
    assert parsed(text) == value


def test_conversions_refuse_what_they_do_not_know():
    for rule, _, conversion in CONVERSIONS:
        values = [None] if rule == "one-to-array" else [None, {}, []]
        assert len({id(conversion(value)) for value in values}) == 1
