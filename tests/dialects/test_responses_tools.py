"""Tools: what the model is offered, and what its calls are called by the client."""

import json

import pytest
from msgspec import Raw

from understudy.dialects.responses_tools import (
    NATIVE,
    NOTHING,
    Offer,
    Way,
    as_arguments,
    as_text,
    in_place,
    joined,
    offered_name,
    read_found,
    read_tools,
)
from understudy.language.errors import BadField
from understudy.language.request import Tool

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
READ = {
    "type": "function",
    "name": "read",
    "description": "Reads",
    "parameters": SCHEMA,
    "strict": True,
}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Finds", "parameters": SCHEMA}


def raw(*tools):
    return Raw(json.dumps(tools).encode())


def offer(*tools) -> Offer:
    return read_tools(raw(*tools))


def test_a_function_is_offered_as_it_is():
    found = offer(READ)
    assert found.tools == (Tool("read", "Reads", json.dumps(SCHEMA).encode()),)
    assert found.ways == {"read": Way("function", "read")}
    assert found.strange == ()


def test_a_function_needs_neither_words_nor_schema():
    assert offer({"type": "function", "name": "now", "parameters": None}).tools == (Tool("now"),)


def test_no_tools():
    assert read_tools(Raw(b"null")) == read_tools(Raw(b"")) == NOTHING


def test_the_same_bytes_give_the_same_object():
    assert offer(READ).tools is offer(READ).tools


CUSTOM = [
    (None, "The whole input, as plain text."),
    ({"type": "text"}, "The whole input, as plain text."),
    (
        {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'},
        'The whole input, as text that this lark grammar allows:\nstart: "a"',
    ),
    (
        {"type": "grammar", "definition": "[a]"},
        "The whole input, as text that this lark grammar allows:\n[a]",
    ),
]


@pytest.mark.parametrize(("form", "words"), CUSTOM)
def test_a_custom_tool_is_a_function_of_one_text(form, words):
    found = offer({"type": "custom", "name": "patch", "description": "Patches", "format": form})
    (tool,) = found.tools
    assert (tool.name, tool.description) == ("patch", "Patches")
    schema = json.loads(tool.schema)
    assert schema["properties"] == {"input": {"type": "string", "description": words}}
    assert (schema["required"], schema["additionalProperties"]) == (["input"], False)
    assert found.ways == {"patch": Way("custom", "patch")}


def test_tools_of_the_apis_own_that_the_client_runs():
    found = offer({"type": "local_shell"}, {"type": "apply_patch"}, {"type": "shell"}, SEARCH)
    assert [tool.name for tool in found.tools] == ["local_shell", "apply_patch", "shell", "tool_search"]
    assert [way.kind for way in found.ways.values()] == [tool.name for tool in found.tools]
    for tool in found.tools:
        assert tool.description
        assert json.loads(tool.schema)["type"] == "object"
    assert found.tools[3] == Tool("tool_search", "Finds", json.dumps(SCHEMA).encode())


def test_a_shell_is_the_clients_unless_it_is_in_a_container():
    assert offer({"type": "shell", "environment": {"type": "local"}}).tools
    assert offer({"type": "shell", "environment": None}).tools
    assert offer({"type": "shell", "environment": {"type": "container_auto"}}).strange == (
        "tools[0] of type shell",
    )


@pytest.mark.parametrize(
    "kind",
    ["web_search", "file_search", "code_interpreter", "mcp", "image_generation", "computer", "tool_search"],
)
def test_what_openais_servers_do_is_named(kind):
    found = offer(READ, {"type": kind, "server_label": "x"})
    assert [tool.name for tool in found.tools] == ["read"]
    assert found.strange == (f"tools[1] of type {kind}",)


def test_a_namespace_is_in_the_name():
    inside = [READ, {"type": "custom", "name": "note"}, {"type": "web_search"}, {"type": "function"}]
    space = {"type": "namespace", "name": "mcp__files", "description": "Files", "tools": inside[:3]}
    found = offer(space)
    assert [tool.name for tool in found.tools] == ["mcp__files__read", "mcp__files__note"]
    assert found.tools[0].description == "Reads\n[mcp__files: Files]"
    assert found.tools[1].description == ""  # what is said of all is said once
    assert found.ways["mcp__files__read"] == Way("function", "read", "mcp__files")
    assert found.ways["mcp__files__note"] == Way("custom", "note", "mcp__files")
    assert found.strange == ("tools[0].tools[2] of type web_search",)
    with pytest.raises(BadField) as raised:
        offer({**space, "tools": inside})
    assert raised.value.field == "tools[0].tools[3].name"
    assert offer({"type": "namespace", "name": "empty"}).tools == ()


@pytest.mark.parametrize(
    ("name", "namespace", "shown"),
    [
        ("read", None, "read"),
        ("read", "", "read"),
        ("read", "read", "read"),
        ("read", "functions", "read"),
        ("read", "files", "files__read"),
        ("read", "mcp__files__", "mcp__files__read"),
        ("_read", "mcp__files", "mcp__files_read"),
    ],
)
def test_offered_names(name, namespace, shown):
    assert offered_name(name, namespace) == shown


LATER = {**READ, "name": "later", "defer_loading": True}


def test_a_deferred_tool_waits_for_the_clients_search():
    found = offer(SEARCH, READ, LATER)
    assert [tool.deferred for tool in found.tools] == [False, False, True]
    assert found.ways["later"] == Way("function", "later", "later")


@pytest.mark.parametrize("search", [(), ({"type": "tool_search"},)])
def test_where_nobody_searches_it_is_offered_at_once(search):
    found = offer(*search, READ, LATER)
    assert [(tool.name, tool.deferred) for tool in found.tools] == [("read", False), ("later", False)]


def test_what_was_found_is_shown_where_it_was_found():
    found = read_found(raw(READ, {"type": "web_search"}), "input[2].tools")
    assert [(tool.name, tool.deferred) for tool in found.tools] == [("read", True)]
    assert found.ways == {"read": Way("function", "read", "read")}
    assert found.strange == ("input[2].tools[1] of type web_search",)
    assert read_found(Raw(b"null"), "input[2].tools").tools == ()


def test_two_tools_of_one_name():
    found = offer(READ, {**READ, "description": "again"}, {"type": "shell"}, {**READ, "name": "shell"})
    assert [tool.description for tool in found.tools][:1] == ["Reads"]
    assert found.strange == (
        "tools[1]: a second tool called read",
        "tools[3]: a second tool called shell",
    )
    assert offer({**READ, "name": "shell"}, {"type": "shell"}).strange == (
        "tools[1]: a second tool called shell",
    )


def test_offers_join_and_the_first_of_a_name_is_meant():
    first, found = offer(SEARCH, READ, LATER), read_found(raw(LATER, {**READ, "name": "new"}), "x")
    both = joined(first, found, found)
    assert [tool.name for tool in both.tools] == ["tool_search", "read", "later", "new"]
    assert both.ways["new"] == Way("function", "new", "new")
    assert joined(first, read_found(raw(LATER), "x")).tools is first.tools
    assert joined(first) == first


BROKEN = [
    ([{"name": "x"}], "tools[0].type"),
    ([{"type": "function"}], "tools[0].name"),
    ([{"type": "function", "name": ""}], "tools[0].name"),
    ([{"type": "function", "name": "x", "parameters": 5}], "tools[0].parameters"),
    ([READ, {"type": "namespace"}], "tools[1].name"),
    ([{"type": "namespace", "name": "n", "tools": [5]}], "tools[0].tools[0]"),
    ({"a": 1}, "tools"),
]


@pytest.mark.parametrize(("tools", "field"), BROKEN)
def test_a_tool_that_cannot_be_read_is_named(tools, field):
    with pytest.raises(BadField) as raised:
        read_tools(Raw(json.dumps(tools).encode()))
    assert raised.value.field == field


@pytest.mark.parametrize("text", ["", "plain", '{"a": 1}', "line\nline ü \U0001f600"])
def test_a_custom_input_and_back(text):
    assert as_text(as_arguments(text)) == text


@pytest.mark.parametrize("arguments", ["", "no JSON", "[1]", '{"other": "x"}', '{"input": 5}'])
def test_arguments_of_another_form_are_the_text(arguments):
    assert as_text(arguments) == arguments


PLACED = [
    (
        "local_shell",
        '{"command": ["ls"], "env": {"A": "b"}}',
        {"type": "exec", "env": {"A": "b"}, "command": ["ls"]},
    ),
    ("local_shell", '{"command": ["ls"]}', {"type": "exec", "env": {}, "command": ["ls"]}),
    ("shell", '{"commands": ["ls"]}', {"commands": ["ls"]}),
    ("shell", "no JSON", "no JSON"),
]


@pytest.mark.parametrize(("tool", "arguments", "placed"), PLACED)
def test_native_calls_in_their_place(tool, arguments, placed):
    assert json.loads(bytes(in_place(NATIVE[tool], arguments))) == placed
