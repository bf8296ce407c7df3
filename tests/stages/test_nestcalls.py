"""Calls as tags within tags."""

import json

import pytest

from understudy.stages.nestcalls import TOKEN, minimax
from understudy.stages.syntax import Call, Found

SCHEMA = json.dumps(
    {
        "properties": {
            "text": {"type": "string"},
            "days": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "where": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "lat": {"type": "number"}},
            },
            "rows": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}},
            "either": {"oneOf": [{"type": "string"}, {"type": "object"}]},
            "limit": {
                "oneOf": [{"type": "integer"}, {"type": "object", "properties": {"max": {"type": "integer"}}}]
            },
        }
    }
).encode()


def schema_of(name):
    return SCHEMA


def tag(name, *inside):
    return f"{TOKEN}<{name}>{''.join(inside)}{TOKEN}</{name}>"


def call(*inside):
    return f'{TOKEN}<tool_call>\n{TOKEN}<invoke name="f">{"".join(inside)}{TOKEN}</invoke>'


VALUES = [
    ([], {}),
    ([tag("text", "x")], {"text": "x"}),
    ([tag("text", "42")], {"text": "42"}),
    ([tag("text", "<b>&</b>\n")], {"text": "<b>&</b>\n"}),
    ([tag("text", tag("b", "x"))], {"text": tag("b", "x")}),
    ([tag("days", "5"), "\n", tag("text", "")], {"days": 5, "text": ""}),
    ([tag("tags", tag("item", "a"), tag("item", "2"))], {"tags": ["a", "2"]}),
    ([tag("tags")], {"tags": []}),
    ([tag("tags", '["a"]')], {"tags": ["a"]}),
    ([tag("where", tag("name", "1"), tag("lat", "1"))], {"where": {"name": "1", "lat": 1}}),
    ([tag("where")], {"where": {}}),
    (
        [tag("rows", tag("item", tag("id", "1")), tag("item", tag("id", "2")))],
        {"rows": [{"id": 1}, {"id": 2}]},
    ),
    ([tag("either", "x")], {"either": "x"}),
    ([tag("limit", "5")], {"limit": 5}),
    ([tag("limit", tag("max", "5"))], {"limit": {"max": 5}}),
    ([tag("where", tag("item", "1"))], {"where": {"item": 1}}),
    ([tag("unheard", tag("item", "1"), tag("item", "x"))], {"unheard": [1, "x"]}),
    ([tag("unheard", tag("a", "1"))], {"unheard": {"a": 1}}),
    ([tag("unheard")], {"unheard": ""}),
]


@pytest.mark.parametrize(("inside", "value"), VALUES)
def test_values(inside, value):
    text = call(*inside)
    for over in (False, True):
        found = minimax(text, schema_of, over=over)
        assert found is not None
        assert (found.end, json.loads(found.calls[0].arguments)) == (len(text), value)


def test_without_its_tokens():
    text = '<tool_call>\n<invoke name="f"><text>x</text><tags><item>a</item></tags></invoke>'
    assert minimax(text, schema_of, over=False) == Found(
        (Call("f", '{"text": "x", "tags": ["a"]}'),), len(text)
    )


NOT = [
    "<tool_call>x",
    call().removesuffix("</invoke>") + "x",
    call(f"{TOKEN}<text>x"),
    call(f"{TOKEN}<tags>{tag('item', 'a')}"),
    call(tag("unheard", tag("item", "a"), "words")),
    call(f"{TOKEN}<a>" * 99),
]


@pytest.mark.parametrize("text", NOT)
def test_no_calls(text):
    for over in (False, True):
        assert minimax(text, schema_of, over=over) is None


def test_a_forgotten_end_is_forgiven_at_the_end():
    text = call(tag("text", "x")).removesuffix(f"{TOKEN}</invoke>")
    assert minimax(text, schema_of, over=False) is None
    assert minimax(text, schema_of, over=True) == Found((Call("f", '{"text": "x"}'),), len(text))
