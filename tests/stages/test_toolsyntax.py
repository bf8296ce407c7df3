"""What each syntax's parser makes of a text; the stream around it is test_toolcalls.py's."""

import itertools
import json
from pathlib import Path

import msgspec
import pytest

from understudy.stages.mend import Toolbox, Unmendable
from understudy.stages.toolcalls import Made, Reader
from understudy.stages.toolsyntax import (
    HERMES,
    QWEN_XML,
    SYNTAXES,
    Call,
    Found,
    hermes,
    qwen_xml,
    syntaxes_for,
)

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


# --- the table ---------------------------------------------------------------------------------------------------------


def test_no_opener_begins_another():
    openers = {opener for row in SYNTAXES.values() for opener in row.openers}
    for one, two in itertools.permutations(openers, 2):
        assert not two.startswith(one)


@pytest.mark.parametrize("row", SYNTAXES.values(), ids=SYNTAXES)
def test_a_row_is_whole(row):
    assert SYNTAXES[row.name] is row
    assert row.closers
    for opener in row.openers:
        squeezed = "".join(opener.split())
        assert any(head.startswith(squeezed) for head in row.heads), opener


CHOICES = [
    ("m", None, "hermes"),
    ("m", "", "hermes"),
    ("m", "{{ messages }}", "hermes"),
    ("m", "... <tool_call>\n<function=example>...", "qwen-xml"),
    ("m", '... <tool_call>\n{"name": ...', "hermes"),
    ("qwen3-coder:30b", None, "qwen-xml"),
    ("Qwen/Qwen3-Coder-480B", None, "qwen-xml"),
    ("Qwen3.5-4B", None, "qwen-xml"),
    ("qwen2.5-coder:7b", None, "hermes"),
    ("qwen3:8b", None, "hermes"),
    ("NousResearch/Hermes-3", "", "hermes"),
]


@pytest.mark.parametrize(("model", "template", "first"), CHOICES)
def test_which_syntax(model, template, first):
    rows = syntaxes_for(model, template)
    assert rows[0].name == first
    assert set(rows) == set(SYNTAXES.values())


# --- what models really write -----------------------------------------------------------------------------------------

DATA = Path(__file__).parents[3] / "shared" / "data" / "toolparse"
FORMATS = {
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen3-Coder",
    "Qwen3.5-4B",
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "Reka-Edge",
    "StepFun3.5-Flash",
    "openbmb-MiniCPM5-1B",
    "ernie45_moe",
    "qwen3coder",
    "step3p5",
    "xlam",
}


def recorded():
    """Rows in our two syntaxes; xlam's other rows are in syntaxes of their own."""
    files = sorted(DATA.glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    ours = [
        row for row in rows if row["format"] in FORMATS and row.get("ok", True) and not row.get("is_partial")
    ]
    return [row for row in ours if row["format"] != "xlam" or "<tool_call>" in row["raw"]]


def read(row, cuts):
    schemas = {tool["name"]: json.dumps(tool["parameters"]).encode() for tool in row.get("tools", [])}
    known = {call["name"] for call in row["expect"]["tool_calls"]} | schemas.keys()
    rows = (HERMES, QWEN_XML)
    reader = Reader(rows, known.__contains__, lambda name: schemas.get(name, b"{}"))
    raw = row["raw"].partition("</think>")[2] if "</think>" in row["raw"] else row["raw"]
    edges = [0, *cuts(len(raw)), len(raw)]
    pieces = [piece for a, b in itertools.pairwise(edges) for piece in reader.feed(raw[a:b])]
    pieces += reader.end(complete=True)
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    calls = [call for piece in pieces if isinstance(piece, Made) for call in piece.calls]
    spans = "".join(piece if isinstance(piece, str) else piece.raw for piece in pieces)
    assert spans == raw
    return text, [(call.name, msgspec.json.decode(call.arguments)) for call in calls]


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded tool calls are not beside this checkout")
def test_recorded_calls():
    rows = recorded()
    assert len(rows) > 30
    for row in rows:
        expected = [
            (call["name"], msgspec.json.decode(args) if isinstance(args := call["arguments"], str) else args)
            for call in row["expect"]["tool_calls"]
        ]
        text, calls = read(row, lambda _: [])
        assert calls == expected, row
        assert text.strip() == (row["expect"]["content"] or "").strip(), row
        assert read(row, lambda size: range(1, size)) == (text, calls), row
        for cut in range(1, len(row["raw"])):
            assert read(row, lambda size, cut=cut: [min(cut, size)]) == (text, calls), (cut, row)
