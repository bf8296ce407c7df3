"""Calls in JSON, read without decoding their arguments."""

import pytest

from understudy.stages.jsonread import HEAD, NoCall, Reading, depth, members, value_end
from understudy.stages.syntax import Call

LS = Call("Bash", '{"a": 1}')
ONE = '{"name": "Bash", "arguments": {"a": 1}}'
CALLS = {
    ONE: [LS],
    f"[{ONE}]": [LS],
    f"[ {ONE} , {ONE} ]": [LS, LS],
    f"{ONE}\n{ONE}": [LS, LS],
    f"{ONE}; {ONE}": [LS, LS],
    '{"arguments": {"a": 1}, "name": "Bash"}': [LS],
    '{"name": "Bash", "parameters": {"a": 1}}': [LS],
    '{"tool_name": "Bash", "args": {"a": 1}}': [LS],
    '{"name": "Bash"}': [Call("Bash", "{}")],
    '{"name": "B\\u0061sh", "input": [1]}': [Call("Bash", "[1]")],
    '{"id": "x1", "name": "Bash", "arguments": {"a": 1}}': [Call("Bash", '{"a": 1}', "x1")],
    '{"tool_call_id": 0, "tool_name": "Bash", "parameters": {"a": 1}}': [Call("Bash", '{"a": 1}', "0")],
    '{"type": "function", "function": {"name": "Bash", "arguments": {"a": 1}}}': [LS],
    '{"tool_call": {"name": "Bash", "arguments": {"a": 1}}}': [LS],
    f'{{"tool_calls": [{ONE}, {ONE}]}}': [LS, LS],
}


@pytest.mark.parametrize("text", CALLS)
@pytest.mark.parametrize("strict", [False, True])
def test_calls(text, strict):
    calls, end = Reading(strict=strict).calls(f"x{text} more", 1)
    assert (list(calls), end) == (CALLS[text], len(text) + 1)


NOT = [
    "",
    "{}",
    "[]",
    f"[{ONE}",
    f"[{ONE} x]",
    '{"name": 5}',
    '{"a": 1}',
    '{"name" "Bash"}',
    '{1: "Bash"}',
    '{"name": "Bash" "a": 1}',
    '{"name": "Bash"',
    '{"tool_calls": []}',
]


@pytest.mark.parametrize("text", NOT)
def test_no_calls(text):
    with pytest.raises(ValueError):
        Reading().calls(text, 0)


def test_what_has_other_members_is_meant_as_something_else():
    text = '{"name": "Bash", "arguments": {}, "age": 5}'
    assert Reading().calls(text, 0)[0] == (Call("Bash", "{}"),)
    with pytest.raises(NoCall):
        Reading(strict=True).calls(text, 0)


def test_the_name_as_the_key():
    calls, end = Reading(keyed=True).calls('[{"Bash": {"a": 1}}, {"Read": {}}]', 0)
    assert calls == (LS, Call("Read", "{}"))
    assert end == 34


def test_members():
    text = '{ "a" : [1, 2] , "b":{"c":3} }'
    found, end = members(text, 0)
    assert {key: text[span] for key, span in found.items()} == {"a": "[1, 2]", "b": '{"c":3}'}
    assert end == len(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", 0),
        ("{[", 2),
        ("{}}", -1),
        ('{"}', None),
        ('"a\\', None),
        ('{"}"}', 0),
        ('"a\\"}"', 0),
        ("a 'b{", 1),
    ],
)
def test_depth(text, found):
    assert depth(text) == found


@pytest.mark.parametrize(("text", "end"), [("{} x", 2), ('{"a', None), ("x", None), ("[" * 99_999, None)])
def test_the_end_of_a_value(text, end):
    assert value_end(text, 0) == end


def test_the_head_of_a_call():
    found = HEAD.match("""[ {"id": "1", 'name': 'Bash', "arguments": {broken""")
    assert found is not None
    assert found[1] == "Bash"
