"""What a schema says: types, names, branches, also where it is ill-formed."""

import pytest

from understudy.stages.shape import Shape, admits, dict_of, kind_of, list_of


def test_parts_have_an_end():
    root = {"$ref": "#", "allOf": [{"$ref": "#/allOf/0"}] * 100}
    assert len(Shape(root, "t").parts(root)) <= 32


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "boolean"), (1, "integer"), (1.0, "integer"), (1.5, "number"), ("", "string"), ([], "array"),
     ({}, "object")],
)  # fmt: skip
def test_kind_of(value, kind):
    assert kind_of(value) == kind


INTEGER, NUMBER, TEXT, NULL = ({"type": kind} for kind in ("integer", "number", "string", "null"))
BOTH = {"anyOf": [INTEGER, TEXT]}

# schema, types it admits (None = all)
KINDS = [
    ({}, None),
    (True, None),
    (INTEGER, {"integer"}),
    ({"type": ["string", "null", 5]}, {"string", "null"}),
    ({"type": []}, None),
    ({"const": 5}, {"integer"}),
    ({"enum": ["a", None]}, {"string", "null"}),
    ({"enum": 5}, None),
    (BOTH, {"integer", "string"}),
    ({"oneOf": [INTEGER, NULL]}, {"integer"}),
    ({"anyOf": [INTEGER, {}]}, None),
    ({"anyOf": [{"anyOf": [{"anyOf": [BOTH, NUMBER]}, NUMBER]}, NUMBER]}, None),
    ({"allOf": [NUMBER, INTEGER]}, {"integer"}),
    ({"allOf": [INTEGER, NUMBER]}, {"integer"}),
    ({"allOf": [TEXT, INTEGER]}, set()),
    ({"$ref": "#/$defs/a~1b"}, {"string"}),
    ({"$ref": "#"}, {"object"}),
    ({"$ref": "#/$defs/none"}, None),
    ({"$ref": "http://example.invalid/x"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "kinds"), KINDS)
def test_kinds(schema, kinds):
    found = Shape({"type": "object", "$defs": {"a/b": TEXT}}, "t").kinds(schema)
    assert found == kinds


def test_properties_and_what_is_required():
    root = {
        "properties": {"a": TEXT},
        "required": ["a", 5],
        "allOf": [{"properties": {"a": {}, "b": TEXT}, "required": ["b"]}],
    }
    shape = Shape(root, "t")
    assert shape.properties(root) == {"a": TEXT, "b": TEXT}
    assert shape.required(root) == {"a", "b"}


def test_closed():
    shut = {"additionalProperties": False}
    assert Shape({}, "t").is_closed(shut)
    assert not Shape({}, "t").is_closed({})
    assert not Shape({}, "t").is_closed({**shut, "patternProperties": {}})


def test_choices():
    shape = Shape({}, "t")
    assert (shape.choices({"enum": [1]}), shape.choices({"const": 2}), shape.choices(TEXT)) == ([1], [2], [])


def test_items():
    shape, tuples = Shape({}, "t"), {"prefixItems": [TEXT], "items": INTEGER}
    assert [shape.items(tuples, i) for i in (0, 1)] == [TEXT, INTEGER]
    assert shape.items({}, 0) == {}


def test_narrowed():
    shape, union = Shape({}, "t"), {"oneOf": [TEXT, {"type": "object"}]}
    assert shape.narrowed(union, {}) == {"type": "object"}
    assert shape.narrowed(union, 5) == union
    assert shape.narrowed({"anyOf": [{}, TEXT]}, "x") == {"anyOf": [{}, TEXT]}
    assert shape.narrowed(TEXT, "x") == TEXT


def test_rules_are_told_once():
    shape = Shape({}, "t")
    for rule in "aba":
        shape.used(rule)
    assert shape.rules == ["a", "b"]


def test_admits():
    assert admits(None, "x")
    assert admits(frozenset({"number"}), 5)
    assert not admits(frozenset({"integer"}), 5.5)


def test_ill_formed_parts_are_empty():
    assert (list_of({}), dict_of([]), list_of([1]), dict_of({"a": 1})) == ([], {}, [1], {"a": 1})
