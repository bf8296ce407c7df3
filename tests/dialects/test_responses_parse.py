"""A question to /v1/responses, read."""

import json
from pathlib import Path

import pytest

from understudy.dialects.responses_parse import items_of, parse, read_ask
from understudy.language.errors import BadField
from understudy.language.request import (
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
)

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "wire" / "wire.jsonl"


def request(items="Hi", history=(), **more) -> Request:
    ask = read_ask(json.dumps({"model": "m", "input": items, **more}).encode())
    return parse(ask, [json.dumps(item).encode() for item in history], items_of(ask))[0]


def refused(**more):
    with pytest.raises(BadField) as raised:
        request(**more)
    return raised.value.field, raised.value.message


def user(text):
    return {"role": "user", "content": text}


def said(text, **more):
    part = {"type": "output_text", "text": text}
    return {"type": "message", "role": "assistant", "content": [part], **more}


def call(key, name="read", **more):
    return {"type": "function_call", "call_id": key, "name": name, "arguments": "{}", **more}


def output(key, text="ok"):
    return {"type": "function_call_output", "call_id": key, "output": text}


def reasoning(text, **more):
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}], **more}


FUNCTION = {"type": "function", "name": "read", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "write", "parameters": {"type": "object"}}


# ---- the conversation ----


def test_a_text_is_a_message_of_the_users():
    assert request("Hi") == Request("m", (Turn("user", (Text("Hi"),)),))


def test_instructions_stand_first_and_the_operators_first_words_with_them():
    found = request(
        [{"role": "developer", "content": "b"}, user("Hi"), {"role": "system", "content": "later"}],
        instructions="a",
    )
    assert found.system == (Text("a"), Text("b"))
    assert found.turns == (Turn("user", (Text("Hi"),)), Turn("system", (Text("later"),)))


def test_the_items_of_one_answer_are_one_turn():
    items = [user("Hi"), reasoning("hm"), said("Let me see"), call("a"), call("b"), output("b"), output("a")]
    assert request([*items, said("Done")]).turns == (
        Turn("user", (Text("Hi"),)),
        Turn(
            "assistant",
            (Thinking("hm"), Text("Let me see"), ToolUse("a", "read", "{}"), ToolUse("b", "read", "{}")),
        ),
        Turn("user", (ToolResult("b", (Text("ok"),)), ToolResult("a", (Text("ok"),)))),
        Turn("assistant", (Text("Done"),)),
    )


def test_what_the_user_says_is_a_turn_of_its_own():
    found = request([user("a"), user("b"), call("x"), output("x"), user("c")])
    assert [(turn.role, len(turn.blocks)) for turn in found.turns] == [
        ("user", 1),
        ("user", 1),
        ("assistant", 1),
        ("user", 1),
        ("user", 1),
    ]


def test_an_answer_that_says_nothing_is_no_turn():
    found = request([user("a"), {"role": "assistant", "content": ""}, user("b"), user("")])
    assert [turn.role for turn in found.turns] == ["user", "user", "user"]


def test_a_chain_reads_like_the_whole_conversation():
    items = [user("Hi"), said("Let me see", id="msg_1"), call("a", id="fc_1"), output("a"), user("more")]
    for cut in range(len(items)):
        assert request(items[cut:], items[:cut]).turns == request(items).turns, cut


def test_local_shell_outputs_name_the_calls_item():
    shell = {"type": "local_shell_call", "id": "lsh_1", "call_id": "c", "action": {"command": ["ls"]}}
    found = request([shell, {"type": "local_shell_call_output", "id": "lsh_1", "output": "ok"}])
    assert found.turns[1].blocks == (ToolResult("c", (Text("ok"),)),)


UNPAIRED = [
    ([call("a"), user("b")], "No tool output found for function call a."),
    ([call("a")], "No tool output found for function call a."),
    ([user("a"), output("b")], "No tool call found for function call output with call_id b."),
    ([output("a"), call("a")], "No tool call found for function call output with call_id a."),
]


@pytest.mark.parametrize(("items", "message"), UNPAIRED)
def test_calls_and_outputs_come_in_pairs(items, message):
    assert refused(items=items) == ("input", message)


def test_the_pair_may_lie_in_the_chain():
    assert request([output("a")], [user("Hi"), call("a")]).turns[-1].blocks[0].tool_use_id == "a"
    assert refused(items=[user("no")], history=[call("a")])[0] == "input"


ALONE = "Item 'rs_1' of type 'reasoning' was provided without its required following item."
REASONED = [
    ([reasoning("a", id="rs_1"), said("b")], ALONE),
    ([reasoning("a", id="rs_1"), user("b")], ALONE),
    ([reasoning("a", id="rs_1")], ALONE),
    ([reasoning("a", id="rs_1"), said("b", id="msg_1")], None),
    ([reasoning("a"), said("b")], None),
    ([user('{"type": "reasoning"}')], None),
    ([user("a"), said("b")], None),
]


@pytest.mark.parametrize(("items", "message"), REASONED)
def test_kept_reasoning_goes_with_what_it_led_to(items, message):
    if message is None:
        request(items)
    else:
        assert refused(items=items) == ("input", message)
    request(items, store=False)


def test_tools_that_come_later():
    added = {"type": "additional_tools", "role": "developer", "tools": [OTHER, {"type": "web_search"}]}
    found = request([user("a"), added, user("b")], tools=[FUNCTION])
    assert found.tools == (
        Tool("read", "", b'{"type": "object"}'),
        Tool("write", "", b'{"type": "object"}', deferred=True),
    )
    assert found.turns[1] == Turn("user", (ToolReference("write"),))
    assert found.dropped == ("input[1].tools[1] of type web_search",)


def test_what_openais_servers_did():
    searched = {"type": "web_search_call", "id": "ws_1", "action": {}}
    found = request([user("a"), reasoning("r"), searched, said("b")])
    assert [type(block) for block in found.turns[1].blocks] == [Thinking, Unknown, Text]
    assert found.dropped == ("input of type web_search_call",)
    assert len(request([user("a"), *[searched] * 100]).dropped) == 20


# ---- tools ----

CHOICES = [
    ({}, ToolChoice()),
    ({"tool_choice": None}, ToolChoice()),
    ({"tool_choice": "auto"}, ToolChoice()),
    ({"tool_choice": "required"}, ToolChoice("any")),
    ({"tool_choice": "none", "parallel_tool_calls": False}, ToolChoice("none", parallel=False)),
    ({"parallel_tool_calls": False}, ToolChoice(parallel=False)),
    ({"tool_choice": {"type": "function", "name": "write"}}, ToolChoice("tool", "write")),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "read"}],
            }
        },
        ToolChoice(allowed=("read",)),
    ),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "read"}, {"type": "function", "name": "write"}],
            }
        },
        ToolChoice("any", allowed=("read", "write")),
    ),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "read"}, {"type": "web_search"}],
            }
        },
        ToolChoice("tool", "read"),
    ),
]


@pytest.mark.parametrize(("more", "choice"), CHOICES)
def test_choices(more, choice):
    found = request(tools=[FUNCTION, OTHER], **more)
    assert found.tool_choice == choice
    assert found.dropped == ()
    assert found.tools is request(tools=[FUNCTION, OTHER]).tools


NATIVE_CHOICES = [
    ({"type": "custom", "name": "patch"}, "patch"),
    ({"type": "shell"}, "shell"),
    ({"type": "function", "name": "x", "namespace": "files"}, "files__x"),
]


@pytest.mark.parametrize(("wish", "name"), NATIVE_CHOICES)
def test_a_tool_is_chosen_by_what_it_is(wish, name):
    space = {"type": "namespace", "name": "files", "description": "", "tools": [{**FUNCTION, "name": "x"}]}
    tools = [{"type": "custom", "name": "patch"}, {"type": "shell"}, space]
    assert request(tools=tools, tool_choice=wish).tool_choice == ToolChoice("tool", name)


def test_a_choice_that_cannot_be_carried_is_named():
    found = request(tools=[FUNCTION, {"type": "web_search"}], tool_choice={"type": "web_search"})
    assert found.tool_choice == ToolChoice()
    assert found.dropped == ("tools[1] of type web_search", "tool_choice of type web_search")
    nothing = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}
    found = request(tools=[FUNCTION], tool_choice=nothing)
    assert found.tool_choice == ToolChoice("none")
    assert found.dropped == ("tool_choice allows no tool that is offered",)
    only_servers = request(tools=[{"type": "web_search"}], tool_choice="required")
    assert only_servers.tool_choice == ToolChoice()


# ---- the rest ----


def test_sampling():
    found = request(max_output_tokens=16, temperature=0.5, top_p=0.9, stream=True)
    assert found.sampling == Sampling(16, 0.5, 0.9)
    assert found.stream


@pytest.mark.parametrize(
    ("wish", "meant"),
    [
        (None, ThinkingWish()),
        ({}, ThinkingWish()),
        ({"summary": "auto"}, ThinkingWish()),
        ({"effort": "high"}, ThinkingWish("enabled", effort="high")),
        ({"effort": "none"}, ThinkingWish("disabled")),
    ],
)
def test_reasoning(wish, meant):
    assert request(reasoning=wish).thinking == meant


@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, b'{"type":"object"}'),
        ({"type": "json_schema", "name": "a", "schema": {"type": "array"}}, b'{"type": "array"}'),
    ],
)
def test_formats(form, schema):
    assert request(text={"format": form}).format == schema
    assert request(text=None).format is None


@pytest.mark.parametrize(
    ("more", "user_"),
    [
        ({"prompt_cache_key": "thread", "user": "u", "safety_identifier": "s"}, "thread"),
        ({"user": "u", "safety_identifier": "s"}, "s"),
        ({"user": "u"}, "u"),
        ({}, ""),
    ],
)
def test_whose_conversation_it_is(more, user_):
    assert request(**more).user == user_


def test_what_no_engine_does_is_named():
    found = request(
        text={"verbosity": "low"},
        truncation="auto",
        top_logprobs=3,
        max_tool_calls=5,
        context_management=[{"type": "compaction"}],
        moderation={"model": "x"},
    )
    assert found.dropped == (
        "context_management",
        "moderation",
        "text.verbosity",
        "truncation",
        "top_logprobs",
        "max_tool_calls",
    )
    assert request(text={"verbosity": "medium"}, truncation="disabled", top_logprobs=0).dropped == ()


REFUSED = [
    ({"tools": [FUNCTION], "tool_choice": "maybe"}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "fly"}}, "tool_choice"),
    ({"tools": [FUNCTION], "tool_choice": 5}, "tool_choice"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
    ({"text": {"format": {"type": "json_schema", "name": "a", "schema": []}}}, "text.format.schema"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"items": None}, "input"),
    ({"items": None, "instructions": "Be terse."}, "input"),
    ({"items": []}, "input"),
    ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
    ({"background": True, "store": False}, "background"),
    ({"items": [{"role": "user", "content": 5}]}, "input[0].content"),
]


@pytest.mark.parametrize(("more", "field"), REFUSED)
def test_what_cannot_be_is_refused_by_name(more, field):
    found, message = refused(**more)
    assert found == field
    assert message


def test_instructions_alone_may_be_followed():
    assert request([], instructions="Tell a joke.").system == (Text("Tell a joke."),)


def test_nothing_new_may_be_said_in_a_chain():
    assert request(None, [user("Hi")], previous_response_id="resp_1").turns == (Turn("user", (Text("Hi"),)),)
    assert request(None, conversation={"id": "conv_1"}).turns == ()


@pytest.mark.skipif(not RECORDED.is_file(), reason="the recorded exchanges are not beside this checkout")
def test_recorded_questions():
    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    bodies = [row["body"] for row in rows if row["path"] == "/v1/responses" and row["status"] == 200]
    assert len(bodies) > 50
    for body in bodies:
        ask = read_ask(json.dumps(body).encode())
        found, _ = parse(ask, (), items_of(ask))
        texts = [block.text for turn in found.turns for block in turn.blocks if isinstance(block, Text)]
        for item in body["input"]:
            if isinstance(item.get("content"), str) and item["content"] and item["role"] != "system":
                assert item["content"] in texts
