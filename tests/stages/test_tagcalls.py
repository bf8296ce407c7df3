"""Calls as tags with named values inside: what the parser makes of a text."""

import json

import msgspec
import pytest

from understudy.stages.jsoncalls import HERMES
from understudy.stages.mend import Toolbox, Unmendable
from understudy.stages.syntax import Call, Found
from understudy.stages.tagrows import INVOKE, MINICPM, QWEN_XML

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


qwen_xml = QWEN_XML.parse


def test_what_is_cut_is_never_completed():
    toolbox = Toolbox([("Bash", SCHEMA)])
    for text in (
        '<tool_call>{"name": "Bash", "arguments": {"command": "rm -rf /tmp/x',
        "<tool_call><function=Bash><parameter=command>\nrm -rf /tmp/x",
    ):
        row = HERMES if "name" in text else QWEN_XML
        found = row.parse(text, schema_of, over=True)
        assert found is not None
        assert isinstance(toolbox.mend(found.calls[0].name, found.calls[0].arguments), Unmendable)


def xml(*parameters, name="Bash"):
    inside = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters)
    return f"<function={name}>\n{inside}</function>"


TYPES = [
    ("command", "ls", "ls"),
    ("command", "42", "42"),
    ("command", '{"a": 1}', '{"a": 1}'),
    ("command", "null", "null"),
    ("command", '"quoted"', '"quoted"'),
    ("command", "  two\n\n", "  two\n\n"),
    ("command", "", ""),
    ("command", "<b>\n</b> & 格", "<b>\n</b> & 格"),
    ("timeout", "42", 42),
    ("timeout", " 42 ", 42),
    ("timeout", "soon", "soon"),
    ("timeout", "NaN", "NaN"),
    ("deep", '{"a": [1, 2.50]}', {"a": [1, 2.5]}),
    ("deep", "{broken", "{broken"),
    ("list", '["a"]', ["a"]),
    ("note", "null", None),
    ("note", "nothing", "nothing"),
    ("either", "42", 42),
    ("either", "forty", "forty"),
    ("either", '"x"', '"x"'),
    ("either", "[1]", "[1]"),
    ("number", "3.14", 3.14),
    ("number", "null", None),
    ("any", "42", 42),
    ("any", "forty", "forty"),
    ("unheard", "true", True),
    ("unheard", "True", "True"),
]


@pytest.mark.parametrize(("key", "written", "value"), TYPES)
def test_qwen_xml_types(key, written, value):
    found = qwen_xml(xml((key, written)), schema_of, over=False)
    assert found is not None
    assert msgspec.json.decode(found.calls[0].arguments) == {key: value}


def test_json_values_keep_their_bytes():
    found = qwen_xml(xml(("deep", '{"b":1 ,  "a":2.50}')), schema_of, over=False)
    assert found == Found(
        (Call("Bash", '{"deep": {"b":1 ,  "a":2.50}}'),), len(xml(("deep", '{"b":1 ,  "a":2.50}')))
    )


def test_of_a_tool_not_known_by_this_name_all_values_are_text():
    found = qwen_xml(xml(("timeout", "42"), name="bash"), schema_of, over=False)
    assert found is not None
    assert found.calls == (Call("bash", '{"timeout": "42"}'),)


@pytest.mark.parametrize("schema", [b"", b"[1]", b"{nonsense", b'{"properties": 5}'])
def test_an_odd_schema_is_no_schema(schema):
    found = qwen_xml(xml(("timeout", "42")), lambda _: schema, over=False)
    assert found is not None
    assert found.calls[0].arguments == '{"timeout": 42}'


XML_WHOLE = {
    "outer tag": f"<tool_call>\n{xml(('command', 'ls'))}",
    "one line": "<function=Bash><parameter=command>ls</parameter></function>",
    "windows": "<function=Bash>\r\n<parameter=command>\r\nls\r\n</parameter>\r\n</function>",
    "name attributes": '<function name="Bash"><param name="command">ls</param></function>',
    "quoted": "<function='Bash'><parameter=\"command\">ls</parameter></function>",
    "blanks": "<function = Bash >\n<parameter = command >\nls\n</parameter>\n</function>",
    "no bracket": "<function=Bash\n<parameter=command\nls\n</parameter>\n</function>",
    "a blank for the equals sign": "<function=Bash><parameter command>ls</parameter></function>",
    "rubbish before": "<function=Bash>\nI <b>run</b>:\n<parameter>\n<parameter=command>\nls\n</parameter>\n</function>",
    "closed twice": "<function=Bash>\n<parameter=command>\nls\n</parameter>\n</parameter></function>",
    "json inside": '<function=Bash>{"command": "ls"}</function>',
}


@pytest.mark.parametrize("case", XML_WHOLE)
def test_qwen_xml_call(case):
    text = XML_WHOLE[case]
    for over in (False, True):
        assert qwen_xml(text, schema_of, over=over) == Found((Call("Bash", '{"command": "ls"}'),), len(text))


NESTED = xml(("command", "pwd"))
XML_CONTENT = {
    "a whole call": f"Write calls so:\n{NESTED}\nlike that",
    "two calls": f"{NESTED}\n{NESTED}",
    "closing tags": "</function> or </tool_call>",
    "a parameter": "<parameter=x>1</parameter> is one",
    "given already": "<parameter=command>\nagain\n</parameter> there",
}


@pytest.mark.parametrize("case", XML_CONTENT)
def test_a_value_may_speak_of_calls(case):
    content = XML_CONTENT[case]
    text = xml(("command", content), ("timeout", "5"))
    ends = [end for end in range(len(text) + 1) if text[:end].endswith(("</function>", "</tool_call>"))]
    found = [qwen_xml(text[:end], schema_of, over=False) for end in ends]
    assert found[:-1] == [None] * (len(ends) - 1)
    assert found[-1] is not None
    assert msgspec.json.decode(found[-1].calls[0].arguments) == {"command": content, "timeout": 5}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<![CDATA[</param>]]>", "</param>"),
        ("<![CDATA[a", "<![CDATA[a"),
        ("a", "a"),
        ("<![CDATA[\na\n]]>", "\na\n"),
    ],
)
def test_a_value_may_be_wrapped(value, text):
    call = f'<function name="Bash"><param name="command">{value}</param></function>'
    found = MINICPM.parse(call, schema_of, over=False)
    assert found is not None
    assert msgspec.json.decode(found.calls[0].arguments) == {"command": text}


def test_a_value_may_be_told_to_be_text():
    call = '<invoke name="Bash"><parameter name="any" string="true">42</parameter></invoke>'
    found = INVOKE.parse(call, schema_of, over=False)
    assert found is not None
    assert msgspec.json.decode(found.calls[0].arguments) == {"any": "42"}


def test_a_forgotten_closing_tag():
    text = "<function=Bash>\n<parameter=command>\nls\n<parameter=timeout>\n5\n</parameter>\n</function>"
    found = qwen_xml(text, schema_of, over=False)
    assert found == Found((Call("Bash", '{"command": "ls", "timeout": 5}'),), len(text))


BARE = "<function=Read>\n</function>"
XML_OVER = {
    "no function end": ("<function=Bash>\n<parameter=command>\nls\n</parameter>", "", '{"command": "ls"}'),
    "then text": ("<function=Bash>\n<parameter=command>\nls\n</parameter>", "\nDone.", '{"command": "ls"}'),
    "no parameter end": (
        "<function=Bash>\n<parameter=command>\nls\n</function>",
        "\nDone",
        '{"command": "ls"}',
    ),
    "no ends but the last": (
        "<function=Bash>\n<parameter=command>\nls",
        "\n</tool_call>",
        '{"command": "ls"}',
    ),
    "cut": (
        "<function=Bash>\n<parameter=timeout>\n5\n</parameter>\n<parameter=command>ls",
        "",
        '{"timeout": 5, "command": "ls',
    ),
    "rubbish after": (
        "<function=Bash>\n<parameter=command>\nls\n</parameter>\n</wrong>\n<b>x</b></function>",
        "",
        '{"command": "ls"}',
    ),
    "an unbalanced tag": (
        "<function=Bash>\n<parameter=command>\nsee <parameter=\n</parameter>\n</function>",
        "",
        '{"command": "see <parameter="}',
    ),
    "another begins": (
        "<function=Bash>\n<parameter=command>\nls\n</parameter>",
        f"\n{BARE}",
        '{"command": "ls"}',
    ),
    "nothing but a name": ("<function=Bash>", "", "{}"),
    "broken json": ('<function=Bash>{"command": "ls}</function>', " x", '{"command": "ls}'),
    "cut json": ('<function=Bash>{"command": "ls', "", '{"command": "ls'),
    "json, no end": ('<function=Bash>{"command": "ls"}', "\nDone", '{"command": "ls"}'),
}


@pytest.mark.parametrize("case", XML_OVER)
def test_qwen_xml_forgives_at_the_end_only(case):
    text, after, arguments = XML_OVER[case]
    assert qwen_xml(text + after, schema_of, over=False) is None
    found = qwen_xml(text + after, schema_of, over=True)
    assert found is not None
    assert found.calls == (Call("Bash", arguments),)
    assert (text + after)[found.end :].strip() == after.strip()


@pytest.mark.parametrize(
    "text", ["", "<tool_call>", "<tool_call>{}", "<function>", "<function=>", "function=Bash>"]
)
def test_qwen_xml_no_call(text):
    assert qwen_xml(text, schema_of, over=True) is None


def test_broken_json_inside_a_function_waits_for_its_end():
    text = "<function=Bash>{'command': 'ls'}</function>"
    assert qwen_xml(text, schema_of, over=False) == Found((Call("Bash", "{'command': 'ls'}"),), len(text))
