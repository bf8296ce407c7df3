"""Calls in Gemma's notation."""

import json

import pytest

from understudy.stages.gemmacalls import FUNCTION_GEMMA, GEMMA
from understudy.stages.syntax import Call, Found

Q = '<|"|>'
VALUES = {
    "{}": {},
    "{ }": {},
    f"{{a:{Q}x{Q}}}": {"a": "x"},
    f"{{a:{Q}{Q}}}": {"a": ""},
    f'{{a:{Q}say "hi", {{x}}: [1]\n{Q}}}': {"a": 'say "hi", {x}: [1]\n'},
    "{a:1,b:-2.5,c:true,d:null}": {"a": 1, "b": -2.5, "c": True, "d": None},
    "{a: 1 , b : 2}": {"a": 1, "b": 2},
    f"{{a:[{Q}x{Q},2,[]],b:{{c:{Q}y{Q}}}}}": {"a": ["x", 2, []], "b": {"c": "y"}},
    f"{{{Q}a b{Q}:1}}": {"a b": 1},
    '{"a":"x, y"}': {"a": "x, y"},
    "{a:plain words}": {"a": "plain words"},
    "{a:}": {"a": ""},
    '{a:"open}': {"a": '"open'},
}


@pytest.mark.parametrize("arguments", VALUES)
def test_values(arguments):
    text = f"<|tool_call>call:f{arguments}<tool_call|>"
    for over in (False, True):
        found = GEMMA.parse(text, {}.get, over=over)
        assert found is not None
        assert found.end == len(text)
        assert (found.calls[0].name, json.loads(found.calls[0].arguments)) == ("f", VALUES[arguments])


def test_another_family_quotes_otherwise():
    text = "<start_function_call>call:f{a:<escape>x<escape>}<end_function_call>"
    assert FUNCTION_GEMMA.parse(text, {}.get, over=False) == Found((Call("f", '{"a": "x"}'),), len(text))


NOT = [
    "<|tool_call>call:f",
    "<|tool_call>f{}<tool_call|>",
    f"<|tool_call>call:f{{a:{Q}x}}<tool_call|>",
    "<|tool_call>call:f{a}<tool_call|>",
    f"<|tool_call>call:f{{{Q}a{Q} 1}}<tool_call|>",
    "<|tool_call>call:f{a:[1}<tool_call|>",
    "<|tool_call>call:f{a:1",
    "<|tool_call>call:f{a:" + "[" * 99,
]


@pytest.mark.parametrize("text", NOT)
def test_no_calls(text):
    for over in (False, True):
        assert GEMMA.parse(text, {}.get, over=over) is None


def test_a_forgotten_end_is_forgiven_at_the_end():
    text = "<|tool_call>call:f{a:1}"
    assert GEMMA.parse(text, {}.get, over=False) is None
    assert GEMMA.parse(text, {}.get, over=True) == Found((Call("f", '{"a": 1}'),), len(text))
