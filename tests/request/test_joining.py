"""Two schemas as one."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schemas import Dice, compiled, objects

from understudy.request.joining import MANY, apart, copied, join


def obj(**properties):
    return {"type": "object", "properties": properties}


REF = {"$ref": "#/$defs/n"}

# name, one, other, joined, lost
CASES = [
    ("disjoint keywords", {"minLength": 1}, {"maxLength": 2}, {"minLength": 1, "maxLength": 2}, []),
    ("words", {"title": "A", "description": "a"}, {"description": "b"}, {"title": "A", "description": "a"}, []),
    ("types", {"type": ["number", "null"]}, {"type": ["integer", "string"]}, {"type": "integer"}, []),
    ("types turned round", {"type": ["integer", "null"]}, {"type": ["null", "number"]}, {"type": ["integer", "null"]}, []),
    ("no common type", {"type": "null"}, {"type": "string"}, {"type": "null"}, ["type"]),
    ("enums", {"enum": [1, "a", None]}, {"enum": [None, 1.0]}, {"enum": [1, None]}, []),
    ("no common value", {"enum": [1]}, {"enum": [2]}, {"enum": [1]}, ["enum"]),
    ("too many values", {"enum": [*range(200)]}, {"enum": [*range(MANY)]}, {"enum": [*range(200)]}, ["enum"]),
    ("consts", {"const": 1}, {"const": 2}, {"const": 1}, ["const"]),
    ("the same const", {"const": 1}, {"const": 1.0}, {"const": 1}, []),
    ("bounds", {"minimum": 1, "maximum": 9}, {"minimum": 3, "maximum": 12}, {"minimum": 3, "maximum": 9}, []),
    ("bounds that are none", {"minimum": 1}, {"minimum": "x"}, {"minimum": 1}, ["minimum"]),
    ("counts that are none", {"maxItems": 1}, {"maxItems": "x"}, {"maxItems": 1}, ["maxItems"]),
    ("required", {"required": ["a", "b"]}, {"required": ["b", "c"]}, {"required": ["a", "b", "c"]}, []),
    ("properties", obj(a={"minimum": 1}), obj(a={"maximum": 2}, b={}), obj(a={"minimum": 1, "maximum": 2}, b={}), []),
    ("two anyOf", {"anyOf": [{"type": "null"}]}, {"anyOf": [{}]}, {"anyOf": [{"type": "null"}]}, ["anyOf"]),
    ("two patterns", {"pattern": "^a$"}, {"pattern": "^b$"}, {"pattern": "^a$"}, ["pattern"]),
    (
        "additionalProperties",
        {**obj(a={}), "additionalProperties": False},
        obj(b={}),
        {**obj(a={}, b={}), "additionalProperties": False},
        ["additionalProperties"],
    ),
    (
        "additionalProperties of the other",
        obj(b={}),
        {"additionalProperties": False},
        {**obj(b={}), "additionalProperties": False},
        ["additionalProperties"],
    ),
    ("open on both sides", {"additionalProperties": True}, obj(b={}), {"additionalProperties": True, **obj(b={})}, []),
    ("the same items", {"items": False}, {"items": False}, {"items": False}, []),
    ("other items", {"prefixItems": [{}], "items": False}, {"items": {}}, {"prefixItems": [{}], "items": False}, ["items"]),
    ("a reference beside words", {"title": "T"}, {**REF, "title": "U"}, {**REF, "title": "T"}, []),
    ("words beside a reference", dict(REF), {"title": "T"}, {**REF, "title": "T"}, []),
    ("the same reference", dict(REF), dict(REF), dict(REF), []),
    ("two references", dict(REF), {"$ref": "#/$defs/m"}, {}, ["$ref"]),
    ("a reference and more", {**REF, "title": "T"}, {"type": "object"}, {"title": "T", "type": "object"}, ["$ref"]),
    ("more and a reference", {"type": "object"}, dict(REF), {"type": "object"}, ["$ref"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "expected", "lost"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_table(one, other, expected, lost):
    out, before, losses = copied(one), copy.deepcopy(other), []
    join(out, other, "/x", lambda where, what, why: losses.append((where, what, bool(why))))
    assert out == expected
    assert losses == [("/x", what, True) for what in lost]
    assert other == before


def test_properties_of_copies_are_their_own():
    original = obj(a=obj(b={"minimum": 1}), c=True)
    out = copied(original)
    join(out, obj(a=obj(b={"minimum": 2})), "", lambda *_: None)
    assert original == obj(a=obj(b={"minimum": 1}), c=True)


APART = [
    ({"type": "string"}, {"type": ["null", "array"]}, True),
    ({"type": "integer"}, {"type": "number"}, False),
    ({}, {"type": "null"}, False),
    ({"enum": [1, 2]}, {"const": 3}, True),
    ({"enum": [1, 2]}, {"const": 2.0}, False),
    ({"enum": [*range(200)]}, {"enum": [*range(1_000, 1_100)]}, False),
    ({**obj(k={"const": "a"}), "required": ["k"]}, {**obj(k={"const": "b"}), "required": ["k"]}, True),
    ({**obj(k={"const": "a"}), "required": ["k"]}, obj(k={"const": "b"}), False),
    ({**obj(k={"const": "a"}), "required": ["k"]}, {"type": "object", "required": ["k"]}, False),
    ({**obj(k=True), "required": ["k"]}, {**obj(k={"const": "b"}), "required": ["k"]}, False),
    ({"type": "object"}, {"type": ["object", "null"]}, False),
]


@pytest.mark.parametrize(("one", "other", "expected"), APART)
def test_apart(one, other, expected):
    assert apart(one, other) is expected
    assert apart(other, one) is expected


KEPT = ("type", "properties", "required", "additionalProperties", "title", "description")


def plain_object(dice):
    """As the first half of a cut leaves it: no booleans among the properties."""
    made = {key: value for key, value in objects(dice, 3).items() if key in KEPT}
    return {
        **made,
        "properties": {name: {} if child is True else child for name, child in made["properties"].items()},
    }


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_joining_forbids_nothing_that_both_admit(data):
    dice = Dice(lambda n: data.draw(st.integers(0, n - 1)))
    one, other = plain_object(dice), plain_object(dice)
    checks, value = [compiled(one), compiled(other)], dice.value()
    out, losses = copied(one), []
    join(out, other, "", lambda *loss: losses.append(loss))
    joined = compiled(out)
    if all(checks) and joined:
        both = all(check.is_valid(value) for check in checks)
        assert joined.is_valid(value) or not both
        assert losses or joined.is_valid(value) == both
