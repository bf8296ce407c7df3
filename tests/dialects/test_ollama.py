"""Ollama's /api/chat: every wire cut every way, our answers read by the official client, refusals and their hints."""

import json

import httpx
import ollama
import pytest
from harness import cuts, feed, feed3, ids, meaning, never_finished_early, story, truncations, wires
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects import dialect
from understudy.dialects.ollama import DIALECT, Decoder, Encoder
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
    Usage,
)
from understudy.language.message import Message, collect, replay
from understudy.language.request import Request, Text, Thinking, ToolUse, Turn

WIRES = wires("ollama", "ndjson")
REQUEST = Request("m", ())


def make():
    return DIALECT.decoder(ids())


def line(**fields):
    base = {"model": "m", "created_at": "x", "message": {"role": "assistant", "content": ""}, "done": False}
    return json.dumps(base | fields).encode() + b"\n"


def said(content="", **message):
    return line(message={"role": "assistant", "content": content, **message})


STOP = line(done=True, done_reason="stop")


# decoder


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.stem)
def test_wires_mean_what_is_written_beside_them(wire):
    data = wire.read_bytes()
    assert story(feed3(make, data, trailing=b"\n" + said("more") + STOP + b"rubbish\n")) == meaning(wire)
    cuts(make, data)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.stem)
def test_a_cut_wire_is_never_a_finished_answer(wire):
    data = wire.read_bytes()
    never_finished_early(make, data, end=len(data.rstrip()))
    # Only the last line's end may be missing: the record is whole without it.
    assert all(
        story(events) == meaning(wire) for n, events in truncations(make, data) if n >= len(data.rstrip())
    )


@given(st.binary())
def test_any_bytes_end_in_a_terminal_event(data):
    feed(make, [data])


@given(
    st.lists(
        st.sampled_from([said("a"), said(thinking="b"), STOP, b"{}\n", b"\n", b"[]\n", b'{"error":"e"}\n'])
    )
)
def test_any_lines_end_in_a_terminal_event(lines):
    feed(make, lines)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["message", "done", "error", "tool_calls", "function", "content"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_ends_in_a_terminal_event(value):
    feed(make, [json.dumps(value).encode() + b"\n"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"b" : 1.50, "a":"\\u003c"}', '{"b" : 1.50, "a":"\\u003c"}'),  # byte for byte
        ("{}", "{}"),
        ("null", "{}"),
        ('"{\\"a\\":1}"', '{"a":1}'),
    ],
)
def test_arguments_keep_their_bytes(arguments, text):
    data = b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":%s}}]}}\n' % arguments.encode()
    assert InputDelta(text) in feed3(make, data + STOP)


def test_a_call_without_arguments():
    data = b'{"message":{"tool_calls":[{"function":{"name":"f"}}]}}\n'
    assert feed3(make, data + STOP)[1:-1] == [
        BlockStart("tool_use", "call_2", "f"),
        InputDelta("{}"),
        BlockStop(),
    ]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"<html>504</html>\n",
        b"data: {}\n",
        b'"text"\n',
        b'{"message":{"content":5}}\n',
        b"[" * 100_000 + b"\n",
        b'{"message":{"content":"\xff"}}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":"\xff"}}}]}}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":"\\ud800"}}]}}\n',
    ],
)
def test_nonsense_fails_with_what_to_check(nonsense):
    last = feed(make, [said("a") + nonsense, STOP])[-1]
    assert type(last.error) is errors.EngineError
    assert "kind" in last.error.message


def test_a_line_over_the_limit_fails(monkeypatch):
    monkeypatch.setattr("understudy.dialects.sse.LineReader.__init__.__defaults__", (50,))
    decoder = make()
    [event] = decoder.feed(b"x" * 51)
    assert "50 bytes" in event.error.message
    assert decoder.feed(STOP) + decoder.close() == []


@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({"done_reason": "stop"}, MessageStop("end_turn")),
        ({"done_reason": "length"}, MessageStop("max_tokens")),
        ({}, MessageStop("end_turn")),
        ({"done_reason": ""}, MessageStop("end_turn")),
        ({"eval_count": 3}, MessageStop("end_turn", usage=Usage(0, None, 3))),
        ({"prompt_eval_count": 9}, MessageStop("end_turn", usage=Usage(9, None, 0))),
        (
            {"prompt_eval_count": 9, "prompt_eval_cached_count": 0},
            MessageStop("end_turn", usage=Usage(9, 0, 0)),
        ),
    ],
)
def test_how_an_answer_ends(fields, stop):
    assert feed3(make, said("a") + line(done=True, **fields))[-1] == stop


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_a_model_loaded_is_no_answer(reason):
    [only] = feed3(
        make, line(done=True, done_reason=reason)
    )  # no MessageStart: another engine may still be asked
    assert type(only.error) is errors.EngineError


def test_calls_cut_by_the_limit_are_not_tool_use():
    call = {"function": {"name": "f", "arguments": {}}}
    assert feed3(make, said(tool_calls=[call]) + line(done=True, done_reason="length"))[-1] == MessageStop(
        "max_tokens"
    )


def test_nulls_are_nothing():
    data = line(message={"content": "a", "thinking": None, "tool_calls": None}, done_reason=None, error=None)
    assert [type(e) for e in feed3(make, data + line(message=None, done=True))] == [
        MessageStart,
        BlockStart,
        TextDelta,
        BlockStop,
        MessageStop,
    ]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"error": "llama runner process has terminated: exit status 2"}, errors.EngineError),
        ({"error": "busy", "status": 503}, errors.EngineBusy),
        ({"error": {"message": "boom"}}, errors.EngineError),
        ({"error": "the prompt is longer than the context length currently available"}, errors.PromptTooLong),
    ],
)
def test_errors_inside_a_stream(fields, kind):
    [*_, last] = feed3(make, said("a") + json.dumps(fields).encode() + b"\n")
    assert isinstance(last, Failed)
    assert type(last.error) is kind


# encoder

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
    data = Encoder("m").encode(replay(message)) if streamed else DIALECT.whole(message, REQUEST, "m")
    again = collect(feed3(lambda: Decoder(lambda _: "msg_1"), data))
    assert again == message


def test_line_ends_inside_arguments_do_not_break_the_lines():
    events = [
        BlockStart("tool_use", "c", "f"),
        InputDelta('{\n  "a": '),
        InputDelta('"\\n x"\r\n}'),
        BlockStop(),
    ]
    [only] = Encoder("m").encode(events).splitlines()
    assert json.loads(only)["message"]["tool_calls"][0]["function"]["arguments"] == {"a": "\n x"}


def test_line_ends_of_other_alphabets_reach_the_official_client(ask):
    text = "a\u2028b\u2029c\x85d\x0be\x1cf"
    data = Encoder("m").encode(replay(Message("msg_1", "m", (Text(text),), "end_turn")))
    assert "".join(part.message.content for part in ask(data, stream=True)) == text


def test_calls_are_counted():
    lines = [json.loads(line) for line in Encoder("m").encode(replay(ANSWER)).splitlines()]
    for message in (
        [line["message"] for line in lines],
        [json.loads(DIALECT.whole(ANSWER, REQUEST, "m"))["message"]],
    ):
        calls = [call for one in message for call in one.get("tool_calls", [])]
        assert [(call["id"], call["function"]["index"]) for call in calls] == [("call_1", 0), ("call_2", 1)]


def test_what_has_no_place_on_this_wire_is_silent():
    encoder = Encoder("m")
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
    for data in (Encoder("m").encode(replay(message)), DIALECT.whole(message, REQUEST, "m")):
        assert b"\xef\xbf\xbd" in data
        collect(feed(make, [data]))
    assert DIALECT.error(errors.Bug(LONE), "") == '{"error":"a\ufffdb"}'.encode()


def test_the_time_is_the_callers():
    assert json.loads(Encoder("m", "2026-11-20T09:41:00Z").ping)["created_at"] == "2026-11-20T09:41:00Z"
    assert json.loads(DIALECT.encoder(REQUEST, "m").ping)["created_at"] == "1970-01-01T00:00:00Z"


def test_pings_are_nothing_to_a_reader():
    encoder = Encoder("m")
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
    encoder = Encoder("m")
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
    data = Encoder("m").encode([BlockStart("text"), TextDelta("a"), Failed(errors.EngineLost("gone"))])
    with pytest.raises(ollama.ResponseError, match="gone"):
        ask(data, stream=True)


@pytest.mark.parametrize("stream", [True, False])
def test_the_official_client_reads_our_errors(ask, stream):
    error = errors.NoTarget("no engine has m")
    with pytest.raises(ollama.ResponseError, match="no engine has m") as caught:
        ask(DIALECT.error(error, "req_1"), stream=stream, status=error.status)
    assert caught.value.status_code == 404


# refusal

LLAMA_SERVER = {
    "error": {
        "code": 400,
        "message": "request (8889 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 8889,
        "n_ctx": 4096,
    }
}
TOO_LONG = "the prompt is longer than the context length currently available to the model; shorten the prompt"


@pytest.mark.parametrize(
    ("status", "error", "kind", "words"),
    [
        (404, "model 'x' not found", errors.NoTarget, "ollama pull"),
        (
            400,
            "registry.ollama.ai/library/x:8b does not support tools",
            errors.EngineRefused,
            "capability tools",
        ),
        (400, '"x" does not support thinking', errors.EngineRefused, "capability thinking"),
        (400, '"x" does not support chat', errors.EngineRefused, "ollama show"),
        (400, 'think value "high" is not supported', errors.EngineRefused, "is not supported"),
        (401, "unauthorized", errors.EngineDenied, "key"),
        (500, "llama runner process has terminated: exit status 2", errors.EngineError, "terminated"),
        (503, "server busy, please try again.  maximum pending requests exceeded", errors.EngineBusy, "busy"),
        (400, json.dumps(LLAMA_SERVER), errors.PromptTooLong, "8889 tokens > 4096 maximum"),
        (500, json.dumps(LLAMA_SERVER), errors.PromptTooLong, "8889 tokens > 4096 maximum"),
        (400, TOO_LONG, errors.PromptTooLong, "prompt is too long"),
        (500, TOO_LONG, errors.PromptTooLong, "prompt is too long"),
        (400, "the input length exceeds the context length", errors.PromptTooLong, "prompt is too long"),
    ],
)
def test_refusals_say_what_to_do(status, error, kind, words):
    found = DIALECT.refusal(status, json.dumps({"error": error}).encode(), 3.0)
    assert type(found) is kind
    assert words in found.message


def test_a_busy_engine_says_when():
    assert DIALECT.refusal(503, b'{"error":"server busy"}', 3.0).retry_after == 3.0


@given(st.sampled_from([400, 404, 413, 500, 503]), st.binary())
def test_any_refusal_is_read(status, body):
    assert isinstance(DIALECT.refusal(status, body), errors.UnderstudyError)


def test_it_is_found_by_its_name():
    assert dialect("ollama") is DIALECT
    assert (DIALECT.name, DIALECT.stream_type) == ("ollama", "application/x-ndjson")
    assert DIALECT.parse(DIALECT.render(Request("m", (Turn("user", (Text("hi"),)),)))).model == "m"


@pytest.mark.parametrize("text", ["Hi", '"\n\\', "你好 🙂", "\ud83d", "\u2028\x85"])
def test_more_text_is_written_as_its_event_would_be(text):
    assert Encoder("m").more(text) == Encoder("m").encode([TextDelta(text)])
