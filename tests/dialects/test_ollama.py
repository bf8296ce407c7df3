"""Ollama's /api/chat toward clients: our answers read back, and by the official client."""

import json

import httpx
import ollama
import pytest
from harness import feed, feed3, ids

from understudy.dialects import dialect
from understudy.dialects.ollama import DIALECT
from understudy.dialects.ollama_decode import Decoder
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    MessageStart,
    Progress,
    SignatureDelta,
    TextDelta,
    Usage,
)
from understudy.language.message import Message, collect, replay
from understudy.language.request import Request, Text, Thinking, ToolUse, Turn, change

HI = Turn("user", (Text("hi"),))
REQUEST = Request("m", (HI,))
Encoder = DIALECT.encoder


def make():
    return DIALECT.decoder(ids())


ANSWER = Message(
    "msg_1",
    "m",
    (
        Thinking("Hm."),
        Text("Grüße,\n世界"),
        ToolUse("call_1", "Read", '{"b":1.50,"a":"\\u003c"}'),
        ToolUse("call_2", "Ls", "{}"),
    ),
    "tool_use",
    usage=Usage(40, 30, 7),
)


@pytest.mark.parametrize(
    "message", [ANSWER, Message("msg_1", "m", (Text("a"),), "max_tokens", usage=Usage(2, None, 1))]
)
@pytest.mark.parametrize("streamed", [True, False])
def test_what_we_write_we_read(message, streamed):
    data = Encoder(REQUEST, "m").encode(replay(message)) if streamed else DIALECT.whole(message, REQUEST, "m")
    again = collect(feed3(lambda: Decoder(lambda _: "msg_1"), data))
    assert again == message


def test_line_ends_inside_arguments_do_not_break_the_lines():
    events = [
        BlockStart("tool_use", "c", "f"),
        InputDelta('{\n  "a": '),
        InputDelta('"\\n x"\r\n}'),
        BlockStop(),
    ]
    [only] = Encoder(REQUEST, "m").encode(events).splitlines()
    assert json.loads(only)["message"]["tool_calls"][0]["function"]["arguments"] == {"a": "\n x"}


def test_line_ends_of_other_alphabets_reach_the_official_client(ask):
    text = "a\u2028b\u2029c\x85d\x0be\x1cf"
    data = Encoder(REQUEST, "m").encode(replay(Message("msg_1", "m", (Text(text),), "end_turn")))
    assert "".join(part.message.content for part in ask(data, stream=True)) == text


def test_calls_are_counted():
    lines = [json.loads(line) for line in Encoder(REQUEST, "m").encode(replay(ANSWER)).splitlines()]
    for message in (
        [line["message"] for line in lines],
        [json.loads(DIALECT.whole(ANSWER, REQUEST, "m"))["message"]],
    ):
        calls = [call for one in message for call in one.get("tool_calls", [])]
        assert [(call["id"], call["function"]["index"]) for call in calls] == [("call_1", 0), ("call_2", 1)]


def test_what_has_no_place_on_this_wire_is_silent():
    encoder = Encoder(REQUEST, "m")
    events = [MessageStart("msg_1"), Progress(1, 2, 0), BlockStart("text"), BlockStop(), SignatureDelta("s")]
    assert encoder.encode(events) == b""


LONE = "a\ud800b"


@pytest.mark.parametrize(
    "message",
    [
        Message("i", "m", (Text(LONE), Thinking(LONE), ToolUse(LONE, LONE, '{"a":"\ud800"}')), "end_turn"),
        Message("i", "m", (ToolUse("c", "f", LONE),), "tool_use"),
    ],
)
def test_half_a_surrogate_pair_breaks_nothing(message):
    for data in (Encoder(REQUEST, "m").encode(replay(message)), DIALECT.whole(message, REQUEST, "m")):
        assert b"\xef\xbf\xbd" in data
        collect(feed(make, [data]))
    assert DIALECT.error(errors.Bug(LONE), "") == '{"error":"a\ufffdb"}'.encode()


def test_the_time_is_the_callers():
    assert (
        json.loads(Encoder(change(REQUEST, asked_at=1763631660.5), "m").ping)["created_at"]
        == "2025-11-20T09:41:00.500000Z"
    )
    assert json.loads(DIALECT.encoder(REQUEST, "m").ping)["created_at"] == "1970-01-01T00:00:00.000000Z"


def test_pings_are_nothing_to_a_reader():
    encoder = Encoder(REQUEST, "m")
    events = list(replay(ANSWER))
    data = encoder.ping + b"".join(encoder.encode([event]) + encoder.ping for event in events[:-1])
    data += encoder.encode(events[-1:])
    assert collect(feed3(lambda: Decoder(lambda _: "msg_1"), data)) == ANSWER


# the official client


def client(body, status=200):
    found = ollama.Client(host="http://127.0.0.1:1")
    found._client.close()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    found._client = httpx.Client(base_url="http://127.0.0.1:1", transport=transport)
    return found


@pytest.fixture
def ask():
    opened = []

    def _ask(body, *, stream, status=200):
        opened.append(client(body, status))
        answer = opened[-1].chat("m", [{"role": "user", "content": "hi"}], stream=stream)
        return list(answer) if stream else answer

    yield _ask
    for one in opened:
        one.close()


def test_the_official_client_reads_our_stream(ask):
    encoder = Encoder(REQUEST, "m")
    parts = ask(encoder.ping + encoder.encode(replay(ANSWER)), stream=True)
    assert "".join(part.message.thinking or "" for part in parts) == "Hm."
    assert "".join(part.message.content or "" for part in parts) == "Grüße,\n世界"
    calls = [call.function for part in parts for call in part.message.tool_calls or ()]
    assert [(call.name, call.arguments) for call in calls] == [("Read", {"b": 1.5, "a": "<"}), ("Ls", {})]
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].done_reason, parts[-1].prompt_eval_count, parts[-1].eval_count) == ("stop", 40, 7)


def test_the_official_client_reads_our_whole_answer(ask):
    answer = ask(DIALECT.whole(ANSWER, REQUEST, "shown"), stream=False)
    assert (answer.model, answer.message.content, answer.message.thinking) == ("shown", "Grüße,\n世界", "Hm.")
    assert [call.function.name for call in answer.message.tool_calls] == ["Read", "Ls"]
    assert (answer.done, answer.done_reason, answer.eval_duration) == (True, "stop", 0)


def test_the_official_client_sees_an_answer_fail(ask):
    data = Encoder(REQUEST, "m").encode(
        [BlockStart("text"), TextDelta("a"), Failed(errors.EngineLost("gone"))]
    )
    with pytest.raises(ollama.ResponseError, match="gone"):
        ask(data, stream=True)


@pytest.mark.parametrize("stream", [True, False])
def test_the_official_client_reads_our_errors(ask, stream):
    error = errors.NoTarget("no engine has m")
    with pytest.raises(ollama.ResponseError, match="no engine has m") as caught:
        ask(DIALECT.error(error, "req_1"), stream=stream, status=error.status)
    assert caught.value.status_code == 404


def test_it_is_found_by_its_name():
    assert dialect("ollama") is DIALECT
    assert (DIALECT.name, DIALECT.stream_type) == ("ollama", "application/x-ndjson")
    assert DIALECT.parse(DIALECT.render(Request("m", (Turn("user", (Text("hi"),)),)))).model == "m"


@pytest.mark.parametrize("text", ["Hi", '"\n\\', "你好 🙂", "\ud83d", "\u2028\x85"])
def test_more_text_is_written_as_its_event_would_be(text):
    assert Encoder(REQUEST, "m").more(text) == Encoder(REQUEST, "m").encode([TextDelta(text)])
