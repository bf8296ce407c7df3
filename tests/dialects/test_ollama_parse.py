"""What clients ask us in Ollama's words."""

import json

import httpx
import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects import Quirks
from understudy.dialects.ollama_parse import parse
from understudy.dialects.ollama_render import render
from understudy.language.errors import BadRequest
from understudy.language.request import (
    Image,
    Request,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    change,
)

PNG, JPEG = "iVBORw0KGgo=", "/9j/4AAQ"
HI = Turn("user", (Text("hi"),))
READ = Tool("Read", "Reads.", b'{"type" : "object","properties":{"path":{"type":"string"}}}')
OLLAMA = Quirks(thinking_switch="think", reasoning_field="thinking")


def parsed(*talk, **fields):
    return parse(
        json.dumps({"model": "m", "messages": talk or [{"role": "user", "content": "hi"}]} | fields).encode()
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"stream": True}),
        ({"stream": False}, {"stream": False}),
        ({"stream": None}, {"stream": True}),
        ({"think": True}, {"stream": True, "thinking": ThinkingWish("enabled")}),
        ({"think": "high"}, {"stream": True, "thinking": ThinkingWish("enabled", effort="high")}),
        ({"think": False}, {"stream": True, "thinking": ThinkingWish("disabled")}),
        ({"format": "json"}, {"stream": True, "format": b'{"type":"object"}'}),
        ({"format": ""}, {"stream": True}),
        ({"format": None}, {"stream": True}),
        ({"format": {"type": "array"}}, {"stream": True, "format": b'{"type": "array"}'}),
        ({"options": None}, {"stream": True}),
        (
            {"options": {"stop": "END", "num_predict": -1}},
            {"stream": True, "sampling": Sampling(stop=("END",))},
        ),
        (
            {"logprobs": True, "top_logprobs": 3},
            {"stream": True, "sampling": Sampling(top_logprobs=3)},
        ),
        ({"logprobs": True}, {"stream": True, "sampling": Sampling(top_logprobs=0)}),
        ({"top_logprobs": 3}, {"stream": True}),
        (
            {"options": {"num_ctx": 4096, "top_k": 5}, "keep_alive": "5m", "truncate": False},
            {
                "stream": True,
                "sampling": Sampling(top_k=5),
                "dropped": ("options.num_ctx", "keep_alive", "truncate"),
            },
        ),
    ],
)
def test_fields_of_a_question(fields, expected):
    found = parsed(**fields)
    assert change(found, raw=b"") == Request("m", (HI,), **expected)
    assert found.raw


@pytest.mark.parametrize(
    "body", [b'{"model":"m"}', b'{"model":"m","messages":null}', b'{"model":"m","messages":[]}']
)
def test_without_messages_nothing_is_asked(body):
    assert parse(body).asks_nothing


def test_a_system_prompt_alone_is_a_question():
    found = parsed({"role": "System", "content": "s"})
    assert (found.system, found.asks_nothing) == ((Text("s"),), False)


def test_leading_system_messages_are_the_system_prompt():
    system = {"role": "system", "content": "s"}
    found = parsed(system, {"role": "user", "content": "hi"}, system)
    assert found.system == (Text("s"),)
    assert found.turns == (HI, Turn("system", (Text("s"),)))


def call(name, key=None):
    found = {"function": {"name": name, "arguments": {"n": name}}}
    return found | ({"id": key} if key else {})


def calls(*made):
    return {"role": "assistant", "content": "", "tool_calls": made}


def tool(content, **fields):
    return {"role": "tool", "content": content} | fields


@pytest.mark.parametrize(
    ("made", "results", "expected"),
    [
        ([call("a", "x")], [tool("1", tool_call_id="x")], ["x"]),
        ([call("a")], [tool("1")], ["call_0_0"]),
        (
            [call("a"), call("b")],
            [tool("1", tool_name="b"), tool("2", tool_name="a")],
            ["call_0_1", "call_0_0"],
        ),
        (
            [call("a"), call("a")],
            [tool("1", tool_name="a"), tool("2", tool_name="a")],
            ["call_0_0", "call_0_1"],
        ),
        ([call("a", "x")], [tool("1", tool_call_id="lost")], ["x"]),
    ],
)
def test_a_result_finds_its_call(made, results, expected):
    turns = parsed(calls(*made), *results).turns
    assert len(turns) == 2
    assert [block.tool_use_id for block in turns[1].blocks] == expected
    assert turns[0].blocks[0].input == '{"n": "a"}'


def test_a_result_without_a_call_is_what_the_user_says():
    assert parsed(tool("1"), tool("2")).turns == (Turn("user", (Text("1"),)), Turn("user", (Text("2"),)))


def test_pictures_say_what_they_are():
    [turn] = parsed({"role": "user", "content": "see", "images": [PNG, JPEG, "AAAA"]}).turns
    kinds = ("image/png", PNG), ("image/jpeg", JPEG), ("image/png", "AAAA")
    assert turn.blocks == (*(Image(*kind) for kind in kinds), Text("see"))


def test_an_assistants_thoughts():
    [turn] = parsed({"role": "assistant", "content": None, "thinking": "Hm."}).turns
    assert turn == Turn("assistant", (Thinking("Hm."),))


def test_tools_of_a_question():
    offered = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
    }
    assert parsed(tools=[offered]).tools == (Tool("f", "d", b'{"type": "object"}'),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "missing request body"),
        (b"{", "truncated"),
        (b"{}", "model"),
        (b'{"model":"m","messages":[{"role":"user","images":["AAAA","a b"]}]}', "messages[0].images[1]"),
        (b'{"model":"m","format":5}', "format"),
        (b'{"model":"m","top_logprobs":21}', "top_logprobs"),
        (b'{"model":"m","top_logprobs":-1}', "top_logprobs"),
        (b'{"model":"m","messages":[{"role":"robot","content":""}]}', "messages[0].role"),
        (b'{"model":"m","messages":[{"role":"user","content":5}]}', "$.messages[0].content"),
        (b'{"model":"m","messages":[{"role":"user"}],"options":{"top_k":"x"}}', "$.options.top_k"),
        (b'{"model":"m","format":' + b"[" * 9999, "recursion"),
        (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "utf-8"),
    ],
)
def test_wrong_questions_are_told_where(body, words):
    with pytest.raises(BadRequest) as caught:
        parse(body)
    assert words in caught.value.message


@given(st.binary())
def test_any_bytes_are_a_question_or_a_bad_request(body):
    with pytest.raises(BadRequest):
        parse(body)


def test_what_we_ask_we_understand():
    turns = (
        HI,
        Turn(
            "assistant",
            (Thinking("Hm."), Text("a"), ToolUse("c1", "Read", '{"x": 1}'), ToolUse("c2", "Ls", "{}")),
        ),
        Turn("user", (ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("2"),)))),
        Turn("user", (Text("go"),)),
    )
    request = Request("m", turns, (Text("s"),), (READ,), sampling=Sampling(5, 0.5), stream=True)
    found = parse(render(request, OLLAMA))
    assert change(found, raw=b"", dropped=()) == request


def test_we_understand_the_official_client():
    seen = []

    def answer(http):
        seen.append(parse(http.content))
        return httpx.Response(200, json={"message": {"role": "assistant", "content": ""}, "done": True})

    client = ollama.Client(host="http://127.0.0.1:1")
    client._client.close()
    client._client = httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(answer))
    offered = {
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
    }
    with client._client:
        client.chat(
            "m", [{"role": "user", "content": "hi"}], tools=[offered], think=True, options={"num_predict": 9}
        )
    [request] = seen
    assert (request.turns, request.stream, request.sampling.max_tokens) == ((HI,), False, 9)
    assert (request.tools[0].name, request.thinking.mode) == ("f", "enabled")
