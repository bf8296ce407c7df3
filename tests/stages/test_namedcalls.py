"""A name, and then JSON."""

import pytest

from understudy.stages.namedcalls import DEEPSEEK, FUNCTIONARY, KIMI_K2, MIRO, MISTRAL, PLAMO
from understudy.stages.syntax import Call, Found

CODE = b'{"properties": {"code": {"type": "string"}, "n": {"type": "integer"}}}'


def schema_of(name):
    return CODE if name in ("python", "f") else None


def kimi(name, arguments, end="<|tool_call_end|>"):
    return f"<|tool_call_begin|>{name}<|tool_call_argument_begin|>{arguments}{end}"


WHOLE = {
    "kimi": (KIMI_K2, kimi("functions.f:0", '{"a": 1}'), Call("f", '{"a": 1}', "functions.f:0")),
    "kimi, section": (
        KIMI_K2,
        "<|tool_calls_section_begin|>\n" + kimi("functions.a.b:12", "{}"),
        Call("a.b", "{}", "functions.a.b:12"),
    ),
    "kimi, no prefix": (KIMI_K2, kimi("f:0", "{}"), Call("f", "{}", "f:0")),
    "kimi, no number": (KIMI_K2, kimi("f", "{}"), Call("f", "{}", "f")),
    "kimi, blanks": (KIMI_K2, kimi(" functions.f:0 ", '\n{"a": 1}\n'), Call("f", '{"a": 1}', "functions.f:0")),
    "kimi, no arguments": (KIMI_K2, kimi("functions.f:0", ""), Call("f", "{}", "functions.f:0")),
    "kimi, a brace too many": (KIMI_K2, kimi("f:0", '{"a": 1}}'), Call("f", '{"a": 1}', "f:0")),
    "kimi, no json": (KIMI_K2, kimi("f:0", "{'a': 1}"), Call("f", "{'a': 1}", "f:0")),
    "kimi, the marker in a string": (
        KIMI_K2,
        kimi("f:0", '{"a": "<|tool_call_end|>"}'),
        Call("f", '{"a": "<|tool_call_end|>"}', "f:0"),
    ),
    "deepseek r1": (
        DEEPSEEK,
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"a": 1}\n```<｜tool▁call▁end｜>',
        Call("f", '{"a": 1}'),
    ),
    "deepseek v3.1": (
        DEEPSEEK,
        '<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>',
        Call("f", '{"a": 1}'),
    ),
    "deepseek, spelt otherwise": (
        DEEPSEEK,
        '<｜tool_calls_begin｜><｜tool_call_begin｜>f<｜tool_sep｜>{"a": 1}<｜tool_call_end｜>',
        Call("f", '{"a": 1}'),
    ),
    "deepseek, a tool called function": (
        DEEPSEEK,
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{}<｜tool▁call▁end｜>",
        Call("function", "{}"),
    ),
    "mistral": (MISTRAL, '[TOOL_CALLS]f[ARGS]{"a": 1}', Call("f", '{"a": 1}')),
    "mistral, id": (MISTRAL, '[TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{"a": 1}', Call("f", '{"a": 1}', "abcdefghi")),
    "mistral, blanks": (MISTRAL, '[TOOL_CALLS] f [ARGS] {"a": 1}', Call("f", '{"a": 1}')),
    "mistral, old": (MISTRAL, '[TOOL_CALLS] [{"name": "f", "arguments": {}, "id": "x"}]', Call("f", "{}", "x")),
    "functionary": (FUNCTIONARY, '>>>f\n{"a": 1}', Call("f", '{"a": 1}')),
    "mcp": (
        MIRO,
        "<use_mcp_tool>\n<tool_name>f</tool_name>\n<arguments>\n{}\n</arguments>\n</use_mcp_tool>",
        Call("f", "{}"),
    ),
    "plamo": (PLAMO, PLAMO.example.partition("<|plamo:end_tool_requests")[0], Call("get_time", '{"city": "Paris"}')),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_whole_calls(case):
    row, text, call = WHOLE[case]
    assert row.parse(text, schema_of, over=False) == Found((call,), len(text))
    assert row.parse(text + " more", schema_of, over=True) == Found((call,), len(text))


def test_a_forgotten_end_is_told_by_what_follows():
    for following in ("<|tool_calls_section_end|>", kimi("functions.g:1", "{}")):
        text = kimi("functions.f:0", '{"a": 1}', "")
        found = KIMI_K2.parse(text + following, schema_of, over=False)
        assert found == Found((Call("f", '{"a": 1}', "functions.f:0"),), len(text))


OVER = {
    "no end": (KIMI_K2, kimi("f:0", '{"a": 1}', ""), '{"a": 1}'),
    "cut": (KIMI_K2, kimi("f:0", '{"a": "x', ""), '{"a": "x'),
    "an open string": (KIMI_K2, kimi("f:0", '{"a": "x}'), '{"a": "x}'),
    "open-ended, no json": (MISTRAL, "[TOOL_CALLS]f[ARGS]{'a': 1}", "{'a': 1}"),
    "code": (FUNCTIONARY, ">>>python\nprint(1)\n", '{"code": "print(1)\\n"}'),
}


@pytest.mark.parametrize("case", OVER)
def test_forgiven_at_the_end_only(case):
    row, text, arguments = OVER[case]
    assert row.parse(text, schema_of, over=False) is None
    found = row.parse(text, schema_of, over=True)
    assert found is not None
    assert (found.calls[0].arguments, found.end) == (arguments, len(text))


NOT = [
    (KIMI_K2, "<|tool_calls_section_begin|>hm"),
    (KIMI_K2, "<|tool_call_begin|>f"),
    (KIMI_K2, kimi("f:0", "ls")),
    (MISTRAL, "[TOOL_CALLS]f"),
    (MISTRAL, "[TOOL_CALLS]f[ARGS]x"),
    (FUNCTIONARY, ">>>f\nprint(1)"),
    (FUNCTIONARY, ">>>python\n  "),
    (FUNCTIONARY, ">>>ipython\nprint(1)"),
]


@pytest.mark.parametrize(("row", "text"), NOT)
def test_no_call(row, text):
    for over in (False, True):
        assert row.parse(text, schema_of, over=over) is None
