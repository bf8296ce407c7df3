"""The answers of Ollama engines: every wire cut every way, odd lines, log probabilities, refusals and their hints."""

import json

import pytest
from harness import cuts, feed, feed3, ids, meaning, never_finished_early, story, truncations, wires
from hypothesis import given
from hypothesis import strategies as st

from understudy.dialects.ollama import DIALECT
from understudy.language import errors
from understudy.language.events import (
    BlockStart,
    BlockStop,
    Failed,
    InputDelta,
    Logprobs,
    MessageStart,
    MessageStop,
    TextDelta,
    Usage,
)

WIRES = wires("ollama", "ndjson")


def make():
    return DIALECT.decoder(ids())


def line(**fields):
    base = {"model": "m", "created_at": "x", "message": {"role": "assistant", "content": ""}, "done": False}
    return json.dumps(base | fields).encode() + b"\n"


def said(content="", **message):
    return line(message={"role": "assistant", "content": content, **message})


STOP = line(done=True, done_reason="stop")


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


# log probabilities


def likely(token, **fields):
    return {"token": token, "logprob": -0.5, **fields}


ACUTE = '{"token":"é","logprob":-0.5,"bytes":[195,169]}'
FULL = '[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]'


@pytest.mark.parametrize(
    ("odds", "told"),
    [
        ([likely("a")], FULL),
        ([likely("a", bytes=[97], top_logprobs=None)], FULL),
        (
            [likely("é", top_logprobs=[likely("é")])],
            FULL.replace('"a"', '"é"').replace("97", "195,169").replace("[]", f"[{ACUTE}]"),
        ),
    ],
)
def test_log_probabilities_follow_their_text(odds, told):
    lines = line(message={"content": "a"}, logprobs=odds) + line(message={"content": "b"}, logprobs=odds)
    assert feed3(make, lines + STOP)[1:-1] == [
        BlockStart("text"),
        TextDelta("a"),
        Logprobs(told),
        TextDelta("b"),
        Logprobs(told),
        BlockStop(),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"message": {"thinking": "a"}, "logprobs": [likely("a")]},
        {"message": {"content": ""}, "logprobs": [likely("a")]},
        {"message": {"content": "a"}, "logprobs": None},
        {"message": {"content": "a"}, "logprobs": []},
    ],
)
def test_log_probabilities_of_no_text_are_not_told(fields):
    events = feed3(make, said("x") + line(**fields) + STOP)
    assert not [event for event in events if isinstance(event, Logprobs)]


def test_an_answer_of_generate():
    lines = b'{"model":"m","thinking":"Hm."}\n{"model":"m","response":"a"}\n{"done":true,"response":""}\n'
    kinds = [event.kind for event in feed3(make, lines) if isinstance(event, BlockStart)]
    assert kinds == ["thinking", "text"]


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
