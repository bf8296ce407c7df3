"""Arguments inside something else, and what only looks like it."""

import pytest

from understudy.stages.packing import is_packed, unwrap
from understudy.stages.shape import Shape


def wanting(**properties):
    return {"type": "object", "properties": properties}


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
    ({"input": {"input": {"input": {"input": {"input": {"a": 1}}}}}}, {"input": {"a": 1}}, ["wrapper"]),
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


TEXT = {"type": "string"}
ITEM = {**wanting(a=TEXT, b=TEXT), "required": ["a"]}
LISTING = {**wanting(list={"type": "array", "items": ITEM}, name=TEXT), "required": ["list"]}
ASKING = {**wanting(text=TEXT, more=TEXT), "required": ["text"]}
WIDE = {**wanting(parameters={"type": "array"}, sql=TEXT), "required": ["sql"]}
LOOSE = {**wanting(list={"type": "array"}), "required": ["list"]}
TWO = {**wanting(a=TEXT, b=TEXT), "required": ["a", "b"]}

# schema, value, unwrapped, rules
BY_SCHEMA = [
    (LISTING, [{"a": "x"}, {"a": "y"}], {"list": [{"a": "x"}, {"a": "y"}]}, ["only-property"]),
    (LISTING, [{"a": "x"}], {"list": [{"a": "x"}]}, ["only-property"]),
    (LISTING, {"a": "x", "b": "y"}, {"list": [{"a": "x", "b": "y"}]}, ["only-property"]),
    (LISTING, {"items": [{"a": "x"}]}, {"list": [{"a": "x"}]}, ["only-property"]),
    (LISTING, {"items": [{"a": "x"}], "more": 1}, {"items": [{"a": "x"}], "more": 1}, []),
    (LISTING, {"name": [{"a": "x"}]}, {"name": [{"a": "x"}]}, []),
    (LISTING, {"a": "x", "name": "y"}, {"a": "x", "name": "y"}, []),
    (LISTING, [{"b": "x"}, {"a": "y"}], [{"b": "x"}, {"a": "y"}], []),
    (LISTING, ["x", "y"], ["x", "y"], []),
    (LISTING, [], [], []),
    (LOOSE, {"items": [{"a": "x"}]}, {"items": [{"a": "x"}]}, []),
    (ASKING, {"input": "ls -la"}, {"text": "ls -la"}, ["wrapper"]),
    (ASKING, {"input": "{cut"}, {"input": "{cut"}, []),
    (ASKING, {"input": 5}, {"input": 5}, []),
    (TWO, {"input": "ls -la"}, {"input": "ls -la"}, []),
    (LISTING, {"input": "ls -la"}, {"input": "ls -la"}, []),
    (ASKING, {"input": [{"text": "x"}]}, {"text": "x"}, ["wrapper"]),
    (ASKING, {"function": "T", "arguments": {"text": "x"}}, {"text": "x"}, ["wrapper"]),
    (ASKING, {"function": "u", "args": {"text": "x"}}, {"function": "u", "args": {"text": "x"}}, []),
    (ASKING, {"action": "t", "actionInput": {"text": "x"}}, {"text": "x"}, ["wrapper"]),
    (ASKING, {"type": "object", "properties": {"text": "x"}, "required": []}, {"text": "x"}, ["wrapper"]),
    (ASKING, {"id": "1", "properties": {"text": "x"}}, {"id": "1", "properties": {"text": "x"}}, []),
    (WIDE, {"parameters": {"sql": "x"}}, {"sql": "x"}, ["wrapper"]),
    (WIDE, {"parameters": "x"}, {"parameters": "x"}, []),
    (WIDE, {"parameters": {"other": "x"}}, {"parameters": {"other": "x"}}, []),
    ({}, [], {}, ["null-arguments"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected", "rules"), BY_SCHEMA)
def test_unwrap_by_what_the_tool_requires(schema, value, expected, rules):
    shape = Shape(schema, "t")
    assert unwrap(value, shape) == expected
    assert shape.rules == rules


@pytest.mark.parametrize(
    ("value", "packed"),
    [({"arguments": {"a": 1}}, True), ({"arguments": {}}, True), ({"arguments": {"z": 1}}, False), ({"a": {}}, False),
     ({}, False), ({"input": ""}, True),
     ([], False), ({"z": 1}, False), ({"arguments": "[1,2]"}, False)],
)  # fmt: skip
def test_is_packed(value, packed):
    assert is_packed(value, Shape(wanting(a={}), "t")) is packed
    assert not is_packed(value, Shape({}, "t"))
