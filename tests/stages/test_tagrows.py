"""What the families of tags have of their own; what they have in common is test_tagcalls.py's."""

import json

import pytest

from understudy.stages import tagrows
from understudy.stages.tagrows import (
    GLM,
    HUNYUAN,
    INVOKE,
    K2_HORIZON,
    KIMI_K3,
    MINICPM,
    QWEN_XML,
    SEED,
    SOLAR,
)

SCHEMA = b'{"properties": {"text": {"type": "string"}, "n": {"type": "integer"}}}'


def schema_of(name):
    return SCHEMA


STEP = "<｜tool_calls_begin｜><｜tool_call_begin｜>"


def invoke(space, name, key, value, told=""):
    """One call with one value, in the tags of one family."""
    inside = f'<{space}parameter name="{key}"{told}>{value}</{space}parameter>' if key else ""
    return f'<{space}invoke name="{name}">{inside}</{space}invoke>'


def param(value):
    return f'<function name="f"><param name="text">{value}</param></function>'


def labelled(key, value):
    return f"<arg_key:x>{key}</arg_key:x><arg_value:x>{value}</arg_value:x>"


def typed(key, value, told):
    return f"<ifm|arg_key>{key}</ifm|arg_key>{told}<ifm|arg_value>{value}</ifm|arg_value>"


FORGOTTEN = """<|tool_call:start|>f
<|tool_arg:start|>text<|tool_arg:value|>a
<|tool_arg:start|>n<|tool_arg:value|>1<|tool_arg:end|><|tool_call:end|>"""
DS, TEXT, JSON = "｜DSML｜", ' string="true"', ' string="false"'
WHOLE = {
    "a frame is layout": (
        QWEN_XML,
        "<function=f>\n<parameter=text>\na\n\n</parameter>\n</function>",
        {"text": "a\n"},
    ),
    "exact": (
        SEED,
        "<seed:tool_call><function=f><parameter=text>a\n</parameter></function>",
        {"text": "a\n"},
    ),
    "exact, framed": (SEED, "<function=f><parameter=text>\na\n</parameter></function>", {"text": "a"}),
    "cdata": (MINICPM, param("<![CDATA[</param>]]>"), {"text": "</param>"}),
    "no cdata": (QWEN_XML, param("<![CDATA[a]]>"), {"text": "<![CDATA[a]]>"}),
    "cdata without an end": (MINICPM, param("<![CDATA[a"), {"text": "<![CDATA[a"}),
    "json instead": (GLM, '<tool_call>f\n{"n": 1}</tool_call>', {"n": 1}),
    "no arguments": (GLM, "<tool_call>f</tool_call>", {}),
    "a label": (HUNYUAN, f"<tool_call:x>f<tool_sep:x>{labelled('n', 1)}</tool_call:x>", {"n": 1}),
    "another end": (HUNYUAN, '<tool_call:x>f<tool_sep:x>{"n": 1}<end_of_tool_call:x>', {"n": 1}),
    "text is told": (INVOKE, invoke(DS, "f", "x", 1, TEXT), {"x": "1"}),
    "json is told": (INVOKE, invoke(DS, "f", "x", 1, JSON), {"x": 1}),
    "a blank before the word": (INVOKE, f"<{DS} calls>\n{invoke(f'{DS} ', 'f', 'n', 1, JSON)}", {"n": 1}),
    "others' tags": (
        INVOKE,
        invoke("atem:", "f", "text", "</parameter></invoke>"),
        {"text": "</parameter></invoke>"},
    ),
    "step": (INVOKE, f"{STEP}function<｜tool_sep｜>{invoke('steptml:', 'f', 'n', 1)}", {"n": 1}),
    "step, no name": (INVOKE, f"{STEP}{invoke('steptml:', 'f', '', '')}", {}),
    "other quotes": (INVOKE, "<invoke name='f'><parameter name='n'>1</parameter></invoke>", {"n": 1}),
    "a type is told": (
        K2_HORIZON,
        f"<ifm|tool_call>f{typed('x', 1, '<ifm|arg_type>string</ifm|arg_type>')}</ifm|tool_call>",
        {"x": "1"},
    ),
    "json inside": (
        K2_HORIZON,
        '<ifm|tool_call>{"name": "f", "arguments": {"n": 1}}</ifm|tool_call>',
        {"n": 1},
    ),
    "xtml": (
        KIMI_K3,
        KIMI_K3.example.replace("get_time", "f").removesuffix("<|close|>tools<|sep|>"),
        {"city": "Paris"},
    ),
    "a forgotten end": (
        SOLAR,
        FORGOTTEN,
        {"text": "a\n", "n": 1},
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_whole_calls(case):
    row, text, arguments = WHOLE[case]
    for over in (False, True):
        found = row.parse(text, schema_of, over=over)
        assert found is not None
        assert (found.end, found.calls[0].name) == (len(text), "f")
        assert json.loads(found.calls[0].arguments) == arguments


def test_every_row_of_the_module_is_tried():
    rows = {value for value in vars(tagrows).values() if isinstance(value, type(GLM))}
    assert {row for row, _, _ in WHOLE.values()} == rows
