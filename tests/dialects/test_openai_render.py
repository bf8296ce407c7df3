"""What an engine is asked, byte by byte where bytes matter."""

import json

import pytest

from understudy.dialects import PLAIN, Quirks
from understudy.dialects.openai_parse import parse
from understudy.dialects.openai_render import BELOW, BLIND, render, rendered_tools
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

READ = Tool("Read", "Reads a file.", b'{ "type": "object", "properties": {"p": {"type":"string"}} }')
NOW = Tool("Now")
LATER = Tool("Later", "Comes later.", b'{"type":"object"}', deferred=True)
SEARCH = Tool("web_search", kind="web_search_20250305")
STAND_IN = Tool("DeferredToolPlaceholder")
PNG = Image("image/png", "aGk=")
ASK = Request("m", (Turn("user", (Text("hi"),)),))


def body(request=ASK, quirks=PLAIN):
    return json.loads(render(request, quirks))


def messages(*turns, quirks=PLAIN, **more):
    return body(Request("m", turns, **more), quirks)["messages"]


def user(*blocks, **more):
    return messages(Turn("user", blocks), **more)


def test_the_least():
    assert render(ASK) == (
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true},'
        b'"messages":[{"role":"user","content":"hi"}]}'
    )


def test_system_blocks_are_one_message():
    assert messages(system=(Text("a"), Text("b"))) == [{"role": "system", "content": "a\n\nb"}]


def test_a_system_turn_stays_where_it_is():
    assert messages(Turn("user", (Text("u"),)), Turn("system", (Text("s"), Text("t"))))[1] == {
        "role": "system",
        "content": "s\n\nt",
    }


CONTENTS = [
    ((Text("a"), Text("b")), "a\n\nb"),
    ((), ""),
    ((Document(text="t"),), "t"),
    ((Document(text="t", title="T"),), "T\n\nt"),
    (
        (Document("application/pdf", "aGk=", title="a.pdf"),),
        "[a.pdf omitted: application/pdf cannot be shown to this model]",
    ),
    ((Document(url="http://x/y"),), "[http://x/y omitted: it cannot be shown to this model]"),
    ((Unknown("hologram", "{}"),), "[hologram omitted: it cannot be shown to this model]"),
    ((Thinking("t"),), "t"),
    ((ToolUse("a", "f", "{}"),), ""),
]


@pytest.mark.parametrize(("blocks", "content"), CONTENTS)
def test_what_becomes_text(blocks, content):
    assert user(*blocks) == [{"role": "user", "content": content}]


def test_pictures():
    url = Image(url="http://x/y.png")
    assert user(Text("a"), PNG, url)[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
    ]


def test_pictures_for_the_blind():
    assert user(Text("a"), PNG, quirks=Quirks(images=False)) == [{"role": "user", "content": f"a\n\n{BLIND}"}]


def test_results_come_first_and_one_by_one():
    got = user(Text("and?"), ToolResult("a", (Text("1"), Text("2"))), ToolResult("b"), tools=(READ,))
    assert got == [
        {"role": "tool", "tool_call_id": "a", "content": "1\n\n2"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "and?"},
    ]


def test_pictures_of_results_follow_in_the_next_message():
    got = user(ToolResult("a", (Text("see"), PNG)), ToolResult("b", (Text("no"),)), Text("well?"))
    assert got[0]["content"] == f"see\n\n{BELOW}"
    assert got[2]["role"] == "user"
    assert [part["type"] for part in got[2]["content"]] == ["text", "image_url", "text"]
    assert "a" in got[2]["content"][0]["text"]
    blind = user(ToolResult("a", (Text("see"), PNG)), quirks=Quirks(images=False))
    assert blind == [{"role": "tool", "tool_call_id": "a", "content": f"see\n\n{BLIND}"}]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("no such file", "Error: no such file"),
        ("Error: no", "Error: no"),
        ("<tool_use_error>x", "<tool_use_error>x"),
        ("x" * 300 + "error", "Error: " + "x" * 300 + "error"),
    ],
)
def test_failures_are_marked_once(text, content):
    assert user(ToolResult("a", (Text(text),), is_error=True))[0]["content"] == content


def test_a_found_tool_is_shown_where_it_was_found_and_not_in_tools():
    ask = Request(
        "m",
        (Turn("user", (ToolResult("a", (ToolReference("Later"), ToolReference("Gone"))),)),),
        tools=(READ, LATER),
    )
    sent = body(ask)
    text = sent["messages"][0]["content"]
    assert "Later" in text
    assert "Comes later." in text
    assert '{"type":"object"}' in text
    assert "Tool Gone was found." in text
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["Read"]


CALLING = Turn(
    "assistant", (Thinking("hm"), Text("I"), ToolUse("a", "Read", '{"p" :1}'), ToolUse("b", "Now", ""))
)


def test_calls_keep_the_bytes_of_their_arguments():
    got = messages(CALLING)[0]
    assert got["content"] == "I"
    assert got["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "Read", "arguments": '{"p" :1}'}},
        {"id": "b", "type": "function", "function": {"name": "Now", "arguments": "{}"}},
    ]
    assert "reasoning" not in got


@pytest.mark.parametrize("written", ['{"p": "a', '"p"', "[1]", "null", "7", "\ud800"])
def test_arguments_that_are_no_object_are_the_value_of_one(written):
    """vLLM and llama.cpp refuse a conversation whose earlier calls they cannot read."""
    (message,) = messages(Turn("assistant", (ToolUse("a", "Read", written),)))
    told = json.loads(message["tool_calls"][0]["function"]["arguments"])
    assert told == {"input": written.replace("\ud800", "\ufffd")}


def test_beside_calls_alone_content_is_empty_and_not_null():
    assert messages(Turn("assistant", (ToolUse("a", "Read", "{}"),)))[0]["content"] == ""


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_goes_back_where_the_engine_looks_for_it(field):
    got = messages(CALLING, quirks=Quirks(reasoning_field=field))[0]
    assert got[field] == "hm"
    assert list(got) == ["role", "content", field, "tool_calls"]


def test_raw_text_goes_back_as_it_came():
    turn = change(CALLING, verbatim="<think>hm</think>I<tool_call>")
    assert messages(turn, quirks=Quirks(raw_text=True)) == [{"role": "assistant", "content": turn.verbatim}]
    assert "tool_calls" in messages(turn)[0]
    assert "tool_calls" in messages(CALLING, quirks=Quirks(raw_text=True))[0]


def test_a_prefill_passes_as_it_is():
    assert messages(Turn("user", (Text("u"),)), Turn("assistant", (Text("{"),)))[-1] == {
        "role": "assistant",
        "content": "{",
    }


def test_tools_are_sent_with_the_schemas_own_bytes():
    sent = render(change(ASK, tools=(READ, LATER, SEARCH, STAND_IN, NOW)))
    assert b'"parameters":' + READ.schema + b"}}" in sent
    assert json.loads(sent)["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "Read",
                "description": "Reads a file.",
                "parameters": json.loads(READ.schema),
            },
        },
        {
            "type": "function",
            "function": {
                "name": "Now",
                "description": "",
                "parameters": {"type": "object", "properties": {}},
            },
        },
    ]


def test_the_same_tools_are_rendered_once():
    tools = (READ, NOW)
    assert rendered_tools(tools) is rendered_tools((READ, NOW))


@pytest.mark.parametrize("tools", [(), (LATER,), (SEARCH, STAND_IN)])
def test_no_tools_no_choice(tools):
    sent = body(change(ASK, tools=tools, tool_choice=ToolChoice("any", parallel=False)))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(sent)


def test_engines_that_may_have_no_tools():
    assert "tools" not in body(change(ASK, tools=(READ,), tool_choice=ToolChoice("any")), Quirks(tools=False))


UNNAMED = Quirks(named_tool_choice=False)
RAW = Quirks(raw_text=True)
CHOICES = [
    (ToolChoice(), PLAIN, None, ["Read", "Now"]),
    (ToolChoice("any"), PLAIN, "required", ["Read", "Now"]),
    (ToolChoice("none"), PLAIN, "none", ["Read", "Now"]),
    (ToolChoice("tool", "Now"), PLAIN, {"type": "function", "function": {"name": "Now"}}, ["Read", "Now"]),
    (ToolChoice("tool", "Now"), UNNAMED, "required", ["Now"]),
    (ToolChoice("tool", "Later"), UNNAMED, "required", ["Later"]),
    (ToolChoice("tool", "Gone"), UNNAMED, "required", ["Read", "Now"]),
    (ToolChoice(), RAW, "none", ["Read", "Now"]),
    (ToolChoice("any"), RAW, "required", ["Read", "Now"]),
]


@pytest.mark.parametrize(("choice", "quirks", "expected", "names"), CHOICES)
def test_tool_choice(choice, quirks, expected, names):
    sent = body(change(ASK, tools=(READ, NOW, LATER), tool_choice=choice), quirks)
    assert sent.get("tool_choice") == expected
    assert [tool["function"]["name"] for tool in sent["tools"]] == names


def test_one_call_at_a_time():
    assert (
        body(change(ASK, tools=(READ,), tool_choice=ToolChoice(parallel=False)))["parallel_tool_calls"]
        is False
    )


def test_sampling_only_when_set():
    full = Sampling(9, 0.5, 0.25, 40, 0, 0.1, 0.2, ("A", "B"))
    sent = body(
        change(ASK, sampling=full),
        Quirks(max_tokens_field="max_completion_tokens", extra_sampling=("top_k",)),
    )
    assert sent | {
        "max_completion_tokens": 9, "temperature": 0.5, "top_p": 0.25, "top_k": 40, "seed": 0,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "stop": ["A", "B"],
    } == sent  # fmt: skip
    assert "top_k" not in body(change(ASK, sampling=full))
    assert body(change(ASK, sampling=full))["max_tokens"] == 9


THINKING = [
    ("template", ThinkingWish(), {}),
    (
        "template",
        ThinkingWish("adaptive"),
        {"chat_template_kwargs": {"enable_thinking": True, "preserve_thinking": True}},
    ),
    (
        "template",
        ThinkingWish("enabled"),
        {"chat_template_kwargs": {"enable_thinking": True, "preserve_thinking": True}},
    ),
    (
        "template",
        ThinkingWish("disabled"),
        {"chat_template_kwargs": {"enable_thinking": False, "preserve_thinking": True}},
    ),
    ("effort", ThinkingWish(), {}),
    ("effort", ThinkingWish("enabled", effort="medium"), {"reasoning_effort": "medium"}),
    ("effort", ThinkingWish("adaptive", effort="max"), {"reasoning_effort": "high"}),
    ("effort", ThinkingWish("disabled", effort="high"), {"reasoning_effort": "low"}),
    ("", ThinkingWish("enabled", effort="high"), {}),
]


@pytest.mark.parametrize(("switch", "wish", "fields"), THINKING)
def test_thinking(switch, wish, fields):
    sent = body(change(ASK, thinking=wish), Quirks(thinking_switch=switch))
    assert {k: v for k, v in sent.items() if k in ("chat_template_kwargs", "reasoning_effort")} == fields


def test_a_form_for_the_answer():
    sent = render(change(ASK, format=b'{ "type": "object" }'))
    assert b'"json_schema":{"name":"answer","strict":true,"schema":{ "type": "object" }}' in sent


def test_one_engines_own_fields():
    quirks = Quirks(prompt_progress=True, raw_text=True, usage_in_stream=False)
    sent = body(change(ASK, options={"id_slot": 2, "cache_prompt": True}), quirks)
    assert (sent["return_progress"], sent["parse_tool_calls"], sent["reasoning_format"]) == (
        True,
        False,
        "none",
    )
    assert (sent["id_slot"], sent["cache_prompt"]) == (2, True)
    assert "stream_options" not in sent


def test_a_longer_conversation_continues_the_bytes_of_the_shorter():
    turns = (
        Turn("user", (Text("u"), PNG)), CALLING, Turn("user", (ToolResult("a", (PNG,)), ToolResult("b"))),
        Turn("assistant", (Text("x"),)), Turn("user", (Text("y"),)),
    )  # fmt: skip
    ask = Request("m", turns, (Text("s"),), (READ, NOW))
    whole = render(ask)
    for length in range(len(turns)):
        assert whole.startswith(render(change(ask, turns=turns[:length])).removesuffix(b"]}"))


def test_what_is_rendered_is_parsed_as_the_same():
    ask = Request(
        "m",
        (
            Turn("user", (Text("u"), PNG)),
            CALLING,
            Turn("user", (ToolResult("a", (Text("1"),)), ToolResult("b"))),
            Turn("user", (Text("y"),)),
        ),
        (Text("s"),),
        (READ,),
        ToolChoice("tool", "Read", parallel=False),
        Sampling(9, 0.5, stop=("A",)),
        ThinkingWish("disabled"),
        b'{"type":"object"}',
        stream=True,
    )
    back = parse(render(ask, Quirks(thinking_switch="template", reasoning_field="reasoning")))
    calling = change(CALLING, blocks=(*CALLING.blocks[:3], ToolUse("b", "Now", "{}")))
    assert change(back, raw=b"") == change(ask, turns=(ask.turns[0], calling, *ask.turns[2:]))


def test_a_turn_that_shows_a_tool_shows_the_tool_of_its_own_request():
    turn = Turn("user", (ToolResult("c1", (ToolReference("Fetch"),)),))
    shown = []
    for words in ("first words", "other words"):
        tools = (Tool("Fetch", words, b"{}", deferred=True),)
        shown.append(json.loads(render(Request("m", (turn,), tools=tools)))["messages"][0]["content"])
    assert "first words" in shown[0]
    assert "other words" in shown[1]


def test_a_turn_is_rendered_by_the_quirks_of_its_own_engine():
    turn = Turn("user", (Image("image/png", "AAAA"),))
    sees, blind = (render(Request("m", (turn,)), Quirks(images=images)).decode() for images in (True, False))
    assert "AAAA" in sees
    assert "AAAA" not in blind
