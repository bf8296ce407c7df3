"""Text to go on with: read, and answered in a stream or as a whole; the official SDK reads what is written."""

import json

import httpx
import openai
import pytest

from understudy.dialects.openai_completions import DIALECT, MAX_TOKENS, Encoder, parse
from understudy.language.errors import BadField, EngineLost
from understudy.language.events import Failed, MessageStop, Progress, ThinkingDelta, Usage
from understudy.language.message import Message, replay
from understudy.language.request import Prompt, Sampling, Text, change

MESSAGE = Message("msg_1", "m", (Text("return a + b"),), "end_turn", None, Usage(7, 3, 5))


def asked(**more):
    return parse(json.dumps({"model": "m", "prompt": "def add(a, b):", **more}).encode())


def records(data):
    assert data.endswith(b"\n\n")
    return [
        json.loads(r.removeprefix("data: ")) for r in data.decode().split("\n\n") if r and r != "data: [DONE]"
    ]


def client(content, content_type="text/event-stream"):
    def answer(request):
        return httpx.Response(200, content=content, headers={"content-type": content_type})

    transport = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://engine/v1", http_client=transport, max_retries=0)


def test_a_question_is_read():
    request = asked(
        suffix="\n",
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        seed=1,
        stop="END",
        n=2,
        stream=True,
        user="u",
        best_of=3,
    )
    assert request.prompt == Prompt("def add(a, b):", "\n")
    assert request.sampling == Sampling(5, 0.5, 0.9, seed=1, stop=("END",))
    assert (request.n, request.stream, request.user, request.turns) == (2, True, "u", ())
    assert request.dropped == ("best_of",)


def test_what_is_not_said():
    request = asked(prompt=["one"])
    assert request.prompt == Prompt("one")
    assert request.sampling.max_tokens == MAX_TOKENS
    assert asked(max_tokens=0).sampling.max_tokens == 0


WRONG = [
    ({"prompt": None}, "prompt"),
    ({"prompt": [1, 2]}, "prompt"),
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"n": 99}, "n"),
    ({"stop": 5}, "stop"),
    ({"model": None}, "model"),
]


@pytest.mark.parametrize(("more", "field"), WRONG)
def test_what_is_wrong_is_named(more, field):
    with pytest.raises(BadField) as caught:
        asked(**more)
    assert caught.value.field == field
    assert json.loads(DIALECT.error(caught.value, "r"))["error"]["param"] == field


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_json_object(body):
    with pytest.raises(BadField):
        parse(body)


def test_the_official_client_reads_a_whole_answer():
    body = DIALECT.whole(MESSAGE, change(asked(), asked_at=1000.5), "shown")
    found = client(body, "application/json").completions.create(model="m", prompt="x")
    assert found.choices[0].text == "return a + b"
    assert (found.choices[0].finish_reason, found.created, found.model) == ("stop", 1000, "shown")
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (7, 5)


def test_the_official_client_reads_a_stream():
    request = asked(stream=True, stream_options={"include_usage": True})
    encoder = Encoder(request, "shown")
    stream = encoder.encode([Progress(1, 2, 0), *replay(MESSAGE)])
    found = list(client(stream).completions.create(model="m", prompt="x", stream=True))
    assert "".join(c.choices[0].text for c in found if c.choices) == "return a + b"
    assert found[-2].choices[0].finish_reason == "stop"
    assert found[-1].usage.completion_tokens == 5
    assert {c.id for c in found} == {"cmpl-1"}


def test_more_text_is_written_as_its_event_would_be():
    one, other = Encoder(asked(), "m"), Encoder(asked(), "m")
    for encoder in (one, other):
        encoder.encode([*replay(MESSAGE)][:1])
    assert one.more("Hi") == other.encode([[*replay(MESSAGE)][2]]).replace(b"return a + b", b"Hi")
    assert Encoder(asked(), "m").encode([ThinkingDelta("hm")]) == b""


def test_several_answers():
    other = Message("msg_2", "m", (Text("pass"),), "max_tokens", None, Usage(7, 7, 2))
    found = json.loads(DIALECT.several((MESSAGE, other), asked(n=2), "m"))
    assert [(c["index"], c["text"], c["finish_reason"]) for c in found["choices"]] == [
        (0, "return a + b", "stop"),
        (1, "pass", "length"),
    ]
    assert found["usage"] == {**found["usage"], "prompt_tokens": 7, "completion_tokens": 7}
    encoder = Encoder(asked(n=2, stream_options={"include_usage": True}), "m")
    first = encoder.encode(replay(MESSAGE))
    assert b"[DONE]" not in first
    encoder.another()
    got = records(first + encoder.encode(replay(other)))
    assert [c["choices"][0]["index"] for c in got if c["choices"]] == [0, 0, 1, 1]
    assert {c["id"] for c in got} == {"cmpl-1"}
    assert got[-1]["usage"]["completion_tokens"] == 7


def test_the_prompt_may_be_said_again():
    request = asked(echo=True)
    assert (
        json.loads(DIALECT.whole(MESSAGE, request, "m"))["choices"][0]["text"] == "def add(a, b):return a + b"
    )
    first, *_ = records(DIALECT.encoder(request, "m").encode(replay(MESSAGE)))
    assert first["choices"][0]["text"] == "def add(a, b):"


def test_a_cut_answer_is_no_finished_one():
    data = Encoder(asked(), "m").encode([Failed(EngineLost("gone"))])
    assert json.loads(data.decode().removeprefix("data: "))["error"]["message"] == "gone"
    assert b"[DONE]" not in data
    assert b"[DONE]" in Encoder(asked(), "m").encode([MessageStop("end_turn")])
