"""What clients of the Chat Completions API ask, and how they are told what is wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.openai_parse import parse
from understudy.language.errors import BadRequest
from understudy.language.request import (
    Document,
    Image,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Turn,
    Unknown,
)

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "wire" / "wire.jsonl"
USER = {"role": "user", "content": "hi"}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}


def asked(*messages, **more):
    return parse(json.dumps({"model": "m", "messages": messages or [USER], **more}).encode())


def test_the_least():
    ask = asked()
    assert (ask.model, ask.turns, ask.system, ask.stream) == ("m", (Turn("user", (Text("hi"),)),), (), False)
    assert ask.tool_choice == ToolChoice()
    assert ask.sampling == Sampling()
    assert ask.thinking == ThinkingWish()
    assert json.loads(ask.raw)["model"] == "m"


def test_what_stands_first_is_the_system_prompt():
    parts = [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]
    ask = asked(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": parts},
        USER,
        {"role": "system", "content": "d"},
    )
    assert ask.system == (Text("a"), Text("b"), Text("c"))
    assert ask.turns[1] == Turn("system", (Text("d"),))


PARTS = [
    ({"type": "text", "text": "t"}, Text("t")),
    ({"type": "refusal", "refusal": "no"}, Text("no")),
    ({"type": "image_url", "image_url": {"url": "http://x/y", "detail": "low"}}, Image(url="http://x/y")),
    ({"type": "image_url", "image_url": "http://x/y"}, Image(url="http://x/y")),
    ({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, Image("image/png", "aGk=")),
    (
        {"type": "image_url", "image_url": {"url": "DATA:image/png;x=1;base64,aGk="}},
        Image("image/png", "aGk="),
    ),
    (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
        Document("application/pdf", "aGk=", title="a.pdf"),
    ),
    (
        {"type": "file", "file": {"file_id": "x"}},
        Unknown("file", '{"type": "file", "file": {"file_id": "x"}}'),
    ),
    (
        {"type": "input_audio", "input_audio": 1},
        Unknown("input_audio", '{"type": "input_audio", "input_audio": 1}'),
    ),
]


@pytest.mark.parametrize(("part", "block"), PARTS)
def test_parts(part, block):
    assert asked({"role": "user", "content": [part]}).turns[0].blocks == (block,)


def test_an_earlier_answer():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x" :1}'}}
    bare = {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
    said = {"role": "assistant", "content": None, "reasoning": "hm", "tool_calls": [call, bare]}
    assert asked(USER, said).turns[1] == Turn(
        "assistant", (Thinking("hm"), ToolUse("a", "f", '{"x" :1}'), ToolUse("b", "g", "{}"))
    )


def test_results_in_a_row_are_one_turn():
    image = [{"type": "image_url", "image_url": {"url": "http://x/y"}}]
    ask = asked(
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": image},
        USER,
        {"role": "function", "name": "f", "content": ""},
    )
    assert [turn.blocks for turn in ask.turns] == [
        (ToolResult("a", (Text("1"),)), ToolResult("b", (Image(url="http://x/y"),))),
        (Text("hi"),),
        (ToolResult("f"),),
    ]


def test_tools():
    bare = {"type": "function", "function": {"name": "g", "parameters": None}}
    ask = asked(tools=[FUNCTION, bare, {"type": "custom", "custom": {}}])
    assert ask.tools == (Tool("f", "d", b'{"type": "object"}'), Tool("g"))
    assert ask.dropped == ("tools[2] of type custom",)


CHOICES = [
    ({"tool_choice": "auto"}, ToolChoice()),
    ({"tool_choice": None}, ToolChoice()),
    ({"tool_choice": "required"}, ToolChoice("any")),
    ({"tool_choice": "none", "parallel_tool_calls": False}, ToolChoice("none", parallel=False)),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, ToolChoice("tool", "f")),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, ToolChoice()),
]


@pytest.mark.parametrize(("more", "choice"), CHOICES)
def test_tool_choice(more, choice):
    assert asked(**more).tool_choice == choice


def test_sampling():
    more = {
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 3,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
    }
    assert asked(max_tokens=5, stop="A", **more).sampling == Sampling(5, 0, 0.5, 3, 7, 0.1, 0.2, ("A",))
    assert asked(max_tokens=5, max_completion_tokens=6, stop=["A", "B"]).sampling == Sampling(
        6, stop=("A", "B")
    )


THINKING = [
    ({"reasoning_effort": "high"}, ThinkingWish("enabled", effort="high")),
    ({"reasoning_effort": "none"}, ThinkingWish("disabled")),
    (
        {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low"},
        ThinkingWish("disabled"),
    ),
    ({"chat_template_kwargs": {"enable_thinking": True}}, ThinkingWish("enabled")),
    ({"chat_template_kwargs": {"other": 1}}, ThinkingWish()),
]


@pytest.mark.parametrize(("more", "wish"), THINKING)
def test_thinking(more, wish):
    assert asked(**more).thinking == wish


FORMATS = [
    ({"type": "text"}, None),
    ({"type": "json_object"}, b'{"type":"object"}'),
    (
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}},
        b'{"type": "array"}',
    ),
]


@pytest.mark.parametrize(("form", "schema"), FORMATS)
def test_forms(form, schema):
    assert asked(response_format=form).format == schema


def test_what_cannot_be_carried_is_named():
    assert asked(audio={}, n=1, never_heard_of=1, logit_bias=None).dropped == ("audio",)
    odd = asked(tool_choice={"type": "allowed_tools"})
    assert odd.dropped == ("tool_choice of type allowed_tools",)


def test_the_rest():
    ask = asked(stream=True, user="u")
    assert (ask.stream, ask.user) == (True, "u")


def content(*parts):
    return {"messages": [{"role": "user", "content": list(parts)}]}


WRONG = [
    ({"messages": 5}, "messages: Expected `array`"),
    ({"messages": []}, "messages: empty"),
    ({"messages": [{"role": 1}]}, "messages[0].role: Expected `str`"),
    ({"messages": [{}]}, "messages[0]: Object missing required field `role`"),
    ({"messages": [{"role": "robot"}]}, "messages[0].role: 'robot'"),
    ({"messages": [USER, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id: missing"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]},
        "messages[0].tool_calls[0].function: missing",
    ),
    (content({"text": "x"}), "messages[0].content[0]: Object missing required field `type`"),
    (content({"type": "text", "text": 5}), "messages[0].content[0].text: Expected"),
    (content({"type": "text"}), "messages[0].content[0].text: missing"),
    (content({"type": "image_url"}), "messages[0].content[0].image_url: missing"),
    (
        content({"type": "image_url", "image_url": "data:x"}),
        "messages[0].content[0].image_url.url: not a data",
    ),
    (
        content({"type": "file", "file": {"file_data": "x"}}),
        "messages[0].content[0].file.file_data: not a data",
    ),
    ({"tools": [{"type": "function"}]}, "tools[0].function: missing"),
    ({"tools": [{"function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters: must be"),
    ({"tool_choice": "any"}, "tool_choice: 'any'"),
    ({"response_format": {"type": "xml"}}, "response_format.type: 'xml'"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema: missing"),
    ({"n": 0}, "n: from 1 to 16"),
    ({"n": 17}, "n: from 1 to 16"),
    ({"model": None}, "model: Expected `str`"),
]


@pytest.mark.parametrize(("more", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_place(more, message):
    with pytest.raises(BadRequest) as caught:
        parse(json.dumps({"model": "m", "messages": [USER], **more}).encode())
    assert caught.value.message.startswith(message)
    assert caught.value.field == message.partition(":")[0], "and apart from the sentence"


def test_several_answers_and_log_probabilities():
    assert asked().n == 1
    assert asked(n=3).n == 3
    assert asked(logprobs=True, top_logprobs=5).sampling.top_logprobs == 5
    assert asked(logprobs=True).sampling.top_logprobs == 0
    assert asked(logprobs=False, top_logprobs=5).sampling.top_logprobs is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"\xff","messages":[]}', b"[" * 100_000])
def test_bodies_that_are_none(body):
    with pytest.raises(BadRequest, match=r"^body: "):
        parse(body)


@given(st.binary(max_size=200))
def test_no_bytes_hurt(body):
    with pytest.raises(BadRequest):
        parse(body)


def test_recorded_requests():
    if not RECORDED.exists():
        pytest.skip("the recorded exchanges are not part of the project; they lie beside it on some machines")
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    chats = [row for row in rows if row["api"] == "openai_chat"]
    assert len(chats) > 50
    for row in chats:
        ask = parse(json.dumps(row["body"]).encode())
        assert ask.model == row["body"]["model"]
        results = sum(isinstance(b, ToolResult) for turn in ask.turns for b in turn.blocks)
        assert results == sum(m["role"] == "tool" for m in row["body"]["messages"]), row["id"]
        assert len(ask.tools) == len(row["body"].get("tools", []))
