"""Calls in JSON between markers: what the parser makes of a text."""

import json

import pytest

from understudy.stages.jsoncalls import COHERE, FENCED, HERMES, JSON
from understudy.stages.namedcalls import MISTRAL
from understudy.stages.syntax import Call, Found

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "command": {"type": "string"},
            "timeout": {"type": "integer"},
            "deep": {"type": "object"},
            "list": {"type": "array"},
            "note": {"type": ["string", "null"]},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "number": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "any": {},
        },
    }
).encode()


def schema_of(name):
    return SCHEMA if name == "Bash" else None


hermes = HERMES.parse

HERMES_WHOLE = {
    "as trained": (
        '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>',
        '{"command": "ls"}',
    ),
    "bytes stay": (
        '<tool_call>{"name":"Bash","arguments":{ "b":1 ,\n"a":2.50}}</tool_call>',
        '{ "b":1 ,\n"a":2.50}',
    ),
    "arguments first": (
        '<tool_call>{"arguments": {"name": "x"}, "name": "Bash"}</tool_call>',
        '{"name": "x"}',
    ),
    "parameters": ('<tool_call>{"name": "Bash", "parameters": {"a": 1}}</tool_call>', '{"a": 1}'),
    "no arguments": ('<tool_call>{"name": "Bash"}</tool_call>', "{}"),
    "wrapped": (
        '<tool_call>{"type": "function", "function": {"name": "Bash", "arguments": {"a": 1}}}</tool_call>',
        '{"a": 1}',
    ),
    "text arguments": (
        '<tool_call>{"name": "Bash", "arguments": "{\\"a\\": 1}"}</tool_call>',
        '"{\\"a\\": 1}"',
    ),
    "a brace too many": ('<tool_call>{"name": "Bash", "arguments": {"a": 1}}}</tool_call>', '{"a": 1}'),
    "a brace too few": ('<tool_call>{"name": "Bash", "arguments": {"a": 1}</tool_call>', '{"a": 1}'),
    "raw line break": (
        '<tool_call>{"name": "Bash", "arguments": {"a": "x\ny"}}</tool_call>',
        '{"a": "x\ny"}',
    ),
    "last comma": ('<tool_call>{"name": "Bash", "arguments": {"a": 1},}</tool_call>', '{"a": 1}'),
    "python": (
        "<tool_call>{'name': 'Bash', 'arguments': {'a': True}}</tool_call>",
        "{'a': True}",
    ),
    "bare key": ('<tool_call>{"name": "Bash", "arguments": {a: 1}}</tool_call>', "{a: 1}"),
    "the tag in a string": (
        '<tool_call>{"name": "Bash", "arguments": {"a": "</tool_call>"}}</tool_call>',
        '{"a": "</tool_call>"}',
    ),
}


@pytest.mark.parametrize("case", HERMES_WHOLE)
def test_hermes_call(case):
    text, arguments = HERMES_WHOLE[case]
    expected = Found((Call("Bash", arguments),), len(text))
    assert hermes(text, schema_of, over=False) == expected
    assert hermes(text + " and more", schema_of, over=True) == expected


def test_hermes_several_in_one_tag():
    one = '{"name": "Bash", "arguments": {"a": 1}}'
    two = '{"name": "Read", "arguments": {}}'
    for body in (f"[{one}, {two}]", f"{one}\n{two}", f"{one},{two}"):
        found = hermes(f"<tool_call>{body}</tool_call>", schema_of, over=False)
        assert found is not None
        assert [call.name for call in found.calls] == ["Bash", "Read"], body


HERMES_NOT = [
    "<tool_call>",
    "<tool_call></tool_call>",
    "<tool_call>{}</tool_call>",
    "<tool_call>[]</tool_call>",
    "<tool_call>{1: 2}</tool_call>",
    '<tool_call>{"name": 5, "arguments": {}}</tool_call>',
    '<tool_call>{"arguments": {}}</tool_call>',
    "<tool_call>ls -l</tool_call>",
    '<tool_call>[{"name": "Bash"}</tool_call>',
    '<tool_call>{"name": "Bash" "arguments": {}}</tool_call>',
    '<tool_call>{"name"; "Bash"}</tool_call>',
    '{"name": "Bash", "arguments": {}}',
    "<tool_call>" + "[" * 100_000 + "</tool_call>",
]


@pytest.mark.parametrize("text", HERMES_NOT, ids=lambda text: text[:50])
@pytest.mark.parametrize("over", [False, True])
def test_hermes_no_call(text, over):
    assert hermes(text, schema_of, over=over) is None


HERMES_OVER = {
    "no closing tag": ('<tool_call>{"name": "Bash", "arguments": {"a": 1}}', "", '{"a": 1}'),
    "no closing tag, then text": (
        '<tool_call>{"name": "Bash", "arguments": {"a": 1}}',
        "\nDone.",
        '{"a": 1}',
    ),
    "an open string": ('<tool_call>{"name": "Bash", "arguments": {"a": "x}}</tool_call>', " z", '{"a": "x}}'),
    "cut": ('<tool_call>{"name": "Bash", "arguments": {"a": "x', "", '{"a": "x'),
    "open brackets": ('<tool_call>{"name": "Bash", "arguments": {a: [1}}</tool_call>', "", "{a: [1}}"),
}


@pytest.mark.parametrize("case", HERMES_OVER)
def test_hermes_forgives_at_the_end_only(case):
    text, after, arguments = HERMES_OVER[case]
    assert hermes(text + after, schema_of, over=False) is None
    assert hermes(text + after, schema_of, over=True) == Found((Call("Bash", arguments),), len(text))


MISTRAL_TEXT = '[TOOL_CALLS][{"name": "Bash", "arguments": {"command": "ls"}}]'


def test_without_a_closing_marker_whole_json_is_a_whole_call():
    found = MISTRAL.parse(MISTRAL_TEXT + " more", schema_of, over=False)
    assert found == Found((Call("Bash", '{"command": "ls"}'),), len(MISTRAL_TEXT))


OPEN_ENDED = {
    "whole": ('{"name": "Bash", "arguments": {"a": 1}}', '{"a": 1}'),
    "a brace too few": ('{"name": "Bash", "arguments": {"a": 1}', '{"a": 1}'),
    "a brace and a comma": ("""{"name": "Bash", 'x': 1, "arguments": {"a": 1},}""", None),
    "brackets too many": ('{"name": "Bash", "arguments": {"a": 1}, ]}', '{"a": 1}'),
    "no json": ("""{"name": "Bash", "arguments": {'a': 1}}""", "{'a': 1}"),
    "cut": ('{"name": "Bash", "arguments": {"a": "x', None),
    "words after": ("""{"name": "Bash", "arguments": {'a': 1}} and so on""", None),
}


@pytest.mark.parametrize("case", OPEN_ENDED)
def test_broken_json_without_a_closing_marker_is_a_call_only_at_the_end(case):
    text, arguments = OPEN_ENDED[case]
    if case != "whole":
        assert JSON.parse(text, schema_of, over=False) is None
    expected = Found((Call("Bash", arguments),), len(text)) if arguments else None
    assert JSON.parse(text, schema_of, over=True) == expected


def test_json_with_other_members_is_an_answer():
    for over in (False, True):
        assert JSON.parse('{"name": "Bash", "arguments": {}, "why": "x"}', schema_of, over=over) is None


ALONE = '```json\n{"name": "Bash", "arguments": {"command": "ls"}}\n```'


def test_a_fenced_call_is_one_if_nothing_follows():
    assert FENCED.parse(ALONE, schema_of, over=False) is None
    assert FENCED.parse(f"{ALONE}\n", schema_of, over=True) == Found(
        (Call("Bash", '{"command": "ls"}'),), len(ALONE)
    )
    assert FENCED.parse(f"{ALONE}\nSo.", schema_of, over=True) is None
    assert FENCED.parse("```json\n{}\n```", schema_of, over=True) is None


def test_the_models_own_id_is_kept():
    text = (
        '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "Bash", "parameters": {"a": 1}}]<|END_ACTION|>'
    )
    assert COHERE.parse(text, schema_of, over=False) == Found((Call("Bash", '{"a": 1}', "0"),), len(text))
