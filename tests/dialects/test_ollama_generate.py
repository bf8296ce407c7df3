"""/api/generate: Ollama's form and the simple one, read; answers in one object and in lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects import client_dialect
from understudy.dialects.ollama_generate import DIALECT, STREAMING, TASKS
from understudy.language import errors
from understudy.language.errors import BadField, BadRequest
from understudy.language.events import BlockStart, Failed, MessageStart, TextDelta, Usage
from understudy.language.message import Message, replay
from understudy.language.request import (
    Image,
    Prompt,
    Request,
    Sampling,
    Text,
    Thinking,
    ThinkingWish,
    ToolUse,
    Turn,
    change,
)

PNG = "iVBORw0KGgo="
HI = (Turn("user", (Text("hi"),)),)


def parsed(dialect=DIALECT, **fields):
    found = dialect.parse(json.dumps({"prompt": "hi"} | fields).encode())
    assert found.raw
    return change(found, raw=b"")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"model": "m"}, {"model": "m"}),
        ({"model": ""}, {}),
        ({"stream": True}, {"stream": True}),
        ({"stream": None}, {}),
        ({"system": "s"}, {"system": (Text("s"),)}),
        ({"think": True}, {"thinking": ThinkingWish("enabled")}),
        ({"format": {"type": "array"}}, {"format": b'{"type": "array"}'}),
        ({"images": [PNG]}, {"turns": (Turn("user", (Image("image/png", PNG), Text("hi"))),)}),
        ({"template": "t", "context": [1, 2]}, {"dropped": ("template", "context")}),
        ({"template": "", "context": []}, {}),
        ({"context": None, "keep_alive": "5m"}, {"dropped": ("keep_alive",)}),
        ({"options": {"temperature": 1, "num_predict": 5}}, {"sampling": Sampling(5, 1)}),
        ({"temperature": 0.5, "maxTokens": 9}, {"sampling": Sampling(9, 0.5)}),
        (
            {"temperature": 0, "maxTokens": 9, "options": {"temperature": 1, "num_predict": 5, "seed": 3}},
            {"sampling": Sampling(9, 0, seed=3)},
        ),
        ({"logprobs": True}, {"sampling": Sampling(top_logprobs=0)}),
        ({"raw": True}, {"turns": (), "prompt": Prompt("hi")}),
        ({"suffix": "end"}, {"turns": (), "prompt": Prompt("hi", "end")}),
        (
            {"suffix": "end", "images": [PNG]},
            {"turns": (), "prompt": Prompt("hi", "end"), "dropped": ("images",)},
        ),
        ({"suffix": "", "raw": False}, {}),
        ({"whatever": 5}, {}),
    ],
)
def test_fields_of_a_question(fields, expected):
    assert parsed(**fields) == change(Request("auto", HI), **expected)


@pytest.mark.parametrize("task", TASKS)
def test_the_task_is_carried(task):
    assert parsed(task_type=task).task == task


@pytest.mark.parametrize("task", ["", "Code", "math", "all of them"])
def test_another_task_is_refused_with_the_four_there_are(task):
    with pytest.raises(BadField) as caught:
        parsed(task_type=task)
    assert caught.value.field == "task_type"
    assert caught.value.message.endswith("is none of code, translation, creative, general")


def test_who_streams_by_default():
    assert (parsed().stream, parsed(STREAMING).stream) == (False, True)
    assert (parsed(stream=True).stream, parsed(STREAMING, stream=False).stream) == (True, False)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"model":"m"}', b'{"prompt":null}', b'{"prompt":"","raw":true,"suffix":"x"}']
)
def test_without_a_prompt_nothing_is_asked(body):
    assert DIALECT.parse(body).asks_nothing


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": 5}, "$.prompt"),
        ({"options": {"top_k": "x"}}, "$.options.top_k"),
        ({"maxTokens": 0}, "maxTokens: must be 1 or more"),
        ({"maxTokens": "many"}, "$.maxTokens"),
        ({"temperature": "hot"}, "$.temperature"),
        ({"images": ["a b"]}, "images[0]"),
        ({"format": [1]}, "format"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"raw": True, "system": "s"}, "raw mode does not support"),
        ({"raw": True, "template": "t"}, "raw mode does not support"),
        ({"raw": True, "context": [1]}, "raw mode does not support"),
    ],
)
def test_wrong_questions_are_told_where(fields, words):
    with pytest.raises(BadRequest) as caught:
        parsed(**fields)
    assert words in caught.value.message


@given(st.binary())
def test_any_bytes_are_a_bad_request(body):
    with pytest.raises(BadRequest):
        DIALECT.parse(b"]" + body)
    with pytest.raises(BadRequest, match="missing request body"):
        DIALECT.parse(b" \n")


# answers

ANSWER = Message("i", "qwen", (Thinking("Hm."), Text("Grüße\u2028")), "end_turn", usage=Usage(4, None, 2))
ASKED = Request("auto", HI, task="code", asked_at=1.5)


def test_one_object():
    found = json.loads(DIALECT.whole(ANSWER, ASKED, "auto"))
    assert found == {
        "model": "qwen",
        "created_at": "1970-01-01T00:00:01.500000Z",
        "response": "Grüße\u2028",
        "thinking": "Hm.",
        "task": "code",
        "done": True,
        "done_reason": "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": 4,
        "prompt_eval_duration": 0,
        "eval_count": 2,
        "eval_duration": 0,
    }


def test_lines():
    lines = [json.loads(x) for x in DIALECT.encoder(ASKED, "auto").encode(replay(ANSWER)).split(b"\n") if x]
    assert [(x["response"], x.get("thinking"), x["done"]) for x in lines] == [
        ("", "Hm.", False),
        ("Grüße\u2028", None, False),
        ("", None, True),
    ]
    assert {x["model"] for x in lines} == {"qwen"}
    assert [x.get("task") for x in lines] == [None, None, "code"]


@pytest.mark.parametrize(
    ("asked", "answering", "shown"), [("auto", "qwen", "qwen"), ("auto", "", "auto"), ("gpt", "qwen", "gpt")]
)
def test_the_model_that_is_shown(asked, answering, shown):
    message = change(ANSWER, model=answering)
    assert json.loads(DIALECT.whole(message, ASKED, asked))["model"] == shown
    encoder = DIALECT.encoder(ASKED, asked)
    assert json.loads(encoder.ping)["model"] == asked
    lines = encoder.encode(replay(message)).split(b"\n")
    assert {json.loads(line)["model"] for line in lines if line} == {shown}


def test_a_task_nobody_said():
    assert json.loads(DIALECT.whole(ANSWER, change(ASKED, task=""), "m"))["task"] == "general"


def test_a_call_has_no_place_here():
    message = Message("i", "m", (Text("a"), ToolUse("c", "f", "{}")), "tool_use")
    lines = DIALECT.encoder(ASKED, "m").encode(replay(message)).decode().splitlines()
    assert "".join(json.loads(line)["response"] for line in lines) == "a"
    assert json.loads(DIALECT.whole(message, ASKED, "m"))["response"] == "a"


def test_a_failure_in_the_middle_is_the_last_line():
    events = [MessageStart("i"), BlockStart("text"), TextDelta("a"), Failed(errors.EngineLost("gone"))]
    lines = DIALECT.encoder(ASKED, "m").encode(events).splitlines()
    assert json.loads(lines[-1]) == {"error": "gone"}
    assert json.loads(DIALECT.error(errors.NoTarget("no"), "req_1")) == {"error": "no"}


def test_it_is_found_by_its_name():
    assert client_dialect("ollama_generate") is DIALECT
    assert (DIALECT.name, DIALECT.stream_type) == ("ollama_generate", "application/x-ndjson")
