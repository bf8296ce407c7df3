"""The Messages API as it is written: for gateways, for Claude Code, and for the official SDK as the judge."""

import json
from pathlib import Path

import anthropic
import httpx2  # the SDK's own HTTP client: it takes no other
import msgspec
import pytest
from harness import feed, ids, legal, meaning, merged, wires
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.dialects import Quirks, dialect
from understudy.dialects.anthropic import DIALECT, MAX_TOKENS
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    MessageStop,
    Progress,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from understudy.language.message import Cited, Message, collect, replay
from understudy.language.request import (
    Document,
    Image,
    Request,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
    change,
)
from understudy.language.web import ServerToolUse, WebResult, WebTool

ASK = Request("m", (Turn("user", (Text("hello"),)),))


def decoder():
    return DIALECT.decoder(ids())


def encoded(*events, model="shown"):
    return DIALECT.encoder(ASK, model).encode(events)


def test_it_is_the_dialect():
    assert dialect("anthropic") is DIALECT
    assert (DIALECT.name, DIALECT.stream_type) == ("anthropic", "text/event-stream")


# ---- render ----


def rendered(request, quirks=None):
    return json.loads(DIALECT.render(request, quirks or Quirks()))


def test_the_least_question():
    assert rendered(ASK) == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "max_tokens": MAX_TOKENS,
        "stream": True,
    }


PICTURE = Image("image/png", "aGk=")
FULL = Request(
    "m",
    (
        Turn("user", (Text("hello"), PICTURE, Image(url="https://x/y.png"))),
        Turn("user", (Document("application/pdf", "aGk=", title="T"), Document("text/plain", text="plain"))),
        Turn("user", (Document(url="https://x/y"),)),
        Turn("assistant", (Thinking("hm", "sig"), Text("ok"), ToolUse("t1", "T", '{"a":1.0}'))),
        Turn("assistant", (Unknown("new", '{"type":"new","x":[1]}'),)),
        Turn(
            "user",
            (ToolResult("t1", (Text("out"), PICTURE, ToolReference("D")), is_error=True), ToolResult("t2")),
        ),
    ),
    system=(Text("a"), Text("b")),
    tools=(
        Tool("T", "d", b'{"type":"object","a":1.0}'),
        Tool("D", deferred=True),
        Tool("web_search", kind="web_search_1", web=WebTool("search")),
    ),
    tool_choice=ToolChoice("any", parallel=False),
    sampling=Sampling(max_tokens=5, temperature=0.5, top_p=0.9, top_k=3, stop=("x",)),
    thinking=ThinkingWish("enabled", 2000, "high"),
    format=b'{"type":"object"}',
    user="u",
)


def test_a_question_survives_the_way_there_and_back():
    sent = DIALECT.render(FULL)
    assert DIALECT.parse(sent) == change(FULL, stream=True, raw=sent)
    assert b'"a":1.0' in sent


T = Tool("T", "", b"{}")
U = Tool("U", "", b"{}")
# name, what is changed, quirks, field, what it is
RENDERED = [
    (
        "system turns stay in place",
        {"turns": (*ASK.turns, Turn("system", (Text("s"),)))},
        {},
        "messages.1.role",
        "user",
    ),
    ("warm", {"sampling": Sampling(temperature=2.0)}, {}, "temperature", 1.0),
    ("no tools", {"tools": (T,), "tool_choice": ToolChoice("any")}, {"tools": False}, "tools", None),
    (
        "no choice without tools",
        {"tools": (T,), "tool_choice": ToolChoice("any")},
        {"tools": False},
        "tool_choice",
        None,
    ),
    ("auto is the default", {"tools": (T,)}, {}, "tool_choice", None),
    (
        "one at a time",
        {"tools": (T,), "tool_choice": ToolChoice(parallel=False)},
        {},
        "tool_choice",
        {"type": "auto", "disable_parallel_tool_use": True},
    ),
    (
        "none",
        {"tools": (T,), "tool_choice": ToolChoice("none", parallel=False)},
        {},
        "tool_choice",
        {"type": "none"},
    ),
    (
        "named",
        {"tools": (T, U), "tool_choice": ToolChoice("tool", "U")},
        {},
        "tool_choice",
        {"type": "tool", "name": "U"},
    ),
    (
        "named the other way",
        {"tools": (T, U), "tool_choice": ToolChoice("tool", "U")},
        {"named_tool_choice": False},
        "tools",
        [{"name": "U", "input_schema": {}}],
    ),
    (
        "named the other way: must",
        {"tools": (T, U), "tool_choice": ToolChoice("tool", "U")},
        {"named_tool_choice": False},
        "tool_choice",
        {"type": "any"},
    ),
    (
        "thinking on",
        {"thinking": ThinkingWish("enabled")},
        {},
        "thinking",
        {"type": "enabled", "budget_tokens": 1024},
    ),
    ("thinking off", {"thinking": ThinkingWish("disabled", 5)}, {}, "thinking", {"type": "disabled"}),
    ("adaptive", {"thinking": ThinkingWish("adaptive")}, {}, "thinking", {"type": "adaptive"}),
    ("effort", {"thinking": ThinkingWish(effort="low")}, {}, "output_config", {"effort": "low"}),
    ("options", {"options": {"id_slot": 3}}, {}, "id_slot", 3),
    ("half a surrogate", {"system": (Text("a\ud800"),)}, {}, "system.0.text", "a\ufffd"),
]


@pytest.mark.parametrize(
    ("name", "changes", "quirks", "path", "expected"), RENDERED, ids=[row[0] for row in RENDERED]
)
def test_rendered(name, changes, quirks, path, expected):
    found = rendered(change(ASK, **changes), Quirks(**quirks))
    for step in path.split("."):
        found = found[int(step)] if isinstance(found, list) else found.get(step)
    assert found == expected


# block, quirks, what is sent (None: nothing)
SENT = [
    (Thinking("t", "s"), {}, {"type": "thinking", "thinking": "t", "signature": "s"}),
    (Thinking("t"), {}, None),
    (Thinking("t"), {"reasoning_field": "thinking"}, {"type": "thinking", "thinking": "t", "signature": ""}),
    (
        Image("image/png", "aGk="),
        {"images": False},
        {"type": "text", "text": "[an image that this model cannot see]"},
    ),
    (ToolUse("t", "T", ""), {}, {"type": "tool_use", "id": "t", "name": "T", "input": {}}),
    (ToolUse("t", "T", ' {"a":1}'), {}, {"type": "tool_use", "id": "t", "name": "T", "input": {"a": 1}}),
    (
        ToolUse("t", "T", '{"a":'),
        {},
        {
            "type": "tool_use",
            "id": "t",
            "name": "T",
            "input": {"__unparsedToolInput": {"raw": '{"a":', "len": 5}},
        },
    ),
    (
        ToolUse("t", "T", '"s"'),
        {},
        {
            "type": "tool_use",
            "id": "t",
            "name": "T",
            "input": {"__unparsedToolInput": {"raw": '"s"', "len": 3}},
        },
    ),
]


@pytest.mark.parametrize(("block", "quirks", "expected"), SENT)
def test_rendered_blocks(block, quirks, expected):
    found = rendered(change(ASK, turns=(Turn("assistant", (block,)),)), Quirks(**quirks))["messages"][0][
        "content"
    ]
    assert found == ([] if expected is None else [expected])


# ---- the stream, byte for byte ----

USAGE0 = (
    '"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}'
)
STREAM = """event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"shown","content":[],\
"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":0,\
"cache_read_input_tokens":3,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"ab"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\\n\\"b\\" 你"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t\\"1","name":"T","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":7,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"""
EVENTS = [
    Progress(1, 2, 0),
    MessageStart("msg_1", "engine's name", Usage(10, 3)),
    BlockStart("thinking"),
    ThinkingDelta("hm"),
    SignatureDelta("a"),
    ThinkingDelta(""),
    SignatureDelta("b"),
    BlockStop(),
    BlockStart("text"),
    TextDelta('a\n"b" 你'),
    Progress(2, 2, 0),
    TextDelta(""),
    BlockStop(),
    BlockStart("tool_use", 't"1', "T"),
    InputDelta('{"a"'),
    InputDelta(":1}"),
    BlockStop(),
    MessageStop("tool_use", None, Usage(10, 3, 9)),
]


def test_the_stream_byte_for_byte():
    assert encoded(*EVENTS).decode() == STREAM


def test_one_by_one_is_the_same():
    encoder = DIALECT.encoder(ASK, "shown")
    assert b"".join(encoder.encode([event]) for event in EVENTS).decode() == STREAM


def test_no_name_to_show_shows_the_engines():
    assert b'"model":"own"' in encoded(MessageStart("msg_1", "own"), model="")


def test_progress_says_nothing():
    assert encoded(Progress(1, 2, 0)) == b""


def test_the_ping():
    assert DIALECT.encoder(ASK, "m").ping == b'event: ping\ndata: {"type": "ping"}\n\n'


def deltas(stream: bytes):
    rows = [json.loads(line[6:]) for line in stream.decode().split("\n") if line.startswith("data: ")]
    return [row["delta"] for row in rows if row["type"] == "content_block_delta"]


def test_a_call_without_input_gets_an_empty_one():
    stream = encoded(MessageStart("m"), BlockStart("tool_use", "t", "T"), InputDelta(""), BlockStop())
    assert deltas(stream) == [{"type": "input_json_delta", "partial_json": "{}"}]


def test_thinking_is_always_signed():
    stream = encoded(MessageStart("m"), BlockStart("thinking"), ThinkingDelta("t"), BlockStop())
    assert deltas(stream)[-1] == {"type": "signature_delta", "signature": ""}


def test_each_block_is_signed_for_itself():
    one = (BlockStart("thinking"), SignatureDelta("s"), BlockStop())
    assert [
        delta["signature"]
        for delta in deltas(encoded(MessageStart("m"), *one, BlockStart("thinking"), BlockStop()))
    ] == ["s", ""]


@pytest.mark.parametrize("kind", ["text", "thinking", "tool_use"])
def test_half_a_surrogate_is_replaced(kind):
    make = {"text": TextDelta, "thinking": ThinkingDelta, "tool_use": InputDelta}[kind]
    assert "a\ufffd" in deltas(encoded(MessageStart("m"), BlockStart(kind), make("a\ud83d")))[0].values()


def test_the_failure_is_the_last_word():
    failed = Failed(errors.EngineBusy("full; try later"))
    encoder = DIALECT.encoder(ASK, "m")
    encoder.encode([MessageStart("msg_1"), BlockStart("text"), TextDelta("a")])
    assert encoder.encode([failed, TextDelta("b"), MessageStop("end_turn")]) == (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"full; try later"}}\n\n'
    )
    assert encoder.encode([TextDelta("c"), failed]) == b""


def test_nothing_after_the_end():
    encoder = DIALECT.encoder(ASK, "m")
    assert encoder.encode([MessageStart("m"), MessageStop("end_turn"), TextDelta("b")]).endswith(
        b'{"type":"message_stop"}\n\n'
    )
    assert encoder.encode([TextDelta("c")]) == b""


# ---- whole, error, refusal ----


def test_a_whole_answer_byte_for_byte():
    message = Message(
        "msg_1",
        "own",
        (
            Thinking("t"),
            Text("a"),
            ToolUse("t1", "T", '{"b":1.0}'),
            ToolUse("t2", "T", ""),
            ToolUse("t3", "T", "{"),
        ),
        "tool_use",
        None,
        Usage(10, None, 9),
    )
    assert DIALECT.whole(message, ASK, "shown").decode() == (
        '{"id":"msg_1","type":"message","role":"assistant","model":"shown","content":['
        '{"type":"thinking","thinking":"t","signature":""},{"type":"text","text":"a"},'
        '{"type":"tool_use","id":"t1","name":"T","input":{"b":1.0}},{"type":"tool_use","id":"t2","name":"T","input":{}},'
        '{"type":"tool_use","id":"t3","name":"T","input":{"__unparsedToolInput":{"raw":"{","len":1}}}],'
        '"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,'
        '"cache_read_input_tokens":0,"output_tokens":9}}'
    )


def test_a_whole_answer_with_half_a_surrogate():
    message = Message(
        "msg_1", "own", (Text("a\ud800"), ToolUse("t", "T", '{"a":"\udc00"}')), "stop_sequence", "\ud800"
    )
    found = json.loads(DIALECT.whole(message, ASK, ""))
    assert (found["content"][0]["text"], found["content"][1]["input"], found["model"]) == (
        "a\ufffd",
        {"a": "\ufffd"},
        "own",
    )


ERRORS = [
    (errors.BadRequest("b"), 400, "invalid_request_error"),
    (errors.PromptTooLong(9, 8), 400, "invalid_request_error"),
    (errors.Unauthorized("b"), 401, "authentication_error"),
    (errors.Forbidden("b"), 403, "permission_error"),
    (errors.NoTarget("b"), 404, "not_found_error"),
    (errors.TooLarge("b"), 413, "request_too_large"),
    (errors.Refused("b"), 429, "rate_limit_error"),
    (errors.EngineError("b"), 502, "api_error"),
    (errors.EngineBusy("b"), 503, "overloaded_error"),
    (errors.EngineTimeout("b"), 504, "timeout_error"),
    (errors.Bug("b\ud800"), 500, "api_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), ERRORS)
def test_errors(error, status, kind):
    found = json.loads(DIALECT.error(error, "req_1"))
    said = error.message.replace("\ud800", "\ufffd")
    assert found == {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}
    assert error.status == status


def test_refusals_are_read():
    body = DIALECT.error(errors.PromptTooLong(9, 8), "req_1")
    assert isinstance(DIALECT.refusal(400, body), errors.PromptTooLong)
    assert DIALECT.refusal(529, b"", 3.0).retry_after == 3.0


def test_counting_needs_no_limit():
    assert DIALECT.parse_count(b'{"model":"m","messages":[{"role":"user","content":"foo"}]}').model == "m"
    with pytest.raises(errors.BadRequest, match="max_tokens: Field required"):
        DIALECT.parse(b'{"model":"m","messages":[{"role":"user","content":"foo"}]}')


# ---- the official SDK is the judge ----


def sdk(content: bytes, kind: str, status: int = 200):
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=content, headers={"content-type": kind})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(
        api_key="none", base_url="http://understudy.test", http_client=transport, max_retries=0
    )


QUESTION = {"model": "local", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}


def streamed_to_sdk(stream: bytes):
    with sdk(stream, "text/event-stream").messages.stream(**QUESTION) as answer:
        return answer.get_final_message()


def said_by(message):
    """An SDK message in our own words."""
    blocks = []
    for block in message.content:
        match block.type:
            case "text":
                blocks.append(Text(block.text))
            case "thinking":
                blocks.append(Thinking(block.thinking, block.signature))
            case "tool_use":
                blocks.append((block.id, block.name, block.input))
            case "server_tool_use" if block.name.startswith("web_"):
                blocks.append(("served", block.id, block.name, block.input))
            case "web_search_tool_result" | "web_fetch_tool_result":
                blocks.append(("served", block.tool_use_id))
    usage = message.usage
    return (
        blocks,
        message.stop_reason,
        message.stop_sequence,
        usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens,
        usage.output_tokens,
    )


def said(message: Message):
    """Our message, to be compared with said_by()."""
    blocks = []
    for block in message.blocks:
        match block:
            case ToolUse(id=call, name=name, input=given):
                blocks.append((call, name, json.loads(given)))
            case ServerToolUse(id=call, name=name, input=given):
                blocks.append(("served", call, name, json.loads(given)))
            case WebResult(call):
                blocks.append(("served", call))
            case Cited(text=text):
                blocks.append(Text(text))
            case _:
                blocks.append(block)
    return (
        blocks,
        message.stop_reason,
        message.stop_sequence,
        message.usage.input_tokens,
        message.usage.output_tokens,
    )


WIRES = wires("anthropic")
FINISHED = [path for path in WIRES if meaning(path)[-1]["event"] == "MessageStop"]


@pytest.mark.parametrize("path", FINISHED, ids=[path.stem for path in FINISHED])
def test_the_sdk_reads_what_we_read(path):
    events = feed(decoder, [path.read_bytes()])
    message = collect(events)
    stream = DIALECT.encoder(ASK, "").encode(events)
    assert said_by(streamed_to_sdk(stream)) == said(message)
    whole = DIALECT.whole(message, ASK, "")
    assert said_by(sdk(whole, "application/json").messages.create(**QUESTION)) == said(message)
    again = collect(feed(decoder, [stream]))
    assert (again.id, again.blocks, again.stop_reason) == (message.id, message.blocks, message.stop_reason)


@pytest.mark.parametrize("text", ["Hi", '"\n\\', "你好 🙂", "\ud83d", "\u2028"])
def test_more_text_is_written_as_its_event_would_be(text):
    one, other = (DIALECT.encoder(ASK, "m") for _ in range(2))
    for encoder in (one, other):
        encoder.encode(EVENTS[:1])
        encoder.encode([BlockStart("text")])
    assert one.more(text) == other.encode([TextDelta(text)])


def test_the_sdk_takes_pings_anywhere():
    encoder = DIALECT.encoder(ASK, "m")
    stream = encoder.ping + b"".join(encoder.encode([event]) + encoder.ping for event in EVENTS)
    blocks, *_ = said_by(streamed_to_sdk(stream))
    assert blocks == [Thinking("hm", "ab"), Text('a\n"b" 你'), ('t"1', "T", {"a": 1})]


def test_the_sdk_sees_a_failure_as_one():
    stream = encoded(
        MessageStart("m"), BlockStart("text"), TextDelta("a"), Failed(errors.EngineLost("the engine died"))
    )
    with pytest.raises(anthropic.APIStatusError, match="the engine died"):
        streamed_to_sdk(stream)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.PromptTooLong(9, 8), anthropic.BadRequestError),
        (errors.Unauthorized("no"), anthropic.AuthenticationError),
        (errors.NoTarget("no"), anthropic.NotFoundError),
        (errors.Refused("no"), anthropic.RateLimitError),
        (errors.EngineBusy("no"), anthropic.APIStatusError),
    ],
)
def test_the_sdk_knows_our_errors(error, expected):
    with pytest.raises(expected) as caught:
        sdk(DIALECT.error(error, "req_1"), "application/json", error.status).messages.create(**QUESTION)
    assert caught.value.body["error"] == {"type": error.kind, "message": error.message}


# ---- properties ----

TEXTS = st.text(max_size=8)
INPUTS = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
PARTS = st.lists(
    st.one_of(
        st.builds(Text, TEXTS.filter(bool)),
        st.builds(Thinking, TEXTS.filter(bool), TEXTS),
        st.builds(ToolUse, TEXTS.filter(bool), TEXTS, INPUTS),
    ),
    max_size=4,
).map(tuple)
COUNTS = st.integers(0, 10**6)
MESSAGES = st.builds(
    Message,
    st.just("msg_1"),
    TEXTS,
    PARTS,
    st.sampled_from(["end_turn", "max_tokens", "tool_use", "pause_turn", "refusal"]),
    st.none(),
    st.builds(
        lambda fresh, cached, out: Usage(fresh + cached, cached, out),
        st.integers(1, 10**6),
        COUNTS,
        st.integers(1, 10**6),
    ),
)


@given(MESSAGES)
def test_every_answer_survives_our_own_wire(message):
    events = legal(replay(message))
    stream = DIALECT.encoder(ASK, "").encode(events)
    assert collect(feed(decoder, [stream])) == message
    assert merged(feed(decoder, [stream]))[0] == events[0]


@given(MESSAGES)
@settings(max_examples=20, deadline=None)
def test_the_sdk_reads_every_answer(message):
    stream = DIALECT.encoder(ASK, "").encode(replay(message))
    assert said_by(streamed_to_sdk(stream)) == said(message)


# ---- what the real API once said ----

RECORDED = Path(__file__).parents[3] / "shared/data/wire/wire.jsonl"


def test_recorded_streams_are_the_same_to_the_sdk():
    if not RECORDED.exists():
        pytest.skip(f"no recorded wires beside this checkout ({RECORDED.name})")
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    streams = [row["sse"].encode() for row in rows if row["api"] == "anthropic" and "sse" in row]
    assert len(streams) > 10
    for wire in streams:
        events = feed(decoder, [wire])
        assert isinstance(events[-1], MessageStop)
        again = said_by(streamed_to_sdk(DIALECT.encoder(ASK, "").encode(events)))
        assert again == said(collect(events))
        blocks, reason, *_ = said_by(streamed_to_sdk(wire))
        assert (blocks, reason) == (again[0], again[1])
