"""What the lines of /api/chat and /api/generate have in common: beginnings, ends, log probabilities, time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.ollama import CHAT
from understudy.dialects.ollama_generate import Generated
from understudy.dialects.ollama_lines import LineEncoder, time_of, whole
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Logprobs,
    MessageStart,
    MessageStop,
    TextDelta,
    Usage,
)
from understudy.language.message import Message, collect
from understudy.language.request import Prompt, Request, Text, Turn

ASKED = Request("m", (Turn("user", (Text("hi"),)),), asked_at=1.5)
FORMS = pytest.mark.parametrize("form", [CHAT, Generated("")], ids=["chat", "generate"])
ONE = '[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]'
TWO = '[{"token":"b","logprob":-0.1,"bytes":[98],"top_logprobs":[]}]'
LIKELY = [
    MessageStart("i"),
    BlockStart("text"),
    TextDelta("a"),
    Logprobs(ONE),
    TextDelta("b"),
    Logprobs(TWO),
    BlockStop(),
    MessageStop("end_turn"),
]


def lines(form, request, events):
    return [json.loads(line) for line in LineEncoder(form, request, "m").encode(events).splitlines()]


def text(line):
    return line["message"]["content"] if "message" in line else line["response"]


@FORMS
def test_log_probabilities_share_a_line_with_their_text(form):
    found = lines(form, ASKED, LIKELY)
    assert [(text(line), line.get("logprobs")) for line in found] == [
        ("a", json.loads(ONE)),
        ("b", json.loads(TWO)),
        ("", None),
    ]


@FORMS
def test_log_probabilities_of_a_whole_answer_are_one_list(form):
    found = json.loads(whole(form, collect(LIKELY), ASKED, "m"))
    assert text(found) == "ab"
    assert found["logprobs"] == json.loads(ONE) + json.loads(TWO)


@FORMS
def test_log_probabilities_alone_say_nothing(form):
    assert lines(form, ASKED, [Logprobs(ONE)]) == []


NOTHING = [MessageStart("i", "other"), MessageStop("end_turn")]


@FORMS
@pytest.mark.parametrize(
    ("keep_alive", "reason"),
    [
        (None, "load"),
        (-1, "load"),
        ("5m", "load"),
        ("10s", "load"),
        ("", "load"),
        (0, "unload"),
        (0.0, "unload"),
        ("0", "unload"),
        ("0s", "unload"),
        ("0.0ms", "unload"),
        ({}, "load"),
    ],
)
def test_whoever_asks_nothing_is_told_what_became_of_the_model(form, keep_alive, reason):
    asked = Request("m", (), raw=json.dumps({"keep_alive": keep_alive}).encode(), asked_at=1.5)
    [line] = lines(form, asked, NOTHING)
    one = json.loads(whole(form, Message("i", "other", (), "end_turn"), asked, "m"))
    for found in (line, one):
        assert (found["model"], found["done"], found["done_reason"]) == ("m", True, reason)
        assert (text(found), found["created_at"]) == ("", "1970-01-01T00:00:01.500000Z")
        assert "eval_count" not in found


@pytest.mark.parametrize(
    "request_",
    [
        ASKED,
        Request("m", (), (Text("s"),)),
        Request("m", (), prompt=Prompt("p")),
        Request("m", (), prompt=Prompt("")),
    ],
)
def test_whoever_asks_something_is_not(request_):
    [line] = lines(CHAT, request_, [MessageStop("max_tokens", usage=Usage(4, 3, 2))])
    assert (line["done_reason"], line["prompt_eval_count"], line["eval_count"]) == ("length", 4, 2)
    assert line["prompt_eval_cached_count"] == 3
    assert line["total_duration"] == line["load_duration"] == line["eval_duration"] == 0


@given(st.floats(0, 4e9))
def test_times_are_what_a_client_reads(seconds):
    pydantic = pytest.importorskip("pydantic")
    assert (
        abs(
            pydantic.TypeAdapter(pydantic.AwareDatetime).validate_python(time_of(seconds)).timestamp()
            - seconds
        )
        < 1e-3
    )
