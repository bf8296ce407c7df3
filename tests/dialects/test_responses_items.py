"""Items of a conversation, each by itself."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.responses_items import Piece, read_item, sealed, unsealed
from understudy.dialects.responses_tools import NOTHING
from understudy.language.errors import BadField, NoTarget
from understudy.language.request import (
    Document,
    Image,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    Unknown,
)


def read(**item) -> Piece:
    return read_item(json.dumps(item).encode(), "input[0]")


def refused(**item):
    with pytest.raises(BadField) as raised:
        read(**item)
    return raised.value.field


def message(role, content):
    return read(role=role, content=content)


# ---- messages ----


@pytest.mark.parametrize(
    ("role", "meant"),
    [("user", "user"), ("assistant", "assistant"), ("system", "system"), ("developer", "system")],
)
def test_roles(role, meant):
    assert message(role, "Hi") == Piece(meant, (Text("Hi"),), kind="message")
    assert read(type="message", role=role, content="Hi") == message(role, "Hi")


def test_empty_text_is_nothing():
    assert message("user", "").blocks == ()
    assert message("assistant", [{"type": "output_text", "text": ""}]).blocks == ()


URL = "https://example.org/a.png"
PARTS = [
    ({"type": "input_text", "text": "a"}, Text("a")),
    ({"type": "output_text", "text": "a", "annotations": []}, Text("a")),
    ({"type": "text", "text": "a"}, Text("a")),
    ({"type": "refusal", "refusal": "no"}, Text("no")),
    ({"type": "input_image", "image_url": URL, "detail": "auto"}, Image(url=URL)),
    ({"type": "input_image", "image_url": "data:image/png;base64,aGk="}, Image("image/png", "aGk=")),
    ({"type": "input_image", "image_url": "DATA:image/png;x=1;base64,aGk="}, Image("image/png", "aGk=")),
    (
        {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
        Document("application/pdf", "aGk=", title="a.pdf"),
    ),
    ({"type": "input_file", "file_data": "data:text/csv;base64,YSxi"}, Document("text/csv", text="a,b")),
    ({"type": "input_file", "file_url": "https://example.org/a"}, Document(url="https://example.org/a")),
]


@pytest.mark.parametrize(("part", "block"), PARTS)
def test_parts(part, block):
    assert message("user", [part]).blocks == (block,)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_image", "image_url": None, "file_id": "file-1"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "refusal"},
        {"type": "novelty", "text": "x"},
    ],
)
def test_what_cannot_be_shown_is_kept(part):
    (block,) = message("user", [part]).blocks
    assert isinstance(block, Unknown)
    assert (block.kind, json.loads(block.json)) == (part["type"], part)


WRONG = [
    ({"role": "tool", "content": "x"}, "input[0].role"),
    ({"role": "user"}, "input[0].content"),
    ({"role": "user", "content": None}, "input[0].content"),
    ({"role": "user", "content": 5}, "input[0].content"),
    ({"type": "message", "content": "x"}, "input[0].role"),
    ({"role": "user", "content": [{"type": "input_text"}]}, "input[0].content[0].text"),
    ({"role": "user", "content": [{"text": "x"}]}, "input[0].content[0].type"),
    ({"role": "user", "content": ["x"]}, "input[0].content[0]"),
    (
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png,x"}]},
        "input[0].content[0].image_url",
    ),
    (
        {"role": "user", "content": [{"type": "input_file", "file_data": "JVBERi0="}]},
        "input[0].content[0].file_data",
    ),
    (
        {"role": "user", "content": [{"type": "input_file", "file_data": "data:text/csv;base64,x"}]},
        "input[0].content[0].file_data",
    ),
    ({}, "input[0].type"),
    ({"type": 5}, "input[0].type"),
]


@pytest.mark.parametrize(("item", "field"), WRONG)
def test_a_wrong_message_names_its_field(item, field):
    assert refused(**item) == field


# ---- calls and what came of them ----

CALLS = [
    (
        {"type": "function_call", "call_id": "c", "name": "read", "arguments": '{"a": 1}', "id": "fc_1"},
        ToolUse("c", "read", '{"a": 1}'),
    ),
    ({"type": "function_call", "call_id": "c", "name": "now", "arguments": ""}, ToolUse("c", "now", "{}")),
    (
        {"type": "function_call", "call_id": "c", "name": "x", "namespace": "files", "arguments": "{}"},
        ToolUse("c", "files__x", "{}"),
    ),
    (
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"'},
        ToolUse("c", "patch", '{"input":"a \\"b\\""}'),
    ),
    (
        {"type": "local_shell_call", "call_id": "c", "id": "lsh_1", "action": {"command": ["ls"]}},
        ToolUse("c", "local_shell", '{"command": ["ls"]}'),
    ),
    (
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "status": "completed"},
        ToolUse("c", "shell", '{"commands": ["ls"]}'),
    ),
    (
        {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
        ToolUse("c", "apply_patch", '{"type": "delete_file", "path": "a"}'),
    ),
    (
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"q": "x"}},
        ToolUse("c", "tool_search", '{"q": "x"}'),
    ),
]


@pytest.mark.parametrize(("item", "block"), CALLS)
def test_calls(item, block):
    assert read(**item) == Piece("assistant", (block,), item.get("id", ""), item["type"], "c")


@pytest.mark.parametrize("execution", ["server", None])
def test_a_search_of_openais_servers_is_no_call(execution):
    assert read(type="tool_search_call", call_id="c", execution=execution, arguments={}).blocks == ()


TEXT = (Text("ok"),)
OUTPUTS = [
    ({"type": "function_call_output", "call_id": "c", "output": "ok"}, ToolResult("c", TEXT)),
    ({"type": "function_call_output", "call_id": "c", "output": ""}, ToolResult("c")),
    (
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": "ok"}, {"type": "input_image", "image_url": URL}],
        },
        ToolResult("c", (Text("ok"), Image(url=URL))),
    ),
    ({"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}, ToolResult("c", TEXT)),
    ({"type": "local_shell_call_output", "id": "lsh_1", "output": "ok"}, ToolResult("lsh_1", TEXT)),
    (
        {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [
                {"stdout": "a\n", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "", "stderr": "no", "outcome": {"type": "exit", "exit_code": 2}},
                {"stdout": "b", "outcome": {"type": "timeout"}},
                {"stdout": "c"},
            ],
        },
        ToolResult(
            "c",
            (Text("a\n\n[exit code 0]\n\nno\n[exit code 2]\n\nb\n[ran out of time]\n\nc\n[exit code 0]"),),
        ),
    ),
    (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "completed", "output": "ok"},
        ToolResult("c", TEXT),
    ),
    (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed"},
        ToolResult("c", (Text("failed"),), is_error=True),
    ),
]


@pytest.mark.parametrize(("item", "block"), OUTPUTS)
def test_outputs(item, block):
    call = block.tool_use_id
    assert read(**item) == Piece("user", (block,), item.get("id", ""), item["type"], call)


BROKEN = [
    ({"type": "function_call", "call_id": "c", "arguments": "{}"}, "input[0].name"),
    ({"type": "function_call", "name": "x", "arguments": "{}"}, "input[0].call_id"),
    ({"type": "function_call", "name": "x", "call_id": "c"}, "input[0].arguments"),
    ({"type": "function_call", "name": "x", "call_id": "c", "arguments": {}}, "input[0].arguments"),
    ({"type": "custom_tool_call", "name": "x", "call_id": "c"}, "input[0].input"),
    ({"type": "shell_call", "call_id": "c"}, "input[0].action"),
    ({"type": "apply_patch_call", "call_id": "c"}, "input[0].operation"),
    ({"type": "apply_patch_call", "operation": {}}, "input[0].call_id"),
    ({"type": "function_call_output", "output": "x"}, "input[0].call_id"),
    ({"type": "function_call_output", "call_id": "c"}, "input[0].output"),
    ({"type": "function_call_output", "call_id": "c", "output": 5}, "input[0].output"),
    ({"type": "shell_call_output", "call_id": "c", "output": "x"}, "input[0].output"),
    ({"type": "tool_search_output", "execution": "client", "tools": []}, "input[0].call_id"),
    ({"type": "tool_search_output", "tools": [{"type": "function"}]}, "input[0].tools[0].name"),
]


@pytest.mark.parametrize(("item", "field"), BROKEN)
def test_a_wrong_call_names_its_field(item, field):
    assert refused(**item) == field


# ---- tools that come later ----

FOUND = {"type": "function", "name": "later", "parameters": {"type": "object"}}


def test_a_search_of_the_clients_answers_its_call():
    piece = read(type="tool_search_output", call_id="c", execution="client", tools=[FOUND])
    assert (piece.role, piece.blocks) == ("user", (ToolResult("c", (ToolReference("later"),)),))
    assert [(tool.name, tool.deferred) for tool in piece.offer.tools] == [("later", True)]
    nothing = read(type="tool_search_output", call_id="c", execution="client", tools=[])
    assert nothing.blocks == (ToolResult("c", (Text("No tool was found."),)),)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "tool_search_output", "call_id": None, "execution": "server"},
        {"type": "additional_tools", "role": "developer"},
    ],
)
def test_other_tools_are_shown_where_they_came(item):
    piece = read(**item, tools=[FOUND])
    assert (piece.role, piece.blocks) == ("user", (ToolReference("later"),))
    assert piece.offer.ways["later"].namespace == "later"


# ---- reasoning ----


def test_reasoning_has_its_text_where_it_is():
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    content = [{"type": "reasoning_text", "text": "c"}]
    assert read(type="reasoning", summary=summary).blocks == (Thinking("a\n\nb"),)
    assert read(type="reasoning", summary=summary, content=content).blocks == (Thinking("c"),)
    assert read(type="reasoning", summary=summary, content=[]).blocks == (Thinking("a\n\nb"),)
    assert read(type="reasoning", summary=[], encrypted_content="gAAAA").blocks == ()
    assert read(type="reasoning").blocks == ()


@given(st.text(), st.text())
def test_reasoning_is_packed_and_unpacked(text, signature):
    thought = Thinking(text, signature)
    assert unsealed(sealed(thought)) == thought
    item = {"type": "reasoning", "summary": [], "encrypted_content": sealed(thought)}
    assert read(**item).blocks == (thought,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gAAAAABqPVW8",
        "understudy.x",
        "understudy." + b64encode(b"{}").decode(),
        "understudy." + b64encode(b"[\xff]").decode(),
    ],
)
def test_what_others_have_packed_stays_packed(text):
    assert unsealed(text) is None
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}
    assert read(**item, encrypted_content=text).blocks == (Thinking("a"),)


# ---- the rest ----


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("web_search_call", "assistant"),
        ("image_generation_call", "assistant"),
        ("mcp_list_tools", "assistant"),
        ("compaction", "assistant"),
        ("novelty", "assistant"),
        ("computer_call_output", "user"),
        ("mcp_approval_response", "user"),
    ],
)
def test_what_is_not_known_is_kept_and_named(kind, role):
    item = {"type": kind, "id": "x", "status": 5, "arguments": 7}
    assert read(**item) == Piece(role, (Unknown(kind, json.dumps(item)),), "x", kind, known=False)


@pytest.mark.parametrize("kind", ["item_reference", None])
def test_a_reference_to_nothing(kind):
    with pytest.raises(NoTarget, match="Item with id 'msg_1' not found"):
        read(type=kind, id="msg_1")


def test_the_same_bytes_mean_the_same_object():
    raw = b'{"role":"user","content":"once"}'
    assert read_item(raw, "input[0]") is read_item(bytes(bytearray(raw)), "input[7]")
    assert read_item(raw, "x").offer is NOTHING
