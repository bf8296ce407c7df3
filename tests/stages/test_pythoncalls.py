"""Calls as Python."""

import json

import pytest

from understudy.stages.pythoncalls import LFM, LLAMA, LLAMA4, OLMO, PYTHONIC, literal
from understudy.stages.syntax import Call, Found

CODE = b'{"properties": {"code": {"type": "string"}}}'


def schema_of(name):
    return CODE if name == "ipython" else None


LITERALS = {
    '"a"': "a",
    "'a'": "a",
    "'a\"b'": 'a"b',
    "'it\\'s'": "it's",
    '"C:\\dir\\new"': "C:\\dir\new",
    "r'\\d+'": "\\d+",
    '"""a\nb"""': "a\nb",
    "'''a'b'''": "a'b",
    '"a\nb"': "a\nb",
    "'\\x41\\u683c'": "A格",
    '"格"': "格",
    "1": 1,
    "-1.5": -1.5,
    "+5": 5,
    ".5": 0.5,
    "1_000": 1000,
    "0x1F": 31,
    "1e5": 1e5,
    "True": True,
    "true": True,
    "False": False,
    "None": None,
    "null": None,
    "[]": [],
    "{}": {},
    "()": [],
    "[1, 'a', [True,]]": [1, "a", [True]],
    "(1, 2)": [1, 2],
    "{'a': None, \"b\": {'c': [1]}}": {"a": None, "b": {"c": [1]}},
    "{1: 2}": {"1": 2},
    "[ 1 ,\n 2 ]": [1, 2],
}


@pytest.mark.parametrize("text", LITERALS)
def test_literals(text):
    written, end = literal(f"x={text}, more", 2)
    assert json.loads(written) == LITERALS[text]
    assert end == len(text) + 2


def test_json_keeps_its_bytes():
    assert literal('{"a":1.50,"b": "\\u00e9"}', 0)[0] == '{"a": 1.50, "b": "\\u00e9"}'


NO_LITERALS = [
    "", "foo", "1e999", "00012", "{'a'}", "[1", "[1 2]", "{'a': }", '"open', "f(x)", "-", "'\\N{no such name}'",
    "[" * 99,
]  # fmt: skip


@pytest.mark.parametrize("text", NO_LITERALS)
def test_no_literals(text):
    with pytest.raises((ValueError, SyntaxError)):
        literal(text, 0)


CALLS = {
    "list": (PYTHONIC, '[f(a="x", b=[1, 2]), g()]', [("f", '{"a": "x", "b": [1, 2]}'), ("g", "{}")]),
    "over lines": (PYTHONIC, "[\n  f(\n    a=1,\n  ),\n]", [("f", '{"a": 1}')]),
    "dotted": (PYTHONIC, "[Calendar.add(a=1)]", [("Calendar.add", '{"a": 1}')]),
    "brackets in strings": (PYTHONIC, '[f(a="](")]', [("f", '{"a": "]("}')]),
    "llama 4": (LLAMA4, "<|python_start|>[f(a=1)]<|python_end|>", [("f", '{"a": 1}')]),
    "llama 4, no list": (LLAMA4, "<|python_start|>f(a=1)<|python_end|>", [("f", '{"a": 1}')]),
    "lfm2": (LFM, "<|tool_call_start|>[f(a=True)]<|tool_call_end|>", [("f", '{"a": true}')]),
    "lfm2, json": (LFM, '<|tool_call_start|>[{"name": "f"}]<|tool_call_end|>', [("f", "{}")]),
    "lines": (OLMO, "<function_calls>\nf(a=1)\ng()\n</function_calls>", [("f", '{"a": 1}'), ("g", "{}")]),
    "built in": (LLAMA, '<|python_tag|>search.call(query="x")', [("search", '{"query": "x"}')]),
    "llama": (LLAMA, '<|python_tag|>{"name": "f", "parameters": {}}', [("f", "{}")]),
    "llama, bare": (LLAMA, '{"name": "f", "parameters": {}}', [("f", "{}")]),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls(case):
    row, text, calls = CALLS[case]
    expected = Found(tuple(Call(*call) for call in calls), len(text))
    assert row.parse(text, schema_of, over=False) == expected
    assert row.parse(text + " more", schema_of, over=True) == expected


NOT = [
    (PYTHONIC, "[f(a=1)"),
    (PYTHONIC, "[1, 2]"),
    (PYTHONIC, "[f(1)]"),
    (PYTHONIC, "[f(a=1 b=2)]"),
    (PYTHONIC, "[f(a=x)]"),
    (PYTHONIC, "f(a=1)"),
    (PYTHONIC, "[]"),
    (LFM, "[f(a=1)]"),
    (LLAMA, "<|python_tag|>"),
]


@pytest.mark.parametrize(("row", "text"), NOT)
def test_no_calls(row, text):
    assert row.parse(text, schema_of, over=False) is None
    assert row.parse(text, {}.get, over=True) is None


def test_a_forgotten_end_is_forgiven_at_the_end():
    text = "<|tool_call_start|>[f(a=1)]"
    assert LFM.parse(text, schema_of, over=False) is None
    assert LFM.parse(text, schema_of, over=True) == Found((Call("f", '{"a": 1}'),), len(text))


def test_code_is_for_a_tool_that_runs_python():
    for end in ("", "<|eom_id|>"):
        text = f"<|python_tag|>import os\nprint(1){end}"
        assert LLAMA.parse(text, schema_of, over=False) is None
        assert LLAMA.parse(text, schema_of, over=True) == Found(
            (Call("ipython", '{"code": "import os\\nprint(1)"}'),), len(text)
        )
        assert LLAMA.parse(text, {}.get, over=True) is None
