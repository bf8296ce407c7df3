"""The steps and conversions, each alone; together they are tested with the validator in test_mend.py."""

import pytest

from understudy.stages.fitting import CONVERSIONS, Shape, convert, kind_of, prune, rename, unwrap
from understudy.stages.reading import Spelt


def wanting(**properties):
    return {"type": "object", "properties": properties}


INTEGER, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}
BOOLEAN, LIST, NULL = {"type": "boolean"}, {"type": "array"}, {"type": "null"}

# schema of "v", value, converted value, rule ("" = stays as it is)
CONVERTED = [
    (INTEGER, "5", 5, "text-to-integer"),
    (INTEGER, " -5.00 ", -5, "text-to-integer"),
    (INTEGER, "5.5", "5.5", ""),
    (INTEGER, "1234567890123456", "1234567890123456", ""),
    (INTEGER, "٣", "٣", ""),
    (INTEGER, 5.0, 5.0, ""),
    (NUMBER, "5", 5, "text-to-integer"),
    (NUMBER, "1.5e3", 1500.0, "text-to-number"),
    (NUMBER, "nan", "nan", ""),
    (NUMBER, 5, 5, ""),
    (BOOLEAN, " TRUE", True, "text-to-boolean"),
    (BOOLEAN, "yes", "yes", ""),
    (BOOLEAN, 0, False, "number-to-boolean"),
    (BOOLEAN, 2, 2, ""),
    (TEXT, 7, "7", "number-to-text"),
    (TEXT, Spelt("1.50"), "1.50", "number-to-text"),
    (TEXT, False, "false", "boolean-to-text"),
    (TEXT, {"a": 1}, {"a": 1}, ""),
    (TEXT, "7", "7", ""),
    (LIST, "x", ["x"], "one-to-array"),
    (LIST, "[1]", [1], "text-to-array"),
    (LIST, "[1", "[1", ""),
    (LIST, {"a": 1}, [{"a": 1}], "one-to-array"),
    ({"type": "object"}, '{"a":1}', {"a": 1}, "text-to-object"),
    ({"type": "object"}, "[1]", "[1]", ""),
    ({"type": ["integer", "null"]}, "null", None, "text-to-null"),
    ({"type": ["integer", "string"]}, "5", "5", ""),
    ({"anyOf": [INTEGER, NULL]}, "5", 5, "text-to-integer"),
    ({"anyOf": [INTEGER, {}]}, "5", "5", ""),
    ({"oneOf": [INTEGER, BOOLEAN]}, "true", True, "text-to-boolean"),
    ({"allOf": [{"type": ["string", "number"]}, {"type": ["integer", "null"]}]}, "5", 5, "text-to-integer"),
    ({"$ref": "#/$defs/n"}, "5", 5, "text-to-integer"),
    ({"$ref": "#/$defs/gone"}, "5", "5", ""),
    ({"const": 3}, "3", 3, "text-to-integer"),
    ({"enum": [1, 2]}, "2", 2, "text-to-integer"),
    ({"enum": ["in_progress", "done"]}, "In Progress", "in_progress", "choice-spelling"),
    ({"enum": ["a_b", "a-b"]}, "A B", "A B", ""),
    ({"const": "x"}, "X", "x", "choice-spelling"),
    (
        {"prefixItems": [TEXT, INTEGER], "items": BOOLEAN},
        ["a", "1", "true"],
        ["a", 1, True],
        "text-to-integer",
    ),
    ({"type": "strange"}, 5, 5, ""),
    ({}, "5", "5", ""),
    (True, "5", "5", ""),
    (5, "5", "5", ""),
]


@pytest.mark.parametrize(("schema", "value", "expected", "rule"), CONVERTED)
def test_convert(schema, value, expected, rule):
    shape = Shape({**wanting(v=schema), "$defs": {"n": INTEGER}}, "t")
    fitted = convert({"v": value}, shape)
    assert fitted == {"v": expected}
    assert type(fitted["v"]) is type(expected)
    assert shape.rules[:1] == ([rule] if rule else [])


def test_null_is_dropped_only_where_it_is_optional_and_refused():
    root = {**wanting(a=TEXT, b=TEXT, c={"type": ["string", "null"]}, d={}), "required": ["a"]}
    assert convert(dict.fromkeys("abcde"), Shape(root, "t")) == dict.fromkeys("acde")


# value, unwrapped, rules
UNWRAPPED = [
    (None, {}, ["null-arguments"]),
    ("", {}, ["text-arguments"]),
    ("x", "x", []),
    ('{"a":1}', {"a": 1}, ["text-arguments"]),
    ([{"a": 1}], {"a": 1}, ["list-of-one"]),
    ([{"a": 1}, {}], [{"a": 1}, {}], []),
    ({"arguments": {"a": 1}}, {"a": 1}, ["wrapper"]),
    ({"arguments": '{"a":1}'}, {"a": 1}, ["wrapper"]),
    ({"arguments": '{"a":'}, {"arguments": '{"a":'}, []),
    ({"args_": {}}, {"args_": {}}, []),
    ({"input": {"input": {"input": {"input": {"a": 1}}}}}, {"input": {"a": 1}}, ["wrapper"]),
    ({"arguments": 5}, {"arguments": 5}, []),
    ({"name": "T", "input": {"a": 1}}, {"a": 1}, ["wrapper"]),
    ({"name": "other", "input": {"a": 1}}, {"name": "other", "input": {"a": 1}}, []),
    ({"t": {"a": 1}}, {"a": 1}, ["wrapper"]),
    ({"arguments": {}, "input": {}}, {"arguments": {}, "input": {}}, []),
    ({"arguments": {}, "a": 1}, {"arguments": {}, "a": 1}, []),
    ({"args": {"a": 1}}, {"args": {"a": 1}}, []),
    (7, 7, []),
]


@pytest.mark.parametrize(("value", "expected", "rules"), UNWRAPPED)
def test_unwrap(value, expected, rules):
    shape = Shape(wanting(a={}, args={"type": "object"}), "t")
    assert unwrap(value, shape) == expected
    assert shape.rules == rules


def test_rename_reaches_inside_and_leaves_open_schemas_alone():
    inner = {**wanting(file_path=TEXT), "required": ["file_path"]}
    root = wanting(list={"type": "array", "items": inner}, loose=wanting(file_path=TEXT))
    shape = Shape(root, "t")
    value = {"list": [{"filePath": 1, "x": 2}], "loose": {"filePath": 1}}
    assert rename(value, shape) == {"list": [{"file_path": 1, "x": 2}], "loose": {"filePath": 1}}
    assert shape.rules == ["property-name"]


def test_prune_only_where_the_schema_is_closed():
    closed = {**wanting(a={}), "additionalProperties": False}
    root = {**wanting(c=closed, p={**closed, "patternProperties": {"x": {}}}, n={"anyOf": [closed, NULL]})}
    value = {"c": {"a": 1, "z": 2}, "p": {"z": 2}, "n": {"z": 1}, "o": {"z": 2}}
    assert prune(value, Shape(root, "t")) == {"c": {"a": 1}, "p": {"z": 2}, "n": {}, "o": {"z": 2}}
    assert prune([], Shape(root, "t")) == []


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


def test_conversions_refuse_what_they_do_not_know():
    for rule, _, conversion in CONVERSIONS:
        values = [None] if rule == "one-to-array" else [None, {}, []]
        assert len({id(conversion(value)) for value in values}) == 1
