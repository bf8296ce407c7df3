"""Plain text as JSON of the types that a schema wants; most of it is tested through test_tagcalls.py."""

import json

import pytest

from understudy.stages.typed import Types, is_framed, kinds_of, members, quoted, unframed

SCHEMA = json.dumps(
    {"properties": {"code": {"type": "string"}, "days": {"type": "integer"}, "tags": {"type": "array"}}}
).encode()


def test_pieces_of_json():
    assert quoted('a"格') == '"a\\"格"'
    assert members({"a": "1", "b": '"x"'}) == '{"a": 1, "b": "x"'
    assert members({}) == "{"


FRAMES = [
    ("\na\n", "a", True),
    ("\r\na\r\n", "a", True),
    ("\n\na\n\n", "\na\n", True),
    ("a\n", "a", False),
    ("\na", "a", False),
    ("a", "a", False),
    ("\n", "", False),
    ("\n \n", " ", False),
    ("", "", False),
]


@pytest.mark.parametrize(("value", "inside", "framed"), FRAMES)
def test_one_line_break_on_each_side_is_layout(value, inside, framed):
    assert unframed(value) == inside
    assert is_framed(value) == framed


@pytest.mark.parametrize(
    ("text", "kinds"),
    [("1", {"integer", "number"}), ("1.5", {"number"}), ("[]", {"array"}), ("x", set()), ("[" * 9999, set())],
)
def test_kinds(text, kinds):
    assert kinds_of(text) == kinds


WRITTEN = [
    ("code", "42", '"42"'),
    ("days", " 42 ", "42"),
    ("days", "soon", '"soon"'),
    ("tags", '["a"]', '["a"]'),
    ("unheard", "42", "42"),
    ("unheard", "x", '"x"'),
]


@pytest.mark.parametrize(("key", "value", "json_text"), WRITTEN)
def test_written(key, value, json_text):
    assert Types(SCHEMA).written(key, value) == json_text


def test_of_a_tool_nobody_knows_everything_is_text():
    assert Types(None).written("days", "42") == '"42"'
    assert not Types(None).knows("days")
    assert Types(SCHEMA).knows("days")


@pytest.mark.parametrize("schema", [b"", b"[1]", b"{nonsense", b'{"properties": 5}'])
def test_an_odd_schema_is_no_schema(schema):
    assert Types(schema).written("days", "42") == "42"


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({"code": {"type": "string"}, "n": {"type": "integer"}}, "code"),
        ({"a": {"type": "string"}, "b": {"type": "string"}}, None),
        ({"n": {"type": "integer"}, "any": {}}, None),
    ],
)
def test_the_one_parameter_that_is_text(properties, key):
    assert Types(json.dumps({"properties": properties}).encode()).only_text() == key
