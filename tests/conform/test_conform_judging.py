"""What several checks ask of a reply."""

import json

import pytest
from conform.broken import refusal
from conform.test_conform_stream import MESSAGE, WHOLE

from understudy.conform.answer import heard
from understudy.conform.asks import BELL, TOOLS
from understudy.conform.exchange import Fault, Reply, Scene, Trial, Undecided
from understudy.conform.judging import (
    answered,
    body_of,
    called,
    growth,
    no_call,
    overflow,
    posted,
    prompt_of,
    refused,
    short,
    sound,
    streamed,
    unfit,
)


def whole(**fields):
    return Reply(200, {}, json.dumps(MESSAGE | fields).encode())


def test_streams():
    assert streamed(Reply(200, {}, WHOLE)).faults == {}
    with pytest.raises(Undecided, match="did not come as a stream"):
        streamed(whole())


def test_a_broken_stream_is_no_sound_answer():
    assert sound(Reply(200, {}, WHOLE)).text == "Hello there."
    assert sound(whole()).text == "Hello there."
    with pytest.raises(Fault, match="without message_stop"):
        sound(Reply(200, {}, WHOLE[: WHOLE.index(b"event: message_stop")]))


def calling(name, given):
    return heard(whole(content=[{"type": "tool_use", "id": "a", "name": name, "input": given}]))


@pytest.mark.parametrize(
    ("name", "given", "wrong"),
    [
        ("ring_bell", {"colour": "red", "times": 2}, ""),
        ("list_rooms", {}, ""),
        ("ring_gong", {}, "which was not offered"),
        ("ring_bell", [1], "no object"),
        ("ring_bell", {"colour": "red"}, "required"),
        ("ring_bell", {"colour": "red", "times": "2"}, "is not of type"),
        ("ring_bell", {"colour": "red", "times": 2, "loud": 1}, "loud"),
    ],
)
def test_calls(name, given, wrong):
    if not wrong:
        assert len(called(calling(name, given), TOOLS)) == 1
        return
    with pytest.raises(Fault, match=wrong):
        called(calling(name, given), TOOLS)


def test_values_and_schemas():
    assert unfit({"colour": "red", "times": 1}, BELL["input_schema"]) == ""
    assert "9" in unfit({"colour": "red", "times": 10}, BELL["input_schema"])


def test_a_missing_call():
    assert isinstance(no_call(heard(whole(content=[]))), Fault)
    thinking = [{"type": "thinking", "thinking": "Hm"}]
    assert isinstance(no_call(heard(whole(content=thinking, stop_reason="max_tokens"))), Undecided)


def test_tokens():
    assert prompt_of(whole()) == 3
    with pytest.raises(Undecided):
        prompt_of(whole(usage={}))
    talk = growth("before", "after")
    next(talk)
    talk.send((whole(),))
    with pytest.raises(StopIteration) as end:
        talk.send((whole(usage={"input_tokens": 10}),))
    assert end.value.value == 7


def test_refusals():
    assert refused(refusal("no"), 400, "invalid_request_error") == "no"
    for reply in (
        refusal("no", 500),
        refusal("no", kind="api_error"),
        refusal(""),
        Reply(0, trouble="no answer"),
    ):
        with pytest.raises(Fault):
            refused(reply, 400, "invalid_request_error")


@pytest.mark.parametrize(
    ("reply", "known"),
    [
        (refusal("prompt is too long: 9 tokens > 8 maximum"), True),
        (refusal("This model's maximum context length is 8 tokens"), True),
        (refusal("the request exceeds the available context size"), True),
        (refusal("anything", 413), True),
        (refusal("prompt is too long", 500), False),
        (refusal("too many tokens"), False),
    ],
)
def test_sentences_by_which_the_client_compacts(reply, known):
    assert overflow(reply) == known


def test_a_check_of_several_questions():
    check = answered("a.b", (), "says", "costs", lambda _: "one", lambda _: "two", level="should")
    trial = Trial(check, Scene("m"))
    trial.tell([whole()])
    trial.tell([refusal("no")])
    assert (trial.result.status, trial.result.requests, check.level) == ("fail", 2, "should")


def test_long_words():
    assert short("a\n b") == "a b"
    assert len(short("a" * 500)) == 163


def test_bodies_of_other_dialects():
    assert body_of(Reply(200, {}, b'{"a": 1}')) == {"a": 1}
    for reply in (Reply(0, trouble="no answer"), Reply(500), Reply(200, {}, b"[1]"), Reply(200, {}, b"hi")):
        with pytest.raises(Fault):
            body_of(reply)
    ask = posted("/x", {"a": 1, "b": None})
    assert (ask.path, json.loads(ask.body), ask.method) == ("/x", {"a": 1}, "POST")
