"""Answers, whole and streamed, and what is none."""

import json

import pytest
from conform.test_conform_stream import MESSAGE, START, WHOLE
from hypothesis import given
from hypothesis import strategies as st

from understudy.conform.answer import Usage, decoded, error_of, heard, told
from understudy.conform.exchange import Fault, Reply
from understudy.conform.ideal import record

JSON = {"content-type": "application/json"}


def reply(body, status=200, **more):
    return Reply(status, JSON, body if isinstance(body, bytes) else json.dumps(body).encode(), **more)


@pytest.mark.parametrize("body", [WHOLE, json.dumps(MESSAGE).encode()])
def test_both_ways_say_the_same(body):
    answer = heard(reply(body))
    assert (answer.id, answer.model, answer.text, answer.stop_reason) == (
        "msg_1",
        "m",
        "Hello there.",
        "tool_use",
    )
    assert [(call.id, call.name, call.input) for call in answer.calls] == [
        ("toolu_1", "ring_bell", {"colour": "red"})
    ]
    assert answer.thinks
    assert (answer.usage.prompt, answer.usage.output, answer.usage.cached) == (3, 5, None)
    assert (answer.streamed is None) == (body != WHOLE)


def test_an_input_that_is_no_object_is_kept_as_it_was_written():
    whole = MESSAGE | {"content": [{"type": "tool_use", "id": "a", "name": "b", "input": [1]}]}
    (call,) = heard(reply(whole)).calls
    assert (call.input, call.raw) == (None, "[1]")
    broken = WHOLE.replace(b'\\"red\\"}', b"")
    (call,) = heard(reply(broken)).calls
    assert call.input is None
    assert call.raw.startswith("{")


def test_what_message_delta_says_of_usage_overrides_message_start():
    late = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 9}}
    first = START | {"message": MESSAGE | {"content": [], "usage": {"input_tokens": 1, "output_tokens": 2}}}
    answer = heard(reply(b"".join(map(record, (first, late)))))
    assert answer.usage == Usage(9, None, None, 2, frozenset({"input_tokens", "output_tokens"}))
    assert answer.first_usage.fresh == 1


NONE = [
    (Reply(0, trouble="no answer: refused"), "no answer: refused"),
    (reply({"error": {"message": "not here"}}, 404), "status 404: not here"),
    (reply(b"", 502), "status 502: nothing"),
    (reply({"choices": []}), 'a body that is no message: {"choices":[]}'),
    (reply({"type": "message", "content": "x"}), "a body that is no message"),
    (reply(b"hello"), "neither a message nor a stream of events: hello"),
    (reply(WHOLE, trouble="the connection broke"), "the connection broke"),
    (
        reply(record({"type": "error", "error": {"message": "overloaded"}})),
        "an error event in the stream: overloaded",
    ),
    (reply(record({"type": "error", "error": {"code": 7}})), "an error event in the stream: {'code': 7}"),
]


@pytest.mark.parametrize(("given_", "seen"), NONE)
def test_what_is_no_answer(given_, seen):
    with pytest.raises(Fault) as fault:
        heard(given_)
    assert fault.value.seen.startswith(seen)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"type": "error", "error": {"type": "t", "message": "m"}}, ("t", "m")),
        ({"error": {"message": "m"}}, ("", "m")),
        ({"error": "m"}, ("", "m")),
        ({"message": "m"}, ("", "m")),
        ({"detail": "m"}, ("", "m")),
        ({"detail": [{"loc": ["body"]}]}, ("", "")),
        ([1], ("", "")),
    ],
)
def test_errors_of_any_shape(body, found):
    assert error_of(reply(body, 400)) == found


def test_long_words_are_shortened():
    assert len(told(reply({"error": "m" * 1000}, 400))) < 250
    assert decoded(b"[" * 200_000) is None


@given(st.binary(max_size=100), st.sampled_from([0, 200, 404]))
def test_nothing_but_a_fault_is_raised(body, status):
    with pytest.raises(Fault):
        heard(Reply(status, {}, body))
