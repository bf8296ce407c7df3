"""What we ask an engine in Ollama's words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects import PLAIN, Quirks
from understudy.dialects.ollama_render import render
from understudy.language.request import (
    Document,
    Image,
    Prompt,
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

PNG, JPEG = "iVBORw0KGgo=", "/9j/4AAQ"
HI = Turn("user", (Text("hi"),))
READ = Tool("Read", "Reads.", b'{"type" : "object","properties":{"path":{"type":"string"}}}')
LATER = Tool("Later", "Found by search.", b'{"type":"object"}', deferred=True)
PLACEHOLDER = Tool("DeferredToolPlaceholder")
SEARCH = Tool("web_search", kind="web_search_20250305")
OLLAMA = Quirks(thinking_switch="think", reasoning_field="thinking")


def asked(quirks=PLAIN, **fields):
    return json.loads(render(Request("m", **{"turns": (HI,)} | fields), quirks))


def messages(*turns, quirks=PLAIN, **fields):
    return asked(quirks, turns=turns, **fields)["messages"]


def answered(*content, is_error=False):
    """A call of Read and its result, as the result's message."""
    call = Turn("assistant", (ToolUse("call_1", "Read", "{}"),))
    result = Turn("user", (ToolResult("call_1", content, is_error),))
    return messages(call, result, tools=(READ, LATER))[1]


def test_the_least_there_is():
    assert asked() == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "truncate": False,
        "shift": False,
    }


def test_system_blocks_are_one_first_message_and_later_ones_stay_where_they_are():
    found = messages(HI, Turn("system", (Text("now"),)), system=(Text("a"), Text("b")))
    assert found == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "now"},
    ]


def test_an_assistant_turn_with_everything():
    turn = Turn(
        "assistant", (Thinking("Hm.", "signed"), Text("a"), Text("b"), ToolUse("call_1", "Read", '{"x":1}'))
    )
    calls = [{"id": "call_1", "function": {"name": "Read", "arguments": {"x": 1}, "index": 0}}]
    plain = {"role": "assistant", "content": "a\n\nb", "tool_calls": calls}
    assert messages(turn) == [plain]
    assert messages(turn, quirks=OLLAMA) == [plain | {"thinking": "Hm."}]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            '{"b" : 1.50, "a":"\\u003c"}',
            '{"b" : 1.50, "a":"\\u003c"}',
        ),  # byte for byte: the cached prefix lives on it
        ("", "{}"),
        ("  ", "{}"),
        ("[1]", '{"input":"[1]"}'),
        ('{"a":', '{"input":"{\\"a\\":"}'),
        ('{"a":NaN}', '{"input":"{\\"a\\":NaN}"}'),
        ('{"a":1}}', '{"input":"{\\"a\\":1}}"}'),
        ('{"a":' * 5000 + "1" + "}" * 5000, None),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(given, sent):
    body = render(Request("m", (Turn("assistant", (ToolUse("c", "f", given),)),)))
    assert json.loads(body)
    if sent is not None:
        assert b'"arguments":%s,' % sent.encode() in body


@given(st.text())
def test_any_arguments_leave_the_body_whole(text):
    text = text.encode("utf-8", "replace").decode()
    [message] = messages(Turn("assistant", (ToolUse("c", "f", text),)))
    assert isinstance(message["tool_calls"][0]["function"]["arguments"], dict)


def test_raw_text_goes_back_as_it_came():
    turn = Turn("assistant", (Text("a"), ToolUse("call_1", "Read", "{}")), "a<tool_call>")
    result = Turn("user", (ToolResult("call_1", (Text("r"),)),))
    raw = messages(turn, result, quirks=Quirks(raw_text=True))
    assert raw[0] == {"role": "assistant", "content": "a<tool_call>"}
    assert raw[1]["tool_name"] == "Read"
    assert "tool_calls" in messages(turn)[0]


def test_results_are_messages_of_their_own_in_their_place():
    call = Turn("assistant", (ToolUse("c1", "Read", "{}"), ToolUse("c2", "Ls", "{}")))
    turn = Turn(
        "user", (ToolResult("c2", (Text("2"),)), ToolResult("c1", (Text("1"),)), Text("go"), Image("", PNG))
    )
    assert messages(call, turn)[1:] == [
        {"role": "tool", "content": "2", "tool_name": "Ls", "tool_call_id": "c2"},
        {"role": "tool", "content": "1", "tool_name": "Read", "tool_call_id": "c1"},
        {"role": "user", "content": "go", "images": [PNG]},
    ]


def test_text_before_a_result_stays_before_it():
    found = messages(Turn("user", (Text("a"), ToolResult("c", (Text("b"),)))))
    assert [(m["role"], m["content"]) for m in found] == [("user", "a"), ("tool", "b")]


def test_blocks_on_the_wrong_side():
    user = Turn("user", (Thinking("Hm."), ToolUse("c", "f", "{}"), Text("a")))
    assert messages(user) == [{"role": "user", "content": "Hm.\n\na"}]
    assistant = Turn("assistant", (Text("a"), ToolResult("c", (Text("b"),))))
    assert messages(assistant) == [{"role": "assistant", "content": "a"}]


def test_an_empty_turn_is_an_empty_message():
    assert messages(Turn("user", ())) == [{"role": "user", "content": ""}]


@pytest.mark.parametrize(
    ("content", "is_error", "text"),
    [
        ((Text("a"), Text("b")), False, "a\n\nb"),
        ((Text("no such file"),), True, "Error: no such file"),
        ((Text("<tool_use_error>no</tool_use_error>"),), True, "<tool_use_error>no</tool_use_error>"),
        ((), True, "Error: the tool failed and said nothing"),
        ((), False, ""),
        (
            (Unknown("search_result", "{}"),),
            False,
            "[search_result omitted: it cannot be shown to this model]",
        ),
        (
            (Document("application/pdf", "AA==", title="t"),),
            False,
            "[t omitted: application/pdf cannot be shown to this model]",
        ),
        ((Document(text="words", title="t"),), False, "t\n\nwords"),
        ((Document(text="words"),), False, "words"),
        ((ToolReference("Gone"),), False, "Tool Gone was found."),
        (
            (ToolReference("Later"),),
            False,
            'Tool Later can be called from now on.\nFound by search.\nIts parameters as JSON Schema: {"type":"object"}',
        ),
    ],
)
def test_what_a_result_says(content, is_error, text):
    assert answered(*content, is_error=is_error)["content"] == text


def test_pictures():
    blocks = (Text("see"), Image("image/png", PNG), Image(url="https://x.test/a.png"))
    url = "[image omitted: https://x.test/a.png cannot be fetched for this model]"
    assert messages(Turn("user", blocks)) == [{"role": "user", "content": f"see\n\n{url}", "images": [PNG]}]
    [blind] = messages(Turn("user", blocks), quirks=Quirks(images=False))
    assert blind == {
        "role": "user",
        "content": f"see\n\n[image omitted: this model cannot see images]\n\n{url}",
    }
    assert answered(Image("image/png", PNG))["images"] == [PNG]


def test_tools_keep_their_bytes():
    body = render(Request("m", (HI,), tools=(READ,)))
    tool = (
        b'{"function":{"name":"Read","description":"Reads.","parameters":%s},"type":"function"}' % READ.schema
    )
    assert b'"tools":[%s]' % tool in body


@pytest.mark.parametrize("schema", [b"", b"{}"])
def test_a_tool_without_a_schema_takes_an_object(schema):
    [tool] = asked(tools=(Tool("t", schema=schema),))["tools"]
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("choice", "quirks", "names"),
    [
        (ToolChoice(), PLAIN, ["Read", "Write"]),
        (ToolChoice("any"), PLAIN, ["Read", "Write"]),
        (ToolChoice("tool", "Write"), PLAIN, ["Write"]),
        (ToolChoice("tool", "Later"), PLAIN, ["Later"]),
        (ToolChoice("tool", "Unheard"), PLAIN, ["Read", "Write"]),
        (ToolChoice("none"), PLAIN, None),
        (ToolChoice(), Quirks(tools=False), None),
    ],
)
def test_which_tools_are_offered(choice, quirks, names):
    tools = (READ, LATER, PLACEHOLDER, SEARCH, Tool("Write"))
    found = asked(quirks, tools=tools, tool_choice=choice).get("tools")
    assert names == (found and [tool["function"]["name"] for tool in found])


@pytest.mark.parametrize(
    ("mode", "switch", "sent"),
    [
        ("unset", "think", None),
        ("enabled", "think", True),
        ("adaptive", "think", True),
        ("disabled", "think", False),
        ("enabled", "", None),
        ("disabled", "template", None),
    ],
)
def test_think(mode, switch, sent):
    assert (
        asked(Quirks(thinking_switch=switch), thinking=ThinkingWish(mode, effort="high")).get("think") is sent
    )


def test_options():
    sampling = Sampling(100, 0.0, 0.9, 40, 7, 0.1, 0.2, ("END",))
    options = {"num_ctx": 32768, "repeat_penalty": 1, "keep_alive": "30m", "id_slot": 3}
    found = asked(sampling=sampling, options=options)
    assert found["keep_alive"] == "30m"
    assert "id_slot" not in json.dumps(found)
    assert found["options"] == {
        "num_predict": 100,
        "temperature": 0.0,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": ["END"],
        "num_ctx": 32768,
        "repeat_penalty": 1,
    }


def test_the_schema_of_the_answer_keeps_its_bytes():
    assert b'"format":{"type" : "object"}' in render(Request("m", (HI,), format=b'{"type" : "object"}'))


def test_a_longer_conversation_begins_with_the_shorter_one():
    turns = (
        HI,
        Turn("assistant", (ToolUse("c", "Read", '{"a" :1}'),)),
        Turn("user", (ToolResult("c", (Text("r"),)),)),
    )
    ends = [render(Request("m", turns[:n], tools=(READ,))).split(b'],"stream"')[0] for n in (1, 2, 3)]
    assert ends[2].startswith(ends[1])
    assert ends[1].startswith(ends[0])


@pytest.mark.parametrize(
    ("top", "expected"),
    [(None, {}), (0, {"logprobs": True}), (3, {"logprobs": True, "top_logprobs": 3})],
)
@pytest.mark.parametrize("prompt", [None, Prompt("a")])
def test_log_probabilities_are_asked_for(top, expected, prompt):
    request = Request("m", (), sampling=Sampling(top_logprobs=top), prompt=prompt)
    body = json.loads(render(request))
    assert {name: value for name, value in body.items() if "logprobs" in name} == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [(Prompt("a"), {"prompt": "a", "raw": True}), (Prompt("a", "b"), {"prompt": "a", "suffix": "b"})],
)
def test_text_to_go_on_with(prompt, expected):
    body = json.loads(
        render(Request("m", (), prompt=prompt, sampling=Sampling(5), options={"keep_alive": 9}))
    )
    assert body == {"model": "m", "stream": True, "options": {"num_predict": 5}, "keep_alive": 9, **expected}
