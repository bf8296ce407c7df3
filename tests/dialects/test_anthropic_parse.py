"""Reading a question: what Claude Code and the SDKs send, what they get for nonsense, and that nothing crashes."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.dialects.anthropic_parse import TOOLS_KEPT, read
from understudy.language.errors import BadRequest
from understudy.language.request import (
    Document,
    Image,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Unknown,
)
from understudy.language.web import WebTool

HELLO = {"role": "user", "content": "hello"}


def body(**fields) -> bytes:
    whole = {"model": "m", "max_tokens": 10, "messages": [HELLO], **fields}
    return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()


def ask(**fields):
    return read(body(**fields))


def blocks(*content):
    """The same blocks read both ways: all at once, and (beside an unknown one) each by itself."""
    fast = ask(messages=[{"role": "user", "content": list(content)}]).turns[0].blocks
    careful = ask(messages=[{"role": "user", "content": [*content, {"type": "new"}]}]).turns[0].blocks
    assert careful == (*fast, Unknown("new", '{"type": "new"}'))
    return fast


def image(**source):
    return {"type": "image", "source": source}


def document(title=..., **source):
    return {"type": "document", "source": source} | ({} if title is ... else {"title": title})


def call(value=...):
    return {"type": "tool_use", "id": "t", "name": "T"} | ({} if value is ... else {"input": value})


def result(content=..., **more):
    return {"type": "tool_result", "tool_use_id": "t", **more} | (
        {} if content is ... else {"content": content}
    )


BASE64 = {"type": "base64", "media_type": "image/png", "data": "aGk="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}

BLOCKS = [
    ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}, "citations": None}, Text("a")),
    ({"type": "text", "text": "a\0b"}, Text("a\0b")),
    ({"type": "thinking", "thinking": "t", "signature": "s"}, Thinking("t", "s")),
    ({"type": "thinking", "thinking": "t", "signature": ""}, Thinking("t")),
    ({"type": "thinking", "thinking": "t"}, Thinking("t")),
    (image(**BASE64), Image("image/png", "aGk=")),
    (image(type="url", url="https://x/y.png"), Image(url="https://x/y.png")),
    (document(**PDF), Document("application/pdf", "aGk=")),
    (document("T", **PDF), Document("application/pdf", "aGk=", title="T")),
    (document(None, type="text", media_type="text/plain", data="d"), Document("text/plain", text="d")),
    (document(type="url", url="https://x/y.pdf"), Document(url="https://x/y.pdf")),
    (call(), ToolUse("t", "T", "{}")),
    (call({}), ToolUse("t", "T", "{}")),
    (call({"b": 1.0, "a": [None]}), ToolUse("t", "T", '{"b": 1.0, "a": [null]}')),
    (call("a string"), ToolUse("t", "T", '"a string"')),
    (call(None), ToolUse("t", "T", "null")),
    (call([1]), ToolUse("t", "T", "[1]")),
    (call({"__unparsedToolInput": {"raw": '{"a": ', "len": 6}}), None),
    (result(), ToolResult("t")),
    (result(None), ToolResult("t")),
    (result(""), ToolResult("t")),
    (result("out"), ToolResult("t", (Text("out"),))),
    (result([]), ToolResult("t")),
    (result("out", is_error=True), ToolResult("t", (Text("out"),), is_error=True)),
    (result("out", is_error=False), ToolResult("t", (Text("out"),))),
    (result("out", is_error=None), ToolResult("t", (Text("out"),))),
    (
        result([{"type": "text", "text": "a"}, image(**BASE64), document(**PDF)]),
        ToolResult("t", (Text("a"), Image("image/png", "aGk="), Document("application/pdf", "aGk="))),
    ),
    (result([{"type": "tool_reference", "tool_name": "X"}]), ToolResult("t", (ToolReference("X"),))),
    ({"type": "tool_reference", "tool_name": "X"}, ToolReference("X")),
]


@pytest.mark.parametrize(("sent", "expected"), [row for row in BLOCKS if row[1] is not None])
def test_known_blocks(sent, expected):
    assert blocks(sent) == (expected,)


UNKNOWN = [
    {"type": "redacted_thinking", "data": "Em=="},
    {"type": "server_tool_use", "id": "s", "name": "bash_code_execution", "input": {"command": "ls"}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "error"}},
    {"type": "container_upload", "file_id": "f"},
    {"type": "text2", "text": 5},
    image(type="file", file_id="f"),
    document(type="file", file_id="f"),
    document(type="content", content=[{"type": "text", "text": "a"}]),
]


@pytest.mark.parametrize("sent", UNKNOWN)
def test_unknown_blocks_are_kept_whole(sent):
    kept = Unknown(sent["type"], json.dumps(sent))
    found = ask(messages=[{"role": "assistant", "content": [{"type": "text", "text": "a"}, sent]}])
    assert found.turns[0].blocks == (Text("a"), kept)
    inside = ask(messages=[{"role": "user", "content": [result([sent, {"type": "text", "text": "a"}])]}])
    assert inside.turns[0].blocks == (ToolResult("t", (kept, Text("a"))),)


def test_calls_in_results_are_kept_unread():
    found = ask(messages=[{"role": "user", "content": [result([call({})])]}])
    assert found.turns[0].blocks == (ToolResult("t", (Unknown("tool_use", json.dumps(call({}))),)),)


@pytest.mark.parametrize("raw", ['{"a": ', 'say "hi"\n', "", "{'a': 1}"])
def test_what_claude_code_could_not_read_is_recovered(raw):
    text = json.dumps({"__unparsedToolInput": {"raw": raw, "len": len(raw)}}, separators=(",", ":"))
    sent = body(messages=["X"]).replace(
        b'"X"',
        b'{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"T","input":%b}]}'
        % text.encode(),
    )
    assert read(sent).turns[0].blocks == (ToolUse("t", "T", raw),)


@pytest.mark.parametrize(
    "text",
    [
        '{"__unparsedToolInput":5}',
        '{"__unparsedToolInput":{"raw":"a","len":1},"b":1}',
        '{"__unparsedToolInput2":{}}',
    ],
)
def test_a_parameter_of_that_name_is_an_input_like_any_other(text):
    sent = body(messages=["X"]).replace(
        b'"X"',
        b'{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"T","input":%b}]}'
        % text.encode(),
    )
    assert read(sent).turns[0].blocks == (ToolUse("t", "T", text),)


def test_inputs_keep_their_bytes():
    text = b'{ "b":1.0,\n "a" : [ 1e3,"\\u00e9\xc3\xa9" ] }'
    sent = body(messages=["X"]).replace(
        b'"X"',
        b'{"role":"assistant","content":[{"input": %b ,"name":"T","id":"t","type":"tool_use"}]}' % text,
    )
    assert read(sent).turns[0].blocks == (ToolUse("t", "T", text.decode()),)


CONTENTS = [("a", (Text("a"),)), ("", ()), ([], ()), ([{"type": "text", "text": ""}], (Text(""),))]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_content_is_a_string_or_a_list(content, expected, role):
    for others in ([], [{"role": "user", "content": [{"type": "new"}]}]):
        found = ask(
            messages=[*others, {"role": role, "content": content, "output_config": {"effort": "low"}}]
        )
        assert (found.turns[-1].role, found.turns[-1].blocks) == (role, expected)


SYSTEMS = [
    (..., (), ()),
    (None, (), ()),
    ("", (), ()),
    ("s", (Text("s"),), ()),
    ([], (), ()),
    (
        [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": "b"}],
        (Text("a"), Text("b")),
        (),
    ),
    ([{"type": "text", "text": "a"}, {"type": "new"}], (Text("a"),), ("system block new",)),
]


@pytest.mark.parametrize(("system", "expected", "dropped"), SYSTEMS)
def test_system(system, expected, dropped):
    found = ask(system=system)
    assert (found.system, found.dropped) == (expected, dropped)


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOLS = [
    (
        {
            "name": "T",
            "description": "d",
            "input_schema": SCHEMA,
            "cache_control": {},
            "strict": True,
            "new": 1,
        },
        Tool("T", "d", json.dumps(SCHEMA).encode()),
    ),
    ({"name": "T", "input_schema": SCHEMA, "type": "custom"}, Tool("T", "", json.dumps(SCHEMA).encode())),
    ({"name": "T", "input_schema": SCHEMA, "type": None}, Tool("T", "", json.dumps(SCHEMA).encode())),
    ({"name": "T", "description": None}, Tool("T")),
    ({"name": "T", "input_schema": None}, Tool("T")),
    ({"name": "D", "input_schema": {}, "defer_loading": True}, Tool("D", deferred=True)),
    (
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
        Tool("web_search", kind="web_search_20250305", web=WebTool("search", 8)),
    ),
    ({"type": "tool_2030", "name": "x", "input_schema": {}}, Tool("x", kind="tool_2030")),
    ({"type": "mcp_toolset", "mcp_server_name": "s"}, Tool("mcp_toolset", kind="mcp_toolset")),
]


@pytest.mark.parametrize(("sent", "expected"), TOOLS)
def test_tools(sent, expected):
    assert ask(tools=[sent]).tools == (expected,)


@pytest.mark.parametrize("tools", [..., None, []])
def test_no_tools(tools):
    assert ask(tools=tools).tools == ()


def test_the_same_tools_are_the_same_object():
    tools = [{"name": "Same", "input_schema": SCHEMA}]
    assert ask(tools=tools).tools is ask(tools=tools, messages=[HELLO, HELLO]).tools


def test_huge_tools_are_not_kept():
    tools = [{"name": "Huge", "description": "x" * TOOLS_KEPT}]
    first, second = ask(tools=tools).tools, ask(tools=tools).tools
    assert first == second
    assert first is not second


CHOICES = [
    (..., ToolChoice()),
    (None, ToolChoice()),
    ({"type": "auto"}, ToolChoice()),
    ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
    ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice("any")),
    ({"type": "tool", "name": "T"}, ToolChoice("tool", "T")),
    ({"type": "none"}, ToolChoice("none")),
]


@pytest.mark.parametrize(("sent", "expected"), CHOICES)
def test_tool_choice(sent, expected):
    assert ask(tool_choice=sent).tool_choice == expected


WISHES = [
    ({}, ThinkingWish()),
    ({"thinking": None}, ThinkingWish()),
    ({"thinking": {"type": "adaptive", "display": "omitted"}}, ThinkingWish("adaptive")),
    ({"thinking": {"type": "disabled"}}, ThinkingWish("disabled")),
    ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, ThinkingWish("enabled", 31999)),
    ({"thinking": {"type": "new"}}, ThinkingWish()),
    ({"output_config": {"effort": "high"}}, ThinkingWish(effort="high")),
    (
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        ThinkingWish("adaptive", None, "max"),
    ),
    ({"output_config": {"effort": None}}, ThinkingWish()),
]


@pytest.mark.parametrize(("sent", "expected"), WISHES)
def test_thinking(sent, expected):
    assert ask(**sent).thinking == expected


FORM = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, None),
        ({"output_config": {"format": FORM, "effort": "low"}}, json.dumps(SCHEMA).encode()),
        ({"output_format": FORM}, json.dumps(SCHEMA).encode()),
        ({"output_config": {"format": None}, "output_format": FORM}, json.dumps(SCHEMA).encode()),
        ({"output_config": {"format": {"type": "new"}}}, None),
    ],
)
def test_format(sent, expected):
    assert ask(**sent).format == expected


def test_sampling_user_stream_and_raw():
    fields = {
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["a", "b"],
        "metadata": {"user_id": '{"device_id":"d"}', "new": 1},
        "stream": True,
        "unheard_of": {"deep": []},
    }
    found = ask(**fields)
    assert msgspec.to_builtins(found.sampling) == {
        "max_tokens": 10,
        "top_logprobs": None,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "seed": None,
        "frequency_penalty": None,
        "presence_penalty": None,
        "stop": ("a", "b"),
        "repeat_penalty": None,
    }
    assert (found.user, found.stream, found.model) == ('{"device_id":"d"}', True, "m")
    assert found.raw == body(**fields)
    assert found.dropped == ()


def test_null_is_absent():
    names = "temperature top_p top_k stop_sequences metadata stream output_config output_format service_tier container"
    assert msgspec.structs.replace(ask(**dict.fromkeys(names.split())), raw=b"") == msgspec.structs.replace(
        ask(), raw=b""
    )


@pytest.mark.parametrize(
    ("name", "quiet", "loud"),
    [
        ("mcp_servers", [], [{"type": "url", "url": "u", "name": "n"}]),
        ("container", None, "container_01"),
        ("safeguards", [], [{"type": "dangerous_tool_use"}]),
        ("service_tier", "auto", "priority"),
        ("context_management", {"edits": []}, {"edits": [{"type": "clear_tool_uses_20250919"}]}),
        (
            "context_management",
            {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            {"edits": [{"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}}]},
        ),
    ],
)
def test_what_is_not_carried_is_named(name, quiet, loud):
    def compact(value):
        return json.dumps(json.loads(body(**{name: value})), separators=(",", ":")).encode()

    assert read(compact(quiet)).dropped == ()
    assert read(compact(loud)).dropped == (name,)


def content(*parts):
    return {"messages": [HELLO, {"role": "user", "content": list(parts)}]}


BAD = [
    ({"model": ...}, "model: Field required"),
    ({"model": 5}, "model: Expected str, got int"),
    ({"max_tokens": ...}, "max_tokens: Field required"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"max_tokens": 0}, "max_tokens: Expected int >= 1"),
    ({"max_tokens": "1"}, "max_tokens: Expected"),
    ({"messages": ...}, "messages: Field required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": "hello"}, "messages: Expected array, got str"),
    ({"messages": None}, "messages: Expected array, got null"),
    ({"messages": [5]}, "messages.0: Expected object, got int"),
    ({"messages": [HELLO, {"role": "user"}]}, "messages.1.content: Field required"),
    ({"messages": [{"content": "a"}]}, "messages.0.role: Field required"),
    (
        {"messages": [{"role": "tool", "content": "a"}]},
        "messages.0.role: Invalid enum value 'tool'; expected 'user'",
    ),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Expected"),
    ({"messages": [{"role": "user", "content": None}]}, "messages.0.content: Expected"),
    ({"messages": [{"role": "user", "content": {"type": "text"}}]}, "messages.0.content: Expected"),
    (content("a"), "messages.1.content.0: Expected object, got str"),
    (content({"text": "a"}), "messages.1.content.0.type: Field required"),
    (content({"type": "text"}), "messages.1.content.0.text: Field required"),
    (content({"type": "text", "text": None}), "messages.1.content.0.text: Expected str, got null"),
    (
        content({"type": "new"}, {"type": "text", "text": 5}),
        "messages.1.content.1.text: Expected str, got int",
    ),
    (content({"type": "tool_use", "name": "T", "input": {}}), "messages.1.content.0.id: Field required"),
    (content({"type": "tool_result"}), "messages.1.content.0.tool_use_id: Field required"),
    (content(result(5)), "messages.1.content.0.content: Expected"),
    (content(result([{"type": "text"}])), "messages.1.content.0.content.0.text: Field required"),
    (content(result("a", is_error="yes")), "messages.1.content.0.is_error: Expected"),
    (content({"type": "image"}), "messages.1.content.0.source: Field required"),
    (
        content(image(type="base64", media_type="image/png")),
        "messages.1.content.0.source.data: Field required",
    ),
    (content(image(type="base64", data="aGk=")), "messages.1.content.0.source.media_type: Field required"),
    (content(image(type="url")), "messages.1.content.0.source.url: Field required"),
    (content(result([image(type="url")])), "messages.1.content.0.content.0.source.url: Field required"),
    ({"system": 5}, "system: Expected"),
    ({"system": [{"type": "text"}]}, "system.0.text: Field required"),
    ({"tools": {}}, "tools: Expected array, got object"),
    ({"tools": [5]}, "tools.0: Expected object, got int"),
    ({"tools": [{}]}, "tools.0.name: Field required"),
    ({"tools": [{"name": "a"}, {"name": 5}]}, "tools.1.name: Expected str, got int"),
    ({"tools": [{"name": "a", "input_schema": "{}"}]}, "tools.0.input_schema: Expected object"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name: Field required"),
    ({"tool_choice": {"type": "maybe"}}, "tool_choice.type: Invalid enum value 'maybe'"),
    ({"tool_choice": "auto"}, "tool_choice: Expected"),
    ({"temperature": 1.5}, "temperature: Expected float <= 1.0"),
    ({"temperature": -0.1}, "temperature: Expected float >= 0.0"),
    ({"temperature": "hot"}, "temperature: Expected"),
    ({"top_p": 2}, "top_p: Expected float <= 1.0"),
    ({"top_k": -1}, "top_k: Expected int >= 0"),
    ({"stop_sequences": "a"}, "stop_sequences: Expected"),
    ({"stop_sequences": [5]}, "stop_sequences.0: Expected str, got int"),
    ({"stream": "yes"}, "stream: Expected"),
    ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens: Expected int >= 0"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema: Expected object"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id: Expected"),
]


@pytest.mark.parametrize(("fields", "words"), BAD)
def test_wrong_fields_are_named(fields, words):
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    assert caught.value.message.startswith(words), caught.value.message
    assert "`" not in caught.value.message


NOT_JSON = [
    b"",
    b" ",
    b"hello",
    b"\xef\xbb\xbf" + body(),
    body()[:-1],
    body() + b"}",
    body().replace(b"hello", b"hel\xc3"),
    body(unheard_of="x").replace(b'"x"', b'"\xff"'),
    body().replace(b"hello", b"\x00"),
    body().replace(b"hello", rb"\ud800"),
    body().replace(b"hello", rb"\udc00\ud800"),
    body(unheard_of="x").replace(b'"x"', rb'"\ud800"'),
    body(tools=[{"name": "T", "input_schema": {"a": "x"}}]).replace(b'"x"', rb'"\udfff"'),
    body(**content(call("x"))).replace(b'"x"', rb'"\ud83d"'),
    body(unheard_of=5).replace(b"5", b"NaN"),
    body().replace(b"10", b"1e999"),
    body(unheard_of=5).replace(b"5", b"[" * 100_000 + b"]" * 100_000),
    body(messages=5).replace(b"5", b"[" * 100_000 + b"]" * 100_000),
    body(**content(call(5))).replace(b": 5", b': {"a":' * 100_000 + b"1" + b"}" * 100_000),
    b"[" * 1_000_000,
]


@pytest.mark.parametrize("sent", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_no_json(sent):
    with pytest.raises(BadRequest):
        read(sent)


@pytest.mark.parametrize("others", [[], [{"type": "new"}]])
def test_nesting_is_read_or_refused_at_every_depth(others):
    sent = body(messages=[{"role": "user", "content": [call(5), *others]}])
    for depth in (*range(1, 1000, 50), *range(850, 1050)):
        found = outcome(sent.replace(b"5", b"[" * depth + b"]" * depth))
        assert isinstance(found, BadRequest) or len(found.turns[0].blocks) == 1 + len(others)


@pytest.mark.parametrize("sent", [b"5", b"null", b"[]", b'"a"'])
def test_what_is_no_object(sent):
    with pytest.raises(BadRequest, match=r"^body: Expected object"):
        read(sent)


def test_the_last_of_two_equal_keys_counts():
    assert read(body()[:-1] + b',"model":"second"}').model == "second"


def test_counting_needs_no_limit():
    found = read(b'{"model":"m","messages":[{"role":"user","content":"foo"}],"tools":[]}', limited=False)
    assert found.sampling.max_tokens is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "role", "content", "source", "input", "name", "id", "data", "url", "new"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = "model messages max_tokens system tools tool_choice thinking output_config output_format stop_sequences metadata"
KINDS = "text image document thinking tool_use tool_result tool_reference redacted_thinking"
PARTS = "text source id name input tool_use_id content is_error thinking signature tool_name"
BLOCK = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(KINDS.split()),
    st.dictionaries(st.sampled_from(PARTS.split()), JSON, max_size=5),
)


def outcome(sent: bytes):
    """The question, or why it is none."""
    try:
        return read(sent)
    except BadRequest as error:
        return error


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(sent):
    with pytest.raises(BadRequest):
        read(sent)


@given(st.dictionaries(st.sampled_from(FIELDS.split()), JSON, max_size=6))
@settings(max_examples=200)
def test_no_json_crashes_it(fields):
    found = outcome(json.dumps({"model": "m", "max_tokens": 10, "messages": [HELLO], **fields}).encode())
    assert not isinstance(found, BadRequest) or ": " in found.message


@given(st.lists(BLOCK, max_size=4))
@settings(max_examples=200)
def test_no_blocks_crash_it(parts):
    found = outcome(body(messages=[{"role": "user", "content": parts}]))
    if isinstance(found, BadRequest):
        assert found.message.startswith("messages.0.content.")
    else:
        assert len(found.turns[0].blocks) == len(parts)


RECORDED = Path(__file__).parents[3] / "shared/data/wire/wire.jsonl"


def test_recorded_questions_are_read():
    if not RECORDED.exists():
        pytest.skip(f"no recorded wires beside this checkout ({RECORDED.name})")
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    bodies = [row["body"] for row in rows if row["api"] == "anthropic"]
    assert len(bodies) > 50
    for sent in bodies:
        found = read(json.dumps(sent).encode())
        assert [turn.role for turn in found.turns] == [message["role"] for message in sent["messages"]]
        assert len(found.tools) == len(sent.get("tools") or ())
        for turn, message in zip(found.turns, sent["messages"], strict=True):
            assert isinstance(message["content"], str) or len(turn.blocks) == len(message["content"])


def test_the_same_message_is_the_same_turn_in_the_next_request():
    first, second = (
        read(b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"kept words"}%b]}' % more)
        for more in (b"", b',{"role":"assistant","content":"new"}')
    )
    assert first.turns[0] is second.turns[0]
    assert second.turns[0].blocks == (Text("kept words"),)
