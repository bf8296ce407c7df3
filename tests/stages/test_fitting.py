"""The steps and conversions, each alone; together they are tested with the validator in test_mend.py."""

import pytest

from understudy.stages.fitting import convert, prune, rename
from understudy.stages.reading import Spelt
from understudy.stages.shape import Shape


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
    (BOOLEAN, "yes", True, "text-to-boolean"),
    (BOOLEAN, "Off", False, "text-to-boolean"),
    (BOOLEAN, "enabled", "enabled", ""),
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


LABELLED = {**wanting(label=TEXT, note=TEXT), "required": ["label"]}

# schema of "v", value, converted value, rule ("" = stays as it is)
BY_SHAPE = [
    (LABELLED, "A", {"label": "A"}, "only-member"),
    (LABELLED, "{A", "{A", ""),
    (LABELLED, 5, 5, ""),
    ({**LABELLED, "required": ["label", "note"]}, "A", "A", ""),
    ({**wanting(n=INTEGER), "required": ["n"]}, "A", "A", ""),
    ({"type": "array", "items": LABELLED}, ["A", {"label": "B"}], [{"label": "A"}, {"label": "B"}], "only-member"),
    (TEXT, ["a"], "a", "list-of-one-value"),
    (TEXT, ["a", "b"], ["a", "b"], ""),
    (INTEGER, ["5"], 5, "list-of-one-value"),
    (TEXT, {"type": "string", "value": "a"}, "a", "filled-in-schema"),
    (TEXT, {"type": "string", "description": "a"}, {"type": "string", "description": "a"}, ""),
    (TEXT, {"value": "a", "other": 1}, {"value": "a", "other": 1}, ""),
    ({"type": ["object", "string"]}, {"value": "a"}, {"value": "a"}, ""),
    ({"anyOf": [TEXT, wanting(r=INTEGER)]}, {"r": "5"}, {"r": 5}, "text-to-integer"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected", "rule"), BY_SHAPE)
def test_convert_by_shape(schema, value, expected, rule):
    shape = Shape(wanting(v=schema), "t")
    assert convert({"v": value}, shape) == {"v": expected}
    assert shape.rules[:1] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("schema", "value", "stays"),
    [(INTEGER, "", False), (INTEGER, "None", False), (LIST, " null ", False), (TEXT, "", True), ({}, "", True),
     (INTEGER, "few", True), ({"type": ["integer", "null"]}, "null", True)],
)  # fmt: skip
def test_a_text_that_says_nothing_is_dropped_where_no_text_may_stand(schema, value, stays):
    assert ("v" in convert({"v": value}, Shape(wanting(v=schema), "t"))) is stays
    assert "v" in convert({"v": value}, Shape({**wanting(v=schema), "required": ["v"]}, "t"))


def test_null_is_dropped_only_where_it_is_optional_and_refused():
    root = {**wanting(a=TEXT, b=TEXT, c={"type": ["string", "null"]}, d={}), "required": ["a"]}
    assert convert(dict.fromkeys("abcde"), Shape(root, "t")) == dict.fromkeys("acde")


def test_rename_reaches_inside_and_leaves_open_schemas_alone():
    inner = {**wanting(file_path=TEXT), "required": ["file_path"]}
    root = wanting(list={"type": "array", "items": inner}, loose=wanting(file_path=TEXT))
    shape = Shape(root, "t")
    value = {"list": [{"filePath": 1, "x": 2}], "loose": {"filePath": 1}}
    assert rename(value, shape) == {"list": [{"file_path": 1, "x": 2}], "loose": {"filePath": 1}}
    assert shape.rules == ["property-name"]


def test_an_empty_property_gives_way_to_what_was_meant_for_it():
    root = {**wanting(command=TEXT, path=TEXT), "required": ["command"], "additionalProperties": False}
    for empty in (None, ""):
        assert rename({"command": empty, "cmd": "ls"}, Shape(root, "t")) == {"command": "ls"}
        assert rename({"cmd": "ls", "path": empty}, Shape(root, "t")) == {"command": "ls", "path": empty}
    assert rename({"command": "ls", "cmd": "rm"}, Shape(root, "t")) == {"command": "ls", "cmd": "rm"}


def test_what_is_like_nothing_keeps_its_name():
    shape = Shape({**wanting(file_path=TEXT), "required": ["file_path"]}, "t")
    assert rename({"colour": 1}, shape) == {"colour": 1}
    assert shape.rules == []


def test_what_is_no_name_is_not_pruned():
    """`print(", ", ":")`, written into a string without escapes, is JSON that has a member of the name ", "."""
    shape = Shape({**wanting(a={}), "additionalProperties": False}, "t")
    assert prune({"a": 1, ", ": 2, "b c": 3}, shape) == {"a": 1, ", ": 2}


def test_nothing_is_pruned_where_all_is_known():
    shape = Shape({**wanting(a={}), "additionalProperties": False}, "t")
    assert prune({"a": 1}, shape) == {"a": 1}
    assert shape.rules == []


def test_prune_only_where_the_schema_is_closed():
    closed = {**wanting(a={}), "additionalProperties": False}
    root = {**wanting(c=closed, p={**closed, "patternProperties": {"x": {}}}, n={"anyOf": [closed, NULL]})}
    value = {"c": {"a": 1, "z": 2}, "p": {"z": 2}, "n": {"z": 1}, "o": {"z": 2}}
    assert prune(value, Shape(root, "t")) == {"c": {"a": 1}, "p": {"z": 2}, "n": {}, "o": {"z": 2}}
    assert prune([], Shape(root, "t")) == []
